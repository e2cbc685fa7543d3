"""Sparse back-projection: voxels that both masks allow, refined from 8 mm down to the voxel size, never dense.

A voxel stays when its projection lies within a tolerance of both masks (in mm at the depth of the voxel). On a coarse
level the tolerance grows by half the voxel's diagonal: a distance map changes by at most one pixel a pixel, so no fine
voxel is lost with its parent. The hull of two views is full of ghosts; near lifted curves (`tube_volume`) few remain.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import KDTree

from autocar_ros.config import ReconstructionConfig
from autocar_ros.geometry.camera import Camera
from autocar_ros.types import FloatArray, IntArray, SparseVolume

COARSEST = 8.0  # mm
HALF_DIAGONAL = np.sqrt(3) / 2  # of a unit voxel
CHILDREN = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(8, 3)


class Views(NamedTuple):
    """What back-projection needs of both views."""

    projection: FloatArray  # (2, 3, 4)
    pixel_size: FloatArray  # (2,) mm per px and mm of depth
    outside: tuple[FloatArray, FloatArray]  # (rows, columns) px from a pixel to the mask, 0 inside


def make_views(a: Camera, b: Camera, outside_a: FloatArray, outside_b: FloatArray) -> Views:
    """Views of two cameras and the distance maps of their masks (`skeleton.distance_outside`)."""
    size = np.array([float(a.mm_per_pixel(1.0)), float(b.mm_per_pixel(1.0))])
    return Views(np.stack([a.projection, b.projection]), size, (outside_a, outside_b))


def levels(voxel_size: float) -> list[float]:
    """Voxel sizes from coarse to fine: halves of 8 mm that end at `voxel_size`, or 16 times it if that is smaller."""
    count = max(int(np.floor(np.log2(COARSEST / voxel_size) + 1e-9)), 0)
    return [voxel_size * 2.0**k for k in range(count, -1, -1)]


def hull(views: Views, voxel_size: float, config: ReconstructionConfig) -> SparseVolume:
    """Visual hull of both masks with `config.tolerance`; occupancy and centreness tell how well the masks agree."""
    voxels, origin = _refine(views, voxel_size, config, None)
    outside = mask_distance(origin + (voxels + 0.5) * voxel_size, views)
    agreement = _agreement(outside, config.tolerance)
    return SparseVolume(voxels, origin, voxel_size, agreement, agreement)


def tube_volume(views: Views, points: FloatArray, radius: FloatArray, config: ReconstructionConfig) -> SparseVolume:
    """Occupied voxels around lifted curves, points (N, 3) and radius (N,) mm.

    Occupancy is the share of the voxel inside the tube times the agreement of the masks; centreness falls from 1 on
    the curve to 0 on the wall, times the same agreement. Where a mask does not show what was lifted, both are low.
    """
    voxels, origin = _refine(views, config.voxel_size, config, (points, radius))
    centers = origin + (voxels + 0.5) * config.voxel_size
    tree = KDTree(points)
    distance, nearest = (np.asarray(found) for found in tree.query(centers))
    agreement = _agreement(mask_distance(centers, views), config.tolerance)
    inside = np.clip(0.5 + (radius[nearest] - distance) / config.voxel_size, 0.0, 1.0)
    centreness = np.clip(1.0 - distance / np.maximum(radius[nearest], config.voxel_size), 0.0, 1.0)
    keep = inside > 0
    return SparseVolume(
        voxels[keep], origin, config.voxel_size, (inside * agreement)[keep], (centreness * agreement)[keep]
    )


def mask_distance(points: FloatArray, views: Views) -> FloatArray:
    """Distance (2, N) mm of the projections of points (N, 3) from both masks; infinite outside the image."""
    found = []
    for projection, size, outside in zip(views.projection, views.pixel_size, views.outside, strict=True):
        h = points @ projection[:, :3].T + projection[:, 3]
        rows, columns = outside.shape
        column, row = np.rint(h[:, 0] / h[:, 2]), np.rint(h[:, 1] / h[:, 2])
        inside = (h[:, 2] > 0) & (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        column, row = np.where(inside, column, 0).astype(int), np.where(inside, row, 0).astype(int)
        found.append(np.where(inside, outside[row, column] * h[:, 2] * size, np.inf))
    return np.stack(found)


def _agreement(outside: FloatArray, tolerance: float) -> FloatArray:
    """1 inside both masks, 0 from the tolerance on."""
    return np.asarray(np.clip(1.0 - outside.max(0) / max(tolerance, 1e-9), 0.0, 1.0))


def _refine(
    views: Views, voxel_size: float, config: ReconstructionConfig, tube: tuple[FloatArray, FloatArray] | None
) -> tuple[IntArray, FloatArray]:
    """Voxels (N, 3) on the finest level and the corner (3,) mm of the box."""
    sizes = levels(voxel_size)
    count = int(np.ceil(config.box_size / sizes[0]))
    origin = np.full(3, -count * sizes[0] / 2)
    axis = np.arange(count)
    voxels = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    for size in sizes:
        if size < sizes[0]:
            voxels = (2 * voxels[:, None] + CHILDREN).reshape(-1, 3)
        slack = 0.0 if size == sizes[-1] else size * HALF_DIAGONAL
        voxels = voxels[keep_voxels(voxels, size, origin, *views, config.tolerance, slack)]
        if tube is not None:
            # half a diagonal also on the last level: a voxel partly in the tube is part of it
            voxels = voxels[_near_tube(origin + (voxels + 0.5) * size, *tube, size * HALF_DIAGONAL)]
    return voxels, origin


def _near_tube(points: FloatArray, curve: FloatArray, radius: FloatArray, slack: float) -> NDArray[np.bool_]:
    """Whether points (N, 3) lie within the tube of curve points (M, 3) with radius (M,), or `slack` beside it."""
    reach = float(radius.max(initial=0.0)) + slack
    distance, nearest = (np.asarray(found) for found in KDTree(curve).query(points, distance_upper_bound=reach))
    near = np.isfinite(distance)
    near[near] = distance[near] <= radius[nearest[near]] + slack
    return np.asarray(near, bool)


@njit(cache=True)
def keep_voxels(voxels, size, origin, projection, pixel_size, outside, tolerance, slack):  # type: ignore[no-untyped-def]
    """Whether voxels (N, 3) of one level lie within `tolerance` + `slack` mm of both masks (`Views`).

    A voxel that projects beside an image by no more than `slack` stays: a part of it may be inside.
    """
    keep = np.ones(len(voxels), np.bool_)
    for i in range(len(voxels)):
        x = origin[0] + (voxels[i, 0] + 0.5) * size
        y = origin[1] + (voxels[i, 1] + 0.5) * size
        z = origin[2] + (voxels[i, 2] + 0.5) * size
        for view in range(2):
            p, far = projection[view], outside[view]
            rows, columns = far.shape
            w = p[2, 0] * x + p[2, 1] * y + p[2, 2] * z + p[2, 3]
            if w <= 0:
                keep[i] = False
                break
            u = round((p[0, 0] * x + p[0, 1] * y + p[0, 2] * z + p[0, 3]) / w)
            v = round((p[1, 0] * x + p[1, 1] * y + p[1, 2] * z + p[1, 3]) / w)
            iu, iv = min(max(u, 0), columns - 1), min(max(v, 0), rows - 1)
            beside = max(abs(u - iu), abs(v - iv))
            mm = pixel_size[view] * w
            if beside * mm > slack or (far[iv, iu] - beside) * mm > tolerance + slack:
                keep[i] = False
                break
    return keep


def keep_voxels_numpy(voxels, size, origin, projection, pixel_size, outside, tolerance, slack):  # type: ignore[no-untyped-def]
    """Twin of `keep_voxels` in numpy."""
    points = origin + (voxels + 0.5) * size
    keep = np.ones(len(voxels), bool)
    for p, mm_of_depth, far in zip(projection, pixel_size, outside, strict=True):
        h = points @ p[:, :3].T + p[:, 3]
        pixels = np.rint(h[:, :2] / h[:, 2:]).astype(np.int64)
        inside = np.clip(pixels, 0, np.array(far.shape[::-1]) - 1)
        beside = np.abs(pixels - inside).max(1)
        mm = mm_of_depth * h[:, 2]
        distance = (far[inside[:, 1], inside[:, 0]] - beside) * mm
        keep &= (h[:, 2] > 0) & (beside * mm <= slack) & (distance <= tolerance + slack)
    return keep
