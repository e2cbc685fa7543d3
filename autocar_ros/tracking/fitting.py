"""Robust refit of a graph to the centrelines of its views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from autocar_ros.config import TrackingConfig
from autocar_ros.geometry.rigid import rotation
from autocar_ros.tracking.observation import View
from autocar_ros.tracking.smoothness import Smoothness
from autocar_ros.tracking.solver import System, empty_system, inverse_blocks, solve
from autocar_ros.types import FloatArray, IntArray, VesselGraph

FIRST_STIFFNESS = 40.0  # mm: the first step moves whole branches
ANCHOR = 1e-3  # of a line's weight; keeps nodes that nothing pulls where they are
NOISE = 0.5  # mm, 1-sigma of the distance of a node to the line it belongs to
ALONG = 0.1  # weight of a target along the vessel, where reconstructions hardly tell points apart

Targets = tuple[FloatArray, FloatArray]


class Solution(NamedTuple):
    """Fitted nodes."""

    position: FloatArray  # (N, 3) mm
    sigma: FloatArray  # (N,) mm, 1-sigma per axis; infinite when there was nothing to fit


class Refit:
    """Moves the nodes of one graph so that its projections run along the centrelines of the masks.

    Iterated nearest lines (Besl & McKay 1992, point to line) with Geman-McClure weights, in both views at once. The
    displacement since the last pair is kept smooth along the graph, and the bends are kept that the graph was made
    with, turned with it as a whole, so that nodes neither bunch up nor creep along the vessels. Topology is taken once.

    The paper gives every node a rotation of its own (equations 12 and 13). Here the system stays one of positions:
    rotations estimated for every node made no difference on simulated hearts, the one of the whole graph a small one.
    """

    def __init__(self, graph: VesselGraph, config: TrackingConfig) -> None:
        lengths = _falling(FIRST_STIFFNESS, config.stiffness, config.iterations)
        self._schedule = list(zip(lengths, _falling(config.reach, config.precision, config.iterations), strict=True))
        self._bend = config.shape_memory**4
        self._smoothness = Smoothness(graph)
        self._shape = np.asarray(graph.position, float)
        self._before, self._after = _neighbours(graph)

    def __call__(
        self,
        start: FloatArray,
        views: Sequence[View],
        expected: Targets | None = None,
        points: Targets | None = None,
    ) -> Solution:
        """Fit the nodes; one view leaves depth to smoothness and to what is expected.

        Parameters
        ----------
        start : (N, 3) mm, where the nodes are
        views : of the same time
        expected : position (N, 3) mm and weight (N,) 1/mm^2 of a motion prior
        points : target (N, 3) mm, NaN where a node has none, and weight (N,) 1/mm^2, of a reconstruction
        """
        if not views and expected is None and points is None:
            return Solution(start, np.full(len(start), np.inf))
        start = np.ascontiguousarray(start, float)
        tree, position = self._smoothness.tree, start
        shape = self._shape @ rotation(self._shape, start).T
        for length, scale in self._schedule:
            tangent = self.direction(position)
            system = empty_system(len(start))
            surprise = _pull_to_lines(system, views, position, tangent, scale)
            _pull_to_points(system, points, position, tangent, scale)
            _hold(system, np.full(len(start), ANCHOR), start - position)
            if expected is not None:
                _hold(system, expected[1] * NOISE**2, expected[0] - position)
            self._smoothness.add(system, position, start, shape, length**2, self._bend)
            position = position + solve(tree, system)
        covariance = inverse_blocks(tree, system)
        variance = NOISE**2 * surprise * np.trace(covariance, axis1=1, axis2=2) / 3
        return Solution(position, np.sqrt(variance))

    def direction(self, position: FloatArray) -> FloatArray:
        """Unit tangents (N, 3) of the vessels."""
        return np.asarray(_tangents(np.ascontiguousarray(position), self._before, self._after))


def _falling(first: float, last: float, steps: int) -> list[float]:
    """Geometric series down to `last`."""
    return [float(x) for x in np.geomspace(max(first, last), last, steps)] if steps > 1 else [last]


def _pull_to_lines(
    system: System, views: Sequence[View], position: FloatArray, tangent: FloatArray, scale: float
) -> float:
    """Add the distances to the lines of all views; how much larger their variance is than expected, at least 1."""
    sums = np.zeros(2)
    for view in views:
        match = view.match(position, tangent)
        sums += _add_lines(system, match, scale)
    return float(max(sums[0] / max(sums[1] * NOISE**2, 1e-12), 1.0))


def _pull_to_points(
    system: System, points: Targets | None, position: FloatArray, tangent: FloatArray, scale: float
) -> None:
    """Add the distances to targets in space, those along the vessels hardly."""
    if points is None:
        return
    missing = points[0] - position
    known = np.asarray(np.isfinite(missing).all(1))
    missing = np.where(known[:, None], missing, 0.0)
    weight = known * np.nan_to_num(points[1]) * NOISE**2 / (1 + (missing**2).sum(1) / scale**2) ** 2
    part = weight[:, None, None] * (np.eye(3) - (1 - ALONG) * tangent[:, :, None] * tangent[:, None, :])
    system.own[:] += part
    system.right[:] += np.einsum("nij,nj->ni", part, missing)


def _hold(system: System, weight: FloatArray, missing: FloatArray) -> None:
    """Add a pull (N,) towards points that lie `missing` (N, 3) mm away."""
    for axis in range(3):
        system.own[:, axis, axis] += weight
    system.right[:] += weight[:, None] * missing


@njit(cache=True)
def _add_lines(system, match, scale):  # type: ignore[no-untyped-def]
    """Add the distances of a match; the sum of their weighted squares, and that of the weights."""
    sums = np.zeros(2)
    for i in range(len(match.offset)):
        if not match.inside[i]:
            continue
        weight = (match.alignment[i] / (1 + (match.distance[i] / scale) ** 2)) ** 2
        sums[0] += weight * match.offset[i] ** 2
        sums[1] += weight
        for r in range(3):
            weighted = weight * match.gradient[i, r]
            system.right[i, r] -= weighted * match.offset[i]
            for c in range(3):
                system.own[i, r, c] += weighted * match.gradient[i, c]
    return sums


@njit(cache=True)
def _tangents(position, before, after):  # type: ignore[no-untyped-def]
    along = np.empty_like(position)
    for i in range(len(position)):
        square = 0.0
        for axis in range(3):
            along[i, axis] = position[after[i], axis] - position[before[i], axis]
            square += along[i, axis] ** 2
        for axis in range(3):
            along[i, axis] /= max(math.sqrt(square), 1e-9)
    return along


def _neighbours(graph: VesselGraph) -> tuple[IntArray, IntArray]:
    """Node before and after every node (N,), itself at the ends; after a bifurcation its first child."""
    own = np.arange(len(graph))
    after = own.copy()
    after[graph.edges[::-1, 0]] = graph.edges[::-1, 1]
    parent = graph.parent
    return np.where(parent >= 0, parent, own), after
