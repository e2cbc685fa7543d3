"""The one living vessel graph, refitted to every pair of masks."""
