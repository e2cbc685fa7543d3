"""Lumen radius of 3D points from the masks of both views."""

from __future__ import annotations

import numpy as np

from autocar_ros.geometry.camera import Camera
from autocar_ros.types import FloatArray
from autocar_ros.vessels.skeleton import Centreline

SEARCH = 2.0  # mm; a centreline further away from the projection says nothing about this vessel
SHARPNESS = 6.0  # of the soft minimum
SMALLEST = 0.2  # mm


def view_radius(position: FloatArray, line: Centreline, camera: Camera) -> FloatArray:
    """Radius (N,) mm of points (N, 3) in one view, NaN where no centreline is near the projection."""
    pixels, depth = camera.project(position)
    size = camera.mm_per_pixel(depth)
    distance, index = line.query(pixels)
    known = (distance * size <= SEARCH) & camera.contains(pixels) & (depth > 0)
    return np.where(known, line.radius[index] * size, np.nan)


def fuse_radius(of_a: FloatArray, of_b: FloatArray) -> FloatArray:
    """Radius (N,) mm of both views, NaN where neither knows.

    Vessels that overlap in one view look thicker there, hardly ever thinner: so the mean where both agree, and
    the smaller where they do not (a power mean with a negative exponent does both).
    """
    both = np.maximum(np.stack([of_a, of_b]), SMALLEST)
    known = np.isfinite(both)
    count = known.sum(0)
    power = np.where(known, both, 1.0) ** -SHARPNESS * known
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((power.sum(0) / count) ** (-1.0 / SHARPNESS))


def fill_unknown(values: FloatArray, along: FloatArray, default: float) -> FloatArray:
    """Values (N,) along a curve with NaN filled by linear interpolation over `along` (N,)."""
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(values), default)
    return np.asarray(np.interp(along, along[known], values[known]))
