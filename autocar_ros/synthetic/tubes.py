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
ALONG = 1e-6  # squared sine of the angle between ray and tube, less the squared slope of the radius


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
        length = np.maximum(np.linalg.norm(axis, axis=1), 1e-9)
        axis /= length[:, None]
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
        piece = _pieces(camera.source, first, axis, length, radius, begin, end)
        _accumulate(
            out, camera.projection, base, step, first, last, radius, piece, piece_weight,
            self._rival_start, self._rivals,
        )  # fmt: skip
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
    i: int, x: float, y: float, z: float, depth: float, piece: Any
) -> tuple[float, float]:  # pragma: no cover
    """Part (t0, t1) of the ray source + t (x, y, z) inside piece i, near t = depth; empty when t1 <= t0."""
    p = piece[i]
    along = x * p[0] + y * p[1] + z * p[2]
    widening = p[3] * along
    a = x * x + y * y + z * z - along * along - widening * widening
    b = x * p[4] + y * p[5] + z * p[6] - p[7] * along
    c = p[8]
    middle = 0.0
    if a < ALONG:  # the ray runs along the tube: as if it did not get thinner or thicker from here on
        middle = depth
        c += (2 * b + a * depth) * depth
        b += a * depth
        a = ALONG
    disc = b * b - a * c
    if disc <= 0:
        return 0.0, 0.0
    root = math.sqrt(disc)
    t0, t1 = middle + (-b - root) / a, middle + (-b + root) / a
    for n, side in ((9, 1.0), (13, -1.0)):  # inside is ahead of the first plane and behind the second
        over = side * p[n + 3]
        rise = side * (x * p[n] + y * p[n + 1] + z * p[n + 2])
        if rise > 1e-9:
            t0 = max(t0, -over / rise)
        elif rise < -1e-9:
            t1 = min(t1, -over / rise)
        elif over < 0:
            return 0.0, 0.0
    return t0, t1


def _pieces(
    source: FloatArray,
    first: FloatArray,
    axis: FloatArray,
    length: FloatArray,
    radius: FloatArray,
    begin: FloatArray,
    end: FloatArray,
) -> FloatArray:
    """What `_interval` needs to know of each piece, (E, 17), for rays from one source.

    With e from the first node to the source and r the radius, taken on along the axis to where the source is: axis,
    slope of the radius, e, its part along the axis plus slope * r, distance^2 from the axis less r^2, and for the
    planes at either end the normal and the height of the source above it.
    """
    e = source - first
    along = np.sum(e * axis, axis=1)
    slope = (radius[:, 1] - radius[:, 0]) / length
    r = radius[:, 0] + slope * along
    return np.column_stack([
        axis, slope, e, along + slope * r, np.sum(e * e, axis=1) - along**2 - r**2,
        begin, np.sum(e * begin, axis=1), end, np.sum((e - length[:, None] * axis) * end, axis=1),
    ])  # fmt: skip


@njit(cache=True, fastmath=True)
def _accumulate(
    out: Any,
    projection: Any,
    base: Any,
    step: Any,
    first: Any,
    last: Any,
    radius: Any,
    piece: Any,
    weight: Any,
    rival_start: Any,
    rivals: Any,
) -> None:  # pragma: no cover
    rows, columns = out.shape
    p = projection
    focal = math.sqrt(p[0, 0] ** 2 + p[0, 1] ** 2 + p[0, 2] ** 2)
    focal = max(focal, math.sqrt(p[1, 0] ** 2 + p[1, 1] ** 2 + p[1, 2] ** 2))
    for i in range(len(first)):
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
                vx = base[0] + column * step[0, 0] + row * step[1, 0]
                vy = base[1] + column * step[0, 1] + row * step[1, 1]
                vz = base[2] + column * step[0, 2] + row * step[1, 2]
                t0, t1 = _interval(i, vx, vy, vz, depth, piece)
                inside = t1 - t0
                if inside <= 0:
                    continue
                for n in range(rival_start[i], rival_start[i + 1]):
                    s0, s1 = _interval(rivals[n], vx, vy, vz, depth, piece)
                    inside -= max(min(t1, s1) - max(t0, s0), 0.0)
                if inside > 0:
                    out[row, column] += weight[i] * inside * math.sqrt(vx * vx + vy * vy + vz * vz)
