"""Which scattered point each node of a curve belongs to: curve-scatter matching (Algorithm 1 of the paper).

Dynamic programming along every curve finds the points q that minimise the sum of |p_i - q_i| over its nodes p and of
|(p_i - p_(i-1)) - (q_i - q_(i-1))| over its steps: near points, in the order of the curve, at its spacing. The paper
tries all M points for every node, O(N M^2); here only the nearest few are tried, O(N K^2).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from scipy.spatial import KDTree

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import FloatArray, IntArray
from autocar_ros.vessels.tree import Paths


def match_curves(
    position: FloatArray, curves: Paths, points: FloatArray, candidates: int = 8, reach: float = np.inf
) -> IntArray:
    """Match nodes of a graph to scattered points, curve by curve.

    Parameters
    ----------
    position : (N, D) of the nodes
    curves : of `vessels.tree.paths`, segments of the graph; a node of several takes the nearest of their points
    points : (M, D)
    candidates : nearest points that are tried for every node; from M on the result is that of Algorithm 1
    reach : farther points are not tried, unit of `position`

    Returns
    -------
    (N,) index of the point, -1 where none is in reach or the node is on no curve

    Raises
    ------
    InvalidInputError
        When nodes and points differ in dimension, or nothing may be tried.
    """
    if position.ndim != 2 or points.ndim != 2 or position.shape[1] != points.shape[1]:
        raise InvalidInputError(f"nodes {position.shape} and points {points.shape} must be (N, D) and (M, D)")
    if candidates < 1:
        raise InvalidInputError(f"candidates must be at least 1, got {candidates}")
    if len(points) == 0 or len(position) == 0:
        return np.full(len(position), -1, np.int64)
    ranks = np.arange(1, min(candidates, len(points)) + 1)
    near = np.asarray(KDTree(points).query(position, k=ranks, distance_upper_bound=reach)[1], np.int64)
    return np.asarray(_match(position.astype(float), curves.nodes, curves.ends, points.astype(float), near))


@njit(cache=True)
def _match(position, nodes, ends, points, near):  # type: ignore[no-untyped-def]
    """Point of every node (N,); `near` (N, K) are its candidates, nearest first, then M."""
    found = np.full(len(position), -1, np.int64)
    gap = np.full(len(position), np.inf)
    start = 0
    for end in ends:
        curve = nodes[start:end]
        curve = curve[near[curve, 0] < len(points)]  # over nodes without a point a step leads from one to the next
        best = _match_curve(position, curve, points, near)
        for i in range(len(curve)):
            distance = _apart(position[curve[i]], points[best[i]])
            if distance < gap[curve[i]]:
                found[curve[i]], gap[curve[i]] = best[i], distance
        start = end
    return found


@njit(cache=True)
def _match_curve(position, curve, points, near):  # type: ignore[no-untyped-def]
    """Points (C,) of least cost for the nodes (C,) of a curve."""
    cost, before = np.full((len(curve), near.shape[1]), np.inf), np.zeros((len(curve), near.shape[1]), np.int64)
    for i in range(len(curve)):
        for j in range(near.shape[1]):
            here = near[curve[i], j]
            if here == len(points):
                break
            least = 0.0 if i == 0 else np.inf
            for k in range(near.shape[1] if i > 0 else 0):
                if near[curve[i - 1], k] == len(points):
                    break
                change = 0.0
                for d in range(points.shape[1]):
                    step = position[curve[i], d] - position[curve[i - 1], d]
                    change += (step - points[here, d] + points[near[curve[i - 1], k], d]) ** 2
                total = cost[i - 1, k] + np.sqrt(change)
                if total < least:
                    least, before[i, j] = total, k
            cost[i, j] = least + _apart(position[curve[i]], points[here])
    best = np.empty(len(curve), np.int64)
    j = 0 if len(curve) == 0 else int(np.argmin(cost[-1]))
    for i in range(len(curve) - 1, -1, -1):
        best[i] = near[curve[i], j]
        j = before[i, j]
    return best


@njit(cache=True)
def _apart(a, b):  # type: ignore[no-untyped-def]
    square = 0.0
    for d in range(len(a)):
        square += (a[d] - b[d]) ** 2
    return np.sqrt(square)
