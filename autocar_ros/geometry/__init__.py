"""Geometry of the C-arm: poses, cameras, rays, epipolar lines, triangulation. numpy and torch."""
