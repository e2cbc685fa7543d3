"""Sparse back-projection: voxels that all masks allow, refined from 8 mm down to the voxel size, never dense.

A voxel stays when its projection lies within a tolerance of every mask, in mm at the depth of the voxel (paper,
equations 5 and 8). On a coarse level the tolerance grows by what a voxel's children may lie off its centre: a distance
map changes by at most one pixel a pixel, so no fine voxel is lost with its parent. The hull of two views is full of
ghosts; near lifted curves (`tube_volume`) few remain. Any number of views from two on; all on the device of `Views`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor
from torch.nn import functional

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry import camera
from autocar_ros.geometry.camera import Camera
from autocar_ros.types import DistanceMap, FloatArray, SparseVolume

COARSEST = 8.0  # mm
HULL_VOXEL = 2.0  # mm: where the network begins, and gaps of a graph are closed
HALF_DIAGONAL = math.sqrt(3) / 2  # of a unit voxel
STRETCH = 1.1  # a step of 1 mm moves a projection by so many mm at its depth: up to 20 degrees off the axis
ROUNDING = math.sqrt(2)  # px, by which rounding changes the distance of two projections at most

Inside = Callable[[FloatArray, float], FloatArray]  # centres (N, 3) mm, voxel size mm -> bool (N,)


class Views(NamedTuple):
    """What back-projection needs of V views."""

    projection: Tensor  # (V, 3, 4) world mm -> px
    pixel_size: Tensor  # (V,) mm per px and mm of depth
    outside: tuple[Tensor, ...]  # of every view (rows, columns) px from a pixel to the mask, 0 inside

    def to(self, device: torch.device | str) -> Views:
        """Return a copy on a device."""
        maps = tuple(outside.to(device) for outside in self.outside)
        return Views(self.projection.to(device), self.pixel_size.to(device), maps)


def make_views(
    cameras: Sequence[Camera], outside: Sequence[DistanceMap], device: torch.device | str | None = None
) -> Views:
    """Views in float32 of cameras and the distance maps of their masks (`skeleton.distance_outside`).

    Raises
    ------
    InvalidInputError
        When there are fewer than two views, or a map is not as large as its camera's image.
    """
    if len(cameras) < 2 or len(cameras) != len(outside):
        raise InvalidInputError(
            f"back-projection needs two views or more and a mask for each: got {len(cameras)} cameras and "
            f"{len(outside)} masks"
        )
    for seen, distance in zip(cameras, outside, strict=True):
        if distance.shape != (seen.rows, seen.columns):
            raise InvalidInputError(
                f"the camera's image has {seen.rows} x {seen.columns} pixels, its mask {distance.shape}: "
                "give the pose of the image that the mask was made from"
            )
    return Views(
        torch.from_numpy(np.stack([seen.projection for seen in cameras])).float(),
        torch.tensor([float(seen.mm_per_pixel(1.0)) for seen in cameras]),
        tuple(torch.from_numpy(distance).float().contiguous() for distance in outside),
    ).to(device or "cpu")


def project(points: Tensor, views: Views) -> tuple[Tensor, Tensor]:
    """Pixels (V, N, 2) and depths (V, N) mm of points (N, 3) mm; behind a source (depth <= 0) a pixel means nothing."""
    pixels, depth = camera.project(views.projection, points)
    return pixels, depth


def gather(maps: Sequence[Tensor], pixels: Tensor, scale: float = 1.0) -> Tensor:
    """Values (V, N, C) of one map (C, rows, columns) a view at its pixels (V, N, 2): equation 7 of the paper.

    Bilinear, with the border's values beyond it; differentiable in maps and pixels. `scale` is the size of the maps
    over that of the images: pixels stay where they are in the picture, (p + 0.5) scale - 0.5 in a smaller one.
    """
    found = []
    for values, at in zip(maps, pixels, strict=True):
        size = at.new_tensor(values.shape[:0:-1])
        grid = (at + 0.5) * (2 * scale / size) - 1  # -1 and 1 are the outer edges of the map
        found.append(
            functional.grid_sample(values[None], grid[None, None], padding_mode="border", align_corners=False)[0, :, 0]
        )
    return torch.stack(found).transpose(1, 2)


def mask_distance(points: Tensor, views: Views) -> Tensor:
    """Distance (V, N) mm of the projections of points (N, 3) mm from every mask; infinite outside the image."""
    found = []
    for k in range(len(views.outside)):
        nearest = _nearest_pixel(points, views, k)
        seen = (nearest.depth > 0) & (nearest.beside == 0)
        found.append(torch.where(seen, nearest.distance * nearest.size, torch.inf))
    return torch.stack(found)


def candidates(index: Tensor, size: float, origin: Tensor, views: Views, tolerance: float, slack: float) -> Tensor:
    """Whether voxels of one level are near enough to all masks (equations 5 and 8 of the paper).

    Parameters
    ----------
    index : (N, 3) voxels
    size : of a voxel, mm
    origin : (3,) mm, corner of the box
    tolerance : mm that the projection of a voxel may lie off a mask
    slack : mm more than that, and how far beside the image a voxel may project: a part of it may be inside

    Returns
    -------
    (N,) bool
    """
    points = origin + (index + 0.5) * size
    rows = torch.arange(len(index), device=index.device)
    for k in range(len(views.outside)):  # every view only asks about what the others left
        nearest = _nearest_pixel(points, views, k)
        near = (nearest.distance * nearest.size <= tolerance + slack) & (nearest.beside * nearest.size <= slack)
        kept = (near & (nearest.depth > 0)).nonzero()[:, 0]
        rows, points = rows.index_select(0, kept), points.index_select(0, kept)
    return torch.zeros(len(index), dtype=torch.bool, device=index.device).index_fill_(0, rows, True)


def levels(voxel_size: float) -> list[float]:
    """Voxel sizes from coarse to fine: halves of 8 mm that end at `voxel_size`, or 16 times it if that is smaller."""
    count = max(int(np.floor(np.log2(COARSEST / voxel_size) + 1e-9)), 0)
    return [voxel_size * 2.0**k for k in range(count, -1, -1)]


def box_origin(box_size: float, coarsest: float = COARSEST) -> FloatArray:
    """Corner (3,) mm of the box around the isocentre, made of whole voxels of the coarsest level."""
    return np.full(3, -math.ceil(box_size / coarsest) * coarsest / 2)


def coarse_voxels(box_size: float, views: Views, coarsest: float = COARSEST) -> tuple[Tensor, Tensor]:
    """All voxels (N, 3) of the coarsest level, and the corner (3,) mm of their box; on the device of the views."""
    axis = torch.arange(math.ceil(box_size / coarsest), device=views.projection.device)
    origin = torch.from_numpy(box_origin(box_size, coarsest)).to(views.projection)
    return torch.cartesian_prod(axis, axis, axis), origin


def refine(
    views: Views, voxel_size: float, config: ReconstructionConfig, inside: Inside | None = None
) -> tuple[Tensor, Tensor]:
    """Voxels (N, 3) that all masks allow, found from coarse to fine, and the corner (3,) mm of their box.

    `inside` may rule out more on every level; what it rules out, its children should not be wanted of.
    """
    sizes = levels(voxel_size)
    index, origin = coarse_voxels(config.box_size, views, sizes[0])
    blur = ROUNDING * _largest_pixel(views, config.box_size)
    for size in sizes:
        if size < sizes[0]:
            index = children(index)
        slack = STRETCH * (size - voxel_size) * HALF_DIAGONAL + blur if size > voxel_size else 0.0
        index = index[candidates(index, size, origin, views, config.tolerance, slack)]
        if inside is not None:
            points = (origin + (index + 0.5) * size).double().cpu().numpy()
            index = index[torch.from_numpy(inside(points, size)).to(index.device)]
    return index, origin


def children(index: Tensor) -> Tensor:
    """Voxels (8 N, 3) of half the size in voxels (N, 3), parent after parent."""
    half = torch.arange(2, device=index.device)
    return (2 * index[:, None] + torch.cartesian_prod(half, half, half)).reshape(-1, 3)


def hull(views: Views, voxel_size: float, config: ReconstructionConfig) -> SparseVolume:
    """Visual hull of all masks with `config.tolerance`; occupancy and centreness tell how well the masks agree."""
    index, origin = refine(views, voxel_size, config)
    agreement = _agreement(origin + (index + 0.5) * voxel_size, views, config.tolerance)
    return SparseVolume(index.cpu().numpy(), origin.double().cpu().numpy(), voxel_size, agreement, agreement)


def tube_volume(views: Views, points: FloatArray, radius: FloatArray, config: ReconstructionConfig) -> SparseVolume:
    """Occupied voxels around lifted curves, points (N, 3) and radius (N,) mm.

    Occupancy is the share of the voxel inside the tube times the agreement of the masks; centreness falls from 1 on
    the curve to 0 on the wall, times the same agreement. Where a mask does not show what was lifted, both are low.
    """
    size, tree = config.voxel_size, KDTree(points)

    def near_tube(centers: FloatArray, voxel: float) -> FloatArray:
        # half a diagonal also on the last level: a voxel partly in the tube is part of it
        slack = voxel * HALF_DIAGONAL
        reach = float(radius.max(initial=0.0)) + slack
        distance, nearest = (np.asarray(found) for found in tree.query(centers, distance_upper_bound=reach))
        return np.asarray(distance <= np.append(radius, 0.0)[nearest] + slack)

    index, origin = refine(views, size, config, near_tube)
    centers = origin + (index + 0.5) * size
    agreement = _agreement(centers, views, config.tolerance)
    distance, nearest = (np.asarray(found) for found in tree.query(centers.double().cpu().numpy()))
    inside = np.clip(0.5 + (radius[nearest] - distance) / size, 0.0, 1.0)
    centreness = np.clip(1.0 - distance / np.maximum(radius[nearest], size), 0.0, 1.0)
    keep = inside > 0
    voxels, corner = index.cpu().numpy(), origin.double().cpu().numpy()
    return SparseVolume(voxels[keep], corner, size, (inside * agreement)[keep], (centreness * agreement)[keep])


class _Nearest(NamedTuple):
    """The pixel of an image nearest to the projections of N points."""

    distance: Tensor  # (N,) px from there to the mask
    beside: Tensor  # (N,) px from the projection to there, 0 inside the image
    depth: Tensor  # (N,) mm
    size: Tensor  # (N,) mm per px


def _nearest_pixel(points: Tensor, views: Views, view: int) -> _Nearest:
    projection, outside = views.projection[view], views.outside[view]
    rows, columns = outside.shape
    x, y, depth = torch.addmm(projection[:, 3:], projection[:, :3], points.T)  # long rows: twice as fast as (N, 3)
    ahead = depth.clamp_min(1e-6)  # what lies behind the source is told by its depth
    column, row = (x / ahead).round_(), (y / ahead).round_()
    near_column, near_row = column.clamp(0, columns - 1), row.clamp(0, rows - 1)
    beside = torch.maximum((column - near_column).abs_(), (row - near_row).abs_())
    place = near_row.long().mul_(columns).add_(near_column.long())
    return _Nearest(outside.reshape(-1).index_select(0, place), beside, depth, depth * views.pixel_size[view])


def _largest_pixel(views: Views, box_size: float) -> float:
    """Size in mm of a pixel at the far end of the box, of the coarsest view."""
    return float((views.pixel_size * (views.projection[:, 2, 3] + box_size * HALF_DIAGONAL)).max())


def _agreement(points: Tensor, views: Views, tolerance: float) -> FloatArray:
    """1 inside all masks, 0 from the tolerance on: (N,) for points (N, 3)."""
    far = mask_distance(points, views).amax(0)
    return (1 - far / max(tolerance, 1e-9)).clamp(0, 1).double().cpu().numpy()
