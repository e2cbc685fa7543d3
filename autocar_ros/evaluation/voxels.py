"""Graphs and sparse volumes as masks on one grid, to be compared voxel by voxel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.spatial import KDTree

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.graph_metrics import sample_centreline
from autocar_ros.evaluation.metrics import Volume, skeleton
from autocar_ros.types import FloatArray, SparseVolume, VesselGraph
from autocar_ros.vessels.tree import spanning_forest


@dataclass(frozen=True)
class Grid:
    """A box of voxels; voxel (i, j, k) has its centre at origin + (ijk + 0.5) * voxel_size."""

    origin: FloatArray  # (3,) mm
    shape: tuple[int, int, int]
    voxel_size: float  # mm


def grid_around(*points: FloatArray, voxel_size: float = 0.5, margin: float = 5.0) -> Grid:
    """Grid that holds all points (N, 3) mm and `margin` mm beside them, on multiples of the voxel size."""
    everything = np.concatenate(points)
    low = np.floor((everything.min(0) - margin) / voxel_size).astype(int)
    high = np.ceil((everything.max(0) + margin) / voxel_size).astype(int)
    i, j, k = (int(n) for n in high - low)
    return Grid(low * voxel_size, (i, j, k), voxel_size)


def lumen(graph: VesselGraph, grid: Grid) -> Volume:
    """Voxels whose centre lies in the lumen of a graph; what is outside the grid is cut off."""
    line = sample_centreline(graph)
    volume = np.zeros(grid.shape, np.bool_)
    _fill_spheres(volume, (line.points - grid.origin) / grid.voxel_size - 0.5, line.radius / grid.voxel_size)
    return volume


def dense(volume: SparseVolume, grid: Grid, threshold: float = 0.5) -> Volume:
    """Voxels of a sparse volume with at least `threshold` occupancy; what is outside the grid is cut off.

    Raises `InvalidInputError` when the voxels are not of one size.
    """
    if not np.isclose(volume.voxel_size, grid.voxel_size):
        raise InvalidInputError(f"volume has voxels of {volume.voxel_size} mm, the grid of {grid.voxel_size} mm")
    centres = volume.points[volume.occupancy >= threshold]
    index = np.floor((centres - grid.origin) / grid.voxel_size).astype(int)
    index = index[((index >= 0) & (index < grid.shape)).all(1)]
    mask = np.zeros(grid.shape, np.bool_)
    mask[tuple(index.T)] = True
    return mask


def skeleton_graph(volume: Volume, grid: Grid) -> VesselGraph:
    """Thinned centreline of a mask as a graph: neighbouring voxels of the skeleton joined by a spanning forest."""
    points = grid.origin + (np.argwhere(skeleton(volume)) + 0.5) * grid.voxel_size
    n = len(points)
    pairs = KDTree(points).query_pairs(1.8 * grid.voxel_size, output_type="ndarray") if n else np.zeros((0, 2), int)
    length = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    return VesselGraph(
        position=points,
        radius=np.full(n, np.nan),
        edges=spanning_forest(n, pairs.astype(np.int64), length),
        branch=np.zeros(n, np.int64),
    )


@njit(cache=True)
def _fill_spheres(volume, centres, radius):  # type: ignore[no-untyped-def]
    """Set the voxels (I, J, K) within spheres; centres (N, 3) and radius (N,) in voxels, integers at voxel centres."""
    for n in range(len(centres)):
        x, y, z = centres[n]
        r = radius[n]
        for i in range(max(int(np.ceil(x - r)), 0), min(int(np.floor(x + r)), volume.shape[0] - 1) + 1):
            for j in range(max(int(np.ceil(y - r)), 0), min(int(np.floor(y + r)), volume.shape[1] - 1) + 1):
                for k in range(max(int(np.ceil(z - r)), 0), min(int(np.floor(z + r)), volume.shape[2] - 1) + 1):
                    if (i - x) ** 2 + (j - y) ** 2 + (k - z) ** 2 <= r * r:
                        volume[i, j, k] = True
