"""What the network should say of a known vessel tree: occupancy and centreness (paper, equations 3 and 4)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from autocar_ros.evaluation.graph_metrics import sample_centreline
from autocar_ros.sparse.voxels import Voxels
from autocar_ros.types import FloatArray, VesselGraph

VOXEL_SIZE = 0.5  # mm


class Labels(NamedTuple):
    """Occupied voxels of 0.5 mm, counted from the corner of the reconstructed box."""

    voxels: Tensor  # (N, 3) int64
    centreness: Tensor  # (N,) 0..1, see `Truth`


class Truth(NamedTuple):
    """Labels on all levels of the network."""

    levels: tuple[Voxels, Voxels, Voxels]  # occupied voxels of 2, 1 and 0.5 mm
    centreness: Tensor  # (N,) of the finest


def label_tree(graph: VesselGraph, origin: FloatArray) -> Labels:
    """Occupied voxels of a tree, its lumen the union of spheres along its centreline; `origin` (3,) mm of the box."""
    line = sample_centreline(graph)
    centres = (line.points - origin) / VOXEL_SIZE - 0.5
    radius = line.radius / VOXEL_SIZE
    low = np.floor(centres.min(0) - radius.max()).astype(np.int64)
    shape = np.ceil(centres.max(0) + radius.max()).astype(np.int64) - low + 1
    depth, distance = _splat(centres - low, radius, shape)
    index = np.argwhere(depth > 0)
    inside, away = depth[tuple(index.T)], distance[tuple(index.T)]
    index = index + low
    kept = (index >= 0).all(1)
    return Labels(torch.from_numpy(index[kept]), torch.from_numpy((inside / (inside + away))[kept]))


def truth_of(labels: Labels) -> Truth:
    """Return the labels on all levels."""
    fine, order = Voxels.from_indices(labels.voxels)
    middle = fine.down.coarse
    return Truth((middle.down.coarse, middle, fine), labels.centreness[order])


@njit(cache=True)
def _splat(centres, radius, shape):  # type: ignore[no-untyped-def]
    """Depth below the surface (0 outside) and distance from the centreline, voxels; (I, J, K) each."""
    depth = np.zeros((shape[0], shape[1], shape[2]), np.float32)
    distance = np.full((shape[0], shape[1], shape[2]), np.float32(1e6))
    for n in range(len(centres)):
        x, y, z = centres[n]
        r = radius[n]
        for i in range(max(int(np.ceil(x - r)), 0), min(int(np.floor(x + r)), shape[0] - 1) + 1):
            for j in range(max(int(np.ceil(y - r)), 0), min(int(np.floor(y + r)), shape[1] - 1) + 1):
                for k in range(max(int(np.ceil(z - r)), 0), min(int(np.floor(z + r)), shape[2] - 1) + 1):
                    d = np.sqrt((i - x) ** 2 + (j - y) ** 2 + (k - z) ** 2)
                    depth[i, j, k] = max(depth[i, j, k], r - d)
                    distance[i, j, k] = min(distance[i, j, k], d)
    return depth, distance
