"""Robust refit of a graph to the centrelines of its views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from autocar_ros.config import TrackingConfig
from autocar_ros.geometry.rigid import rotation
from autocar_ros.tracking.affine import affinely_moved
from autocar_ros.tracking.observation import NO_LINES, View, match_node
from autocar_ros.tracking.smoothness import add_springs, springs_of
from autocar_ros.tracking.solver import empty_system, inverse_blocks, solve
from autocar_ros.types import FloatArray, IntArray, VesselGraph

FIRST_STIFFNESS = 40.0  # mm: the first step moves whole branches
ANCHOR = 1e-3  # of a line's weight; keeps nodes that nothing pulls where they are
SETTLED = 0.3  # mm: after a step that moves no node by more along an axis the next one is left out
NOISE = 0.5  # mm, 1-sigma of the distance of a node to the line it belongs to
SLIP = 1.0  # mm, 1-sigma of what a node does along its vessel beside what all vessels do together
SURELY = 4.0  # times the error of the start, at which a match counts a quarter in the first step
UNTOLD = 0.05  # weight in that of a node without lines, which is where it was expected
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
    with, moved affinely as a whole, so that nodes do not bunch up. How far a node went along its vessel no line tells:
    there it is held to the affine motion of the whole tree, which vessels of other directions show. Topology is taken
    once.

    The paper gives every node a rotation of its own (equations 12 and 13). Here the system stays one of positions:
    rotations estimated for every node made no difference on simulated hearts, the one of the whole graph a small one.
    """

    def __init__(self, graph: VesselGraph, config: TrackingConfig) -> None:
        self._config = config
        self._stiffness = _falling(FIRST_STIFFNESS, config.stiffness, config.iterations)
        self._bend = config.shape_memory**4
        self._springs = springs_of(graph)
        self._shape = np.asarray(graph.position, float)
        self._neighbours = _neighbours(graph)

    def __call__(
        self,
        start: FloatArray,
        views: Sequence[View],
        expected: Targets | None = None,
        points: Targets | None = None,
        error: float = np.inf,
    ) -> Solution:
        """Fit the nodes; one view leaves depth to smoothness and to what is expected.

        Parameters
        ----------
        start : (N, 3) mm, where the nodes are
        views : of the same time
        expected : position (N, 3) mm and weight (N,) 1/mm^2 of a motion prior
        points : target (N, 3) mm, NaN where a node has none, and weight (N,) 1/mm^2, of a reconstruction
        error : mm, 1-sigma of the start: lines further away than `SURELY` of it belong to other vessels
        """
        if not views and expected is None and points is None:
            return Solution(start, np.full(len(start), np.inf))
        start = np.ascontiguousarray(start, float)
        shape = np.ascontiguousarray(self._shape @ rotation(self._shape, start).T)
        lines = tuple(view.lines for view in views) + (NO_LINES,) * (2 - len(views))
        course = self._schedule(error), self._bend
        pulls = _pull(expected, start), _pull(points, start)
        return Solution(*_descend(self._springs, self._neighbours, course, start, shape, lines, *pulls))

    def _schedule(self, error: float) -> FloatArray:
        """Stiffness and reach (steps, 2) mm of every step."""
        c = self._config
        reach = min(c.reach, max(SURELY * error, c.precision))
        return np.column_stack([self._stiffness, _falling(reach, c.precision, c.iterations)])

    def direction(self, position: FloatArray) -> FloatArray:
        """Unit tangents (N, 3) of the vessels."""
        return np.asarray(_tangents(np.ascontiguousarray(position), self._neighbours))


def _falling(first: float, last: float, steps: int) -> FloatArray:
    """Geometric series (steps,) down to `last`."""
    return np.geomspace(max(first, last), last, steps) if steps > 1 else np.array([last])


def _pull(targets: Targets | None, start: FloatArray) -> Targets:
    """Finite targets (N, 3) mm and weights (N,), 0 where there is none."""
    if targets is None:
        return start, np.zeros(len(start))
    known = np.asarray(np.isfinite(targets[0]).all(1))
    weight = np.where(known, np.nan_to_num(targets[1]), 0.0)
    return np.where(known[:, None], targets[0], start), weight * NOISE**2


