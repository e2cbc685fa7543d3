"""Catheter paths on the living vessel graph."""
