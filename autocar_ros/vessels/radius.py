"""Lumen radius of 3D points from the masks of both views, and along the branches of a graph.

The silhouette of a round vessel is as wide as the vessel, whatever the angle between its axis and the ray: only a
vessel that runs along the ray has none.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from autocar_ros.geometry.camera import Camera
from autocar_ros.imaging.profiles import vessel_width
from autocar_ros.types import FloatArray, IntArray, Mask
from autocar_ros.vessels import tree
from autocar_ros.vessels.skeleton import Centreline

SEARCH = 2.0  # mm; a vessel further away from the projection says nothing about this one
STEEPEST = 0.3  # sine of the angle between vessel and ray below which a view does not show the vessel's width
ALIKE, UNLIKE = 1.1, 1.3  # ratio of the radii of both views up to which they agree, from which they do not
SMALLEST = 0.2  # mm
PEAK = 8  # nodes; where a vessel is thicker than on both sides for less, another one overlaps it
BULGE = 1.1  # times as thick
END = 4  # nodes; at the end of a branch shorter bulges only, not to lose what is behind a stenosis there
SMOOTHING = 0.5  # nodes: takes noise away, a stenosis of 6 mm loses 2 % of its depth


def view_radius(position: FloatArray, line: Centreline, camera: Camera) -> FloatArray:
    """Radius (N,) mm of points (N, 3) by the centreline nearest in one view, NaN where none is near."""
    pixels, depth = camera.project(position)
    size = camera.mm_per_pixel(depth)
    distance, index = line.query(pixels)
    known = (distance * size <= SEARCH) & camera.contains(pixels) & (depth > 0)
    return np.where(known, line.radius[index] * size, np.nan)


def lumen_radius(position: FloatArray, tangent: FloatArray, camera: Camera, mask: Mask) -> FloatArray:
    """Radius of vessels from their width in one view, sub-pixel.

    Parameters
    ----------
    position : (N, 3) mm
    tangent : (N, 3) unit, along the vessel
    mask : (rows, columns) uint8 0..255

    Returns
    -------
    (N,) mm, NaN where the view shows no clear border: no vessel within `SEARCH`, another one across it, seen end on
    """
    focal = 1.0 / float(camera.mm_per_pixel(1.0))
    return np.asarray(_lumen(position, tangent, camera.projection, camera.source, focal, mask))


@njit(cache=True)
def _lumen(position, tangent, projection, source, focal, mask):  # type: ignore[no-untyped-def]
    """`lumen_radius` by a camera's projection (3, 4), source (3,) mm and focal length in px."""
    radius = np.full(len(position), np.nan)
    pixel = np.empty(3)  # homogeneous
    for i in range(len(position)):
        along = distance = 0.0
        pixel[:] = projection[:, 3]
        for axis in range(3):
            ray = position[i, axis] - source[axis]
            along += ray * tangent[i, axis]
            distance += ray * ray
            for r in range(3):
                pixel[r] += projection[r, axis] * position[i, axis]
        x, y, depth = pixel[0] / pixel[2], pixel[1] / pixel[2], pixel[2]
        inside = depth > 0 and 0 <= x <= mask.shape[1] - 1 and 0 <= y <= mask.shape[0] - 1
        if not inside or distance - along**2 < STEEPEST**2 * distance:
            continue
        dx = dy = 0.0
        for axis in range(3):
            dx += (projection[0, axis] - x * projection[2, axis]) * tangent[i, axis]
            dy += (projection[1, axis] - y * projection[2, axis]) * tangent[i, axis]
        length, size = max(math.sqrt(dx * dx + dy * dy), 1e-9), depth / focal
        radius[i] = vessel_width(mask, x, y, dx / length, dy / length, SEARCH / size) * size / 2
    return radius


def fuse_radius(of_a: FloatArray, of_b: FloatArray) -> FloatArray:
    """Radius (N,) mm of both views, NaN where neither knows.

    Vessels that overlap in one view look thicker there, hardly ever thinner: the mean where both agree, the smaller
    where they do not, and between these in between.
    """
    small, large = np.fmin(of_a, of_b), np.fmax(of_a, of_b)
    ratio = large / np.maximum(small, SMALLEST)
    weight = np.clip((UNLIKE - ratio) / (UNLIKE - ALIKE), 0.0, 1.0) / 2
    return np.asarray(small + weight * (large - small))


def fill_unknown(values: FloatArray, along: FloatArray, default: float) -> FloatArray:
    """Values (N,) along a curve with NaN filled by linear interpolation over `along` (N,)."""
    known = np.isfinite(values)
    if not known.any():
        return np.full(len(values), default)
    return np.asarray(np.interp(along, along[known], values[known]))


def branch_radius(radius: FloatArray, branch: IntArray) -> FloatArray:
    """Radius (N,) mm without bulges, gaps and noise along every branch (N,), whose nodes follow each other.

    A bulge shorter than `PEAK` nodes is another vessel across this one: neighbours take its place. A narrowing of any
    length stays.
    """
    result = radius.copy()
    default = float(np.nanmedian(radius)) if np.isfinite(radius).any() else 1.0
    for k in np.unique(branch):
        nodes = np.flatnonzero(branch == k)
        along = nodes.astype(float)
        filled = fill_unknown(radius[nodes], along, default)
        beyond = np.full(PEAK - END, np.inf)
        level = opening(np.concatenate([beyond, filled, beyond]), PEAK)[len(beyond) : -len(beyond)]
        clear = np.where(filled <= BULGE * level, filled, np.nan)
        result[nodes] = tree.smooth_path(fill_unknown(clear, along, default)[:, None], SMOOTHING)[:, 0]
    return result


@njit(cache=True)
def opening(values, size):  # type: ignore[no-untyped-def]
    """Morphological opening of (N,) values: peaks narrower than `size` are cut, also at the ends, valleys stay."""
    count = len(values)
    size = min(size, count)
    result = np.full(count, -np.inf)
    for first in range(count - size + 1):
        least = values[first : first + size].min()
        for k in range(first, first + size):
            result[k] = max(result[k], least)
    return result