@njit(cache=True)
def _descend(springs, neighbours, course, start, shape, lines, expected, points):  # type: ignore[no-untyped-def]
    """Gauss-Newton steps along a course of stiffness and reach; the fields of a `Solution`."""
    position, surprise, settled = start, 1.0, False
    schedule, bend = course
    system, matched = empty_system(0), np.zeros((len(lines), len(start)), np.int64)
    for k, (length, scale) in enumerate(schedule):
        if settled and k + 1 < len(schedule):
            settled = False
            continue
        tangent = _tangents(position, neighbours)
        system, squares, weights, told = empty_system(len(start)), 0.0, 1e-12, np.full(len(start), UNTOLD)
        for v, view in enumerate(lines):
            if len(view.direction) > 0:
                more, heavier = _add_lines(system, view, matched[v], position, tangent, scale, told)
                squares, weights = squares + more, weights + heavier
        surprise = max(squares / (weights * NOISE**2), 1.0)
        _add_points(system, points, position, tangent, scale)
        _hold(system, start, expected, position)
        together = affinely_moved(shape, position, tangent, told)
        _slide(system, together, position, tangent, min(weights / max(len(start), 1), 1.0))
        add_springs(system, springs, position, start, together, length**2, bend)
        step = solve(springs.tree, system)
        position, settled = position + step, len(step) > 0 and np.abs(step).max() < SETTLED
    blocks, sigma = inverse_blocks(springs.tree, system), np.empty(len(start))
    for i in range(len(start)):
        sigma[i] = NOISE * math.sqrt(surprise * (blocks[i, 0, 0] + blocks[i, 1, 1] + blocks[i, 2, 2]) / 3)
    return position, sigma


@njit(cache=True)
def _add_lines(system, lines, matched, position, tangent, scale, told):  # type: ignore[no-untyped-def]
    """Add the distances to the lines of a view; the sum of their weighted squares, and that of the weights.

    `matched` (N,) holds the points that the nodes matched last, and is kept up to date; the weight of every node
    is added to `told` (N,), up to 1.
    """
    squares, weights, gradient = 0.0, 0.0, np.empty(3)
    for i in range(len(position)):
        offset, distance, alignment, matched[i], _, inside = match_node(
            position[i], tangent[i], lines, matched[i], gradient
        )
        if not inside:
            continue
        weight = (alignment / (1 + (distance / scale) ** 2)) ** 2
        told[i] = min(told[i] + weight, 1.0)
        squares += weight * offset**2
        weights += weight
        for r in range(3):
            weighted = weight * gradient[r]
            system.right[i, r] -= weighted * offset
            for c in range(3):
                system.own[i, r, c] += weighted * gradient[c]
    return squares, weights


@njit(cache=True)
def _add_points(system, points, position, tangent, scale):  # type: ignore[no-untyped-def]
    """Add the distances to targets in space, those along the vessels hardly."""
    target, weight = points
    for i in range(len(position)):
        if weight[i] == 0:
            continue
        missing = target[i] - position[i]
        robust = weight[i] / (1 + (missing**2).sum() / scale**2) ** 2
        for r in range(3):
            for c in range(3):
                part = robust * ((r == c) - (1 - ALONG) * tangent[i, r] * tangent[i, c])
                system.own[i, r, c] += part
                system.right[i, r] += part * missing[c]


@njit(cache=True)
def _hold(system, start, expected, position):  # type: ignore[no-untyped-def]
    """Add the pulls back to the start and towards what is expected."""
    target, weight = expected
    for i in range(len(position)):
        for axis in range(3):
            here = position[i, axis]
            system.own[i, axis, axis] += ANCHOR + weight[i]
            system.right[i, axis] += ANCHOR * (start[i, axis] - here) + weight[i] * (target[i, axis] - here)


@njit(cache=True)
def _slide(system, target, position, tangent, seen):  # type: ignore[no-untyped-def]
    """Add the distances to targets (N, 3) mm along the vessels; `seen` 0..1 is how much of the tree has told them."""
    weight = seen * (NOISE / SLIP) ** 2
    for i in range(len(position)):
        missing = 0.0
        for axis in range(3):
            missing += tangent[i, axis] * (target[i, axis] - position[i, axis])
        for r in range(3):
            system.right[i, r] += weight * missing * tangent[i, r]
            for c in range(3):
                system.own[i, r, c] += weight * tangent[i, r] * tangent[i, c]


@njit(cache=True)
def _tangents(position, neighbours):  # type: ignore[no-untyped-def]
    before, after = neighbours
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
