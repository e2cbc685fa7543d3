"""Simulated biplane angiography with known truth: anatomy, motion, contrast, C-arm views and X-ray images."""
