"""2D masks of two views to 3D: lifted centrelines and the sparse back-projected volume."""
