"""Quadratic energies that keep a tree of nodes smooth."""

from __future__ import annotations

import numpy as np
from numba import njit

from autocar_ros.tracking.solver import System, Tree
from autocar_ros.types import FloatArray, VesselGraph
from autocar_ros.vessels.tree import rooted

SHORTEST = 0.1  # mm, of an edge: shorter ones would be infinitely stiff


class Smoothness:
    """Quadratic energies of the positions (N, 3) mm of the nodes of a tree.

    `stretch` penalises that steps from parent to child differ from those of another shape, `bend` that turns, which
    are the differences of two such steps in a row, do. Both are scaled so that a weight of
    L^2 or L^4 (mm^2, mm^4) averages the data over about L mm.

    Parameters
    ----------
    graph : VesselGraph
        Its topology and edge lengths count, as long as `graph_id` stays. Edges that close a loop are left out.

    Attributes
    ----------
    tree : Tree
    """

    def __init__(self, graph: VesselGraph) -> None:
        order, parent = rooted(len(graph), graph.edges, np.flatnonzero(graph.parent < 0))
        self.tree = Tree(order, parent, np.where(parent >= 0, parent[parent], -1))
        child = parent >= 0
        length = np.linalg.norm(graph.position - graph.position[parent], axis=1)
        length = np.maximum(length, SHORTEST)
        mean = float(length[child].mean()) if child.any() else 1.0
        self._stretch = np.where(child, 1.0 / (mean * length), 0.0)
        self._bend = np.where(self.tree.grandparent >= 0, 1.0 / mean**4, 0.0)

    def add(
        self, system: System, position: FloatArray, like: FloatArray, shape: FloatArray, stretch: float, bend: float
    ) -> None:
        """Add both energies to a system for a correction (N, 3) mm of `position` (N, 3) mm.

        Parameters
        ----------
        like : (N, 3) mm, shape whose steps are wanted
        shape : (N, 3) mm, whose turns are wanted
        stretch, bend : weights, mm^2 and mm^4
        """
        _add(self.tree, system, position, like, shape, stretch * self._stretch, bend * self._bend)


@njit(cache=True)
def _add(tree, system, position, like, shape, stretch, bend):  # type: ignore[no-untyped-def]
    """Add to the normal equations; `stretch` and `bend` are weights (N,) of the child."""
    own, to_parent, to_grandparent, right = system
    for i in range(len(stretch)):
        p, g = tree.parent[i], tree.grandparent[i]
        if p < 0:
            continue
        s, b = stretch[i], bend[i]
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
