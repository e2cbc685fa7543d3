"""Bring a graph of the past up to the present."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from autocar_ros.types import FloatArray

NEIGHBOURS = 4  # nodes of the moving graph that carry a point
FLAT = 0.05  # of the largest extent of the nodes, below which they do not tell how space is stretched that way


def carry(points: FloatArray, then: FloatArray, now: FloatArray) -> FloatArray:
    """Move points (M, 3) mm as the nodes that moved from `then` (N, 3) to `now` (N, 3): as all, and as the nearest.

    The best affine motion of all nodes; what they moved beside it is averaged over the 4 nearest nodes with inverse
    squared distance as weight.
    """
    middle, moved = then.mean(0), now - then
    stretch = np.linalg.lstsq(then - middle, moved - moved.mean(0), rcond=FLAT)[0]
    beside = moved - (then - middle) @ stretch
    distance, node = KDTree(then).query(points, k=list(range(1, min(NEIGHBOURS, len(then)) + 1)))
    weight = 1.0 / (np.asarray(distance) ** 2 + 0.01)
    weight /= weight.sum(1, keepdims=True)
    return np.asarray(points + (points - middle) @ stretch + np.einsum("mk,mkc->mc", weight, beside[node]))
