"""Bring a graph of the past up to the present."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from autocar_ros.types import FloatArray

NEIGHBOURS = 4  # nodes of the moving graph that carry a point


def carry(points: FloatArray, then: FloatArray, now: FloatArray) -> FloatArray:
    """Move points (M, 3) mm as the nearest of the nodes that moved from `then` (N, 3) to `now` (N, 3).

    Displacements are averaged over the 4 nearest nodes with inverse squared distance as weight.
    """
    distance, node = KDTree(then).query(points, k=list(range(1, min(NEIGHBOURS, len(then)) + 1)))
    weight = 1.0 / (np.asarray(distance) ** 2 + 0.01)
    weight /= weight.sum(1, keepdims=True)
    return np.asarray(points + np.einsum("mk,mkc->mc", weight, (now - then)[node]))
