"""Sparse 3D convolution in plain torch, on any device."""
