"""Centrelines, the vessel graph, radii, reprojection and export."""
