"""Exact line integrals through tapered tubes (numba).

A tube is cut at its nodes by the planes that halve the bend there, so that neighbouring pieces neither overlap nor
leave a gap. Where a branch leaves its parent, the part of its ray that already lies inside the parent is taken off.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import KDTree

from autocar_ros.geometry.camera import Camera
from autocar_ros.types import FloatArray, IntArray

Float32Image = NDArray[np.float32]


class Tubes:
    """The pieces of a tree of tubes: topology once, geometry at every call."""

    def __init__(self, position: FloatArray, radius: FloatArray, edges: IntArray, branch: IntArray) -> None:
        """Prepare tubes of nodes (N, 3) mm, (N,) mm, edges (E, 2) and branch (N,); the shape at rest finds rivals."""
        self.edges = edges
        self.radius = radius
        child_branch = branch[edges[:, 1]]
        self._next = _continuation(edges, child_branch)
        self._rival_start, self._rivals = _rivals(position, radius, edges, child_branch)

    def chords(
        self, camera: Camera, position: FloatArray, weight: FloatArray, out: Float32Image | None = None
    ) -> Float32Image:
        """Add the length in mm of every pixel's ray inside the tubes, times the weight there.

        Parameters
        ----------
        position : (N, 3) mm, of the nodes now
        weight : (N,) such as concentration; pieces of weight 0 cost nothing
        out : (rows, columns) float32 to add to; zeros if None
        """
        if out is None:
            out = np.zeros((camera.rows, camera.columns), np.float32)
        first, last = position[self.edges[:, 0]], position[self.edges[:, 1]]
        axis = last - first
        axis /= np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-9)
        end = axis.copy()
        begin = axis.copy()
        has_next = self._next >= 0
        joint = axis[has_next] + axis[self._next[has_next]]
        joint /= np.linalg.norm(joint, axis=1, keepdims=True)
        end[has_next] = joint
        begin[self._next[has_next]] = joint
        rays = camera.rays(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        base, step = rays[0], rays[1:] - rays[0]
        piece_weight = weight[self.edges].mean(axis=1)
        radius = self.radius[self.edges]
        _accumulate(
            out, camera.projection, camera.source, base, step, first, last, radius, begin, end, piece_weight,
            self._rival_start, self._rivals,
        )
        return out


def _continuation(edges: IntArray, branch: IntArray) -> IntArray:
    """(E,) the edge of the same branch that follows each edge, or -1."""
    starting = {(int(e[0]), int(b)): i for i, (e, b) in enumerate(zip(edges, branch, strict=True))}
    return np.array([starting.get((int(e[1]), int(b)), -1) for e, b in zip(edges, branch, strict=True)], np.int64)


def _rivals(position: FloatArray, radius: FloatArray, edges: IntArray, branch: IntArray) -> tuple[IntArray, IntArray]:
    """For each edge the earlier edges of other branches that share space with it, as start (E + 1,) and list."""
    middle = position[edges].mean(axis=1)
    size = radius[edges].max(axis=1)
    pairs = KDTree(middle).query_pairs(2 * size.max() + 0.5, output_type="ndarray")
    early, late = np.sort(pairs, axis=1).T
    touching = np.linalg.norm(middle[early] - middle[late], axis=1) < size[early] + size[late] + 0.5
    keep = touching & (branch[early] != branch[late])
    order = np.lexsort((early[keep], late[keep]))
    start = np.concatenate([[0], np.cumsum(np.bincount(late[keep], minlength=len(edges)))])
    return start.astype(np.int64), early[keep][order].astype(np.int64)


@njit(cache=True, fastmath=True)
def _interval(
    o: Any, v: Any, first: Any, axis: Any, length: float, r0: float, k: float, n0: Any, n1: Any
) -> tuple[float, float]:  # pragma: no cover
    """Part (t0, t1) of the ray o + t v inside one piece; empty when t1 <= t0."""
    ox, oy, oz = o[0] - first[0], o[1] - first[1], o[2] - first[2]
    oa = ox * axis[0] + oy * axis[1] + oz * axis[2]
    va = v[0] * axis[0] + v[1] * axis[1] + v[2] * axis[2]
    r = r0 + k * oa
    kva = k * va
    a = max(v[0] * v[0] + v[1] * v[1] + v[2] * v[2] - va * va - kva * kva, 1e-6)
    b = ox * v[0] + oy * v[1] + oz * v[2] - oa * va - kva * r
    c = ox * ox + oy * oy + oz * oz - oa * oa - r * r
    disc = b * b - a * c
    if disc <= 0:
        return 0.0, 0.0
    root = math.sqrt(disc)
    t0, t1 = (-b - root) / a, (-b + root) / a
    on = ox * n0[0] + oy * n0[1] + oz * n0[2]
    vn = v[0] * n0[0] + v[1] * n0[1] + v[2] * n0[2]
    if vn > 1e-9:
        t0 = max(t0, -on / vn)
    elif vn < -1e-9:
        t1 = min(t1, -on / vn)
    elif on < 0:
        return 0.0, 0.0
    on = (ox - length * axis[0]) * n1[0] + (oy - length * axis[1]) * n1[1] + (oz - length * axis[2]) * n1[2]
    vn = v[0] * n1[0] + v[1] * n1[1] + v[2] * n1[2]
    if vn > 1e-9:
        t1 = min(t1, -on / vn)
    elif vn < -1e-9:
        t0 = max(t0, -on / vn)
    elif on > 0:
        return 0.0, 0.0
    return t0, t1


@njit(cache=True, fastmath=True)
def _accumulate(
    out: Any, projection: Any, source: Any, base: Any, step: Any, first: Any, last: Any, radius: Any, begin: Any,
    end: Any, weight: Any, rival_start: Any, rivals: Any,
) -> None:  # pragma: no cover
    rows, columns = out.shape
    p = projection
    o, v = np.empty(3), np.empty(3)
    count = len(first)
    length, slope = np.empty(count), np.empty(count)
    axis = np.empty((count, 3))
    for i in range(count):
        d = last[i] - first[i]
        length[i] = max(math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]), 1e-9)
        axis[i] = d / length[i]
        slope[i] = (radius[i, 1] - radius[i, 0]) / length[i]
    focal = math.sqrt(p[0, 0] ** 2 + p[0, 1] ** 2 + p[0, 2] ** 2)
    focal = max(focal, math.sqrt(p[1, 0] ** 2 + p[1, 1] ** 2 + p[1, 2] ** 2))
    for i in range(count):
        if weight[i] <= 0:
            continue
        x0, x1, y0, y1 = 1e9, -1e9, 1e9, -1e9
        depth = 0.0
        for q in (first[i], last[i]):
            w = p[2, 0] * q[0] + p[2, 1] * q[1] + p[2, 2] * q[2] + p[2, 3]
            x = (p[0, 0] * q[0] + p[0, 1] * q[1] + p[0, 2] * q[2] + p[0, 3]) / w
            y = (p[1, 0] * q[0] + p[1, 1] * q[1] + p[1, 2] * q[2] + p[1, 3]) / w
            x0, x1, y0, y1 = min(x0, x), max(x1, x), min(y0, y), max(y1, y)
            depth = w
        reach = max(radius[i, 0], radius[i, 1]) * focal / depth * 1.1 + 1
        for row in range(max(int(y0 - reach), 0), min(int(y1 + reach) + 1, rows - 1) + 1):
            for column in range(max(int(x0 - reach), 0), min(int(x1 + reach) + 1, columns - 1) + 1):
                for m in range(3):
                    v[m] = base[m] + column * step[0, m] + row * step[1, m]
                    o[m] = source[m] + depth * v[m]
                t0, t1 = _interval(o, v, first[i], axis[i], length[i], radius[i, 0], slope[i], begin[i], end[i])
                inside = t1 - t0
                if inside <= 0:
                    continue
                for n in range(rival_start[i], rival_start[i + 1]):
                    j = rivals[n]
                    s0, s1 = _interval(o, v, first[j], axis[j], length[j], radius[j, 0], slope[j], begin[j], end[j])
                    inside -= max(min(t1, s1) - max(t0, s0), 0.0)
                if inside > 0:
                    norm = math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
                    out[row, column] += weight[i] * inside * norm
