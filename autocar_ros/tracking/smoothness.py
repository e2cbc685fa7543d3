"""Quadratic energies that keep a tree of nodes smooth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from autocar_ros.tracking.solver import Tree
from autocar_ros.types import FloatArray, VesselGraph
from autocar_ros.vessels.tree import rooted

SHORTEST = 0.1  # mm, of an edge: shorter ones would be infinitely stiff


class Springs(NamedTuple):
    """Quadratic energies of the positions (N, 3) mm of the nodes of a tree, scaled by `add_springs`."""

    tree: Tree
    stretch: FloatArray  # (N,) 1/mm^2, of the step from the parent
    bend: FloatArray  # (N,) 1/mm^4, of the turn at the parent


def springs_of(graph: VesselGraph) -> Springs:
    """Springs of a graph: its topology and edge lengths count. Edges that close a loop are left out."""
    order, parent = rooted(len(graph), graph.edges, np.flatnonzero(graph.parent < 0))
    tree = Tree(order, parent, np.where(parent >= 0, parent[parent], -1))
    child = parent >= 0
    length = np.linalg.norm(graph.position - graph.position[parent], axis=1)
    length = np.maximum(length, SHORTEST)
    mean = float(length[child].mean()) if child.any() else 1.0
    stretch = np.where(child, 1.0 / (mean * length), 0.0)
    return Springs(tree, stretch, np.where(tree.grandparent >= 0, 1.0 / mean**4, 0.0))


@njit(cache=True)
def add_springs(system, springs, position, like, shape, stretch, bend):  # type: ignore[no-untyped-def]
    """Add the energies of springs to a system for a correction of `position` (N, 3) mm.

    Stretching penalises that steps from parent to child differ from those of `like` (N, 3) mm, bending that turns,
    which are the differences of two such steps in a row, differ from those of `shape` (N, 3) mm. A weight of
    L^2 mm^2 for `stretch`, L^4 mm^4 for `bend` averages the data over about L mm.
    """
    tree = springs.tree
    own, to_parent, to_grandparent, right = system
    for i in range(len(position)):
        p, g = tree.parent[i], tree.grandparent[i]
        if p < 0:
            continue
        s, b = stretch * springs.stretch[i], bend * springs.bend[i]
        for axis in range(3):
            pull = s * (like[i, axis] - like[p, axis] - position[i, axis] + position[p, axis])
            own[i, axis, axis] += s + b
            own[p, axis, axis] += s + 4 * b
            to_parent[i, axis, axis] -= s + 2 * b
            right[i, axis] += pull
            right[p, axis] -= pull
            if g >= 0:
                wanted = shape[i, axis] - 2 * shape[p, axis] + shape[g, axis]
                turn = b * (wanted - position[i, axis] + 2 * position[p, axis] - position[g, axis])
                own[g, axis, axis] += b
                to_parent[p, axis, axis] -= 2 * b
                to_grandparent[i, axis, axis] += b
                right[i, axis] += turn
                right[p, axis] -= 2 * turn
                right[g, axis] += turn
