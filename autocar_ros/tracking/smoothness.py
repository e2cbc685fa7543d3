"""Smooth displacement fields on a graph: banded normal equations."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.linalg import solveh_banded
from scipy.sparse.csgraph import reverse_cuthill_mckee

from autocar_ros.types import FloatArray, IntArray, VesselGraph

SHORTEST = 0.1  # mm, of an edge: shorter ones would be infinitely stiff


class Smoothness:
    """Quadratic energies of a displacement field (N, 3) mm on the nodes of a graph.

    `stretch` penalises differences of displacement along edges, `bend` differences of those differences at nodes with
    a parent and a child; both are scaled so that a weight of L^2 or L^4 (mm^2, mm^4) averages the data over about L mm.

    Parameters
    ----------
    graph : VesselGraph
        Its topology and edge lengths count; it stays valid while `graph_id` does.
    """

    def __init__(self, graph: VesselGraph) -> None:
        n = len(graph)
        length = np.linalg.norm(np.diff(graph.position[graph.edges], axis=1)[:, 0], axis=1)
        length = np.maximum(length, SHORTEST)
        mean = float(length.mean()) if len(length) else 1.0
        stretch = _differences(graph, 1 / np.sqrt(mean * length))
        bend = _second_differences(graph, mean)
        self.stretch = sparse.csr_array(stretch.T @ stretch)
        self.bend = sparse.csr_array(bend.T @ bend)
        pattern = sparse.csr_array(abs(self.stretch) + abs(self.bend) + sparse.eye_array(n))
        self._order = reverse_cuthill_mckee(pattern, symmetric_mode=True)
        place = np.argsort(self._order)
        entries = sparse.coo_array(pattern)
        width = int(np.abs(place[entries.row] - place[entries.col]).max())
        self._stretch_band, self._bend_band = (_band(k, place, width) for k in (self.stretch, self.bend))

    def band(self, stretch: float, bend: float) -> FloatArray:
        """Lower band (W + 1, N) of stretch * K1 + bend * K2, in solving order."""
        return np.asarray(stretch * self._stretch_band + bend * self._bend_band)

    def solve(self, band: FloatArray, blocks: FloatArray, right: FloatArray) -> FloatArray:
        """Solve (band x I3 + blocks) x = right for x (N, 3).

        Parameters
        ----------
        band : (W + 1, N) of `band`
        blocks : (N, 3, 3) symmetric, of the data
        right : (N, 3)
        """
        n = len(right)
        full = np.zeros((3 * (band.shape[0] - 1) + 3, 3 * n))
        for axis in range(3):
            full[::3, axis::3] = band
        data = blocks[self._order]
        for row in range(3):
            for column in range(row + 1):
                full[row - column, column::3] += data[:, row, column]
        solved = solveh_banded(full, right[self._order].ravel(), lower=True, overwrite_ab=True, check_finite=False)
        result = np.empty_like(right)
        result[self._order] = solved.reshape(n, 3)
        return result


def _band(matrix: sparse.csr_array, place: IntArray, width: int) -> FloatArray:
    """Lower band (W + 1, N) of a symmetric matrix whose rows move to `place` (N,)."""
    entries = sparse.coo_array(matrix)
    row, column = place[entries.row], place[entries.col]
    below = row >= column
    band = np.zeros((width + 1, matrix.shape[0]))
    band[(row - column)[below], column[below]] = entries.data[below]
    return band


def _differences(graph: VesselGraph, weight: FloatArray) -> sparse.csr_array:
    """(E, N) weighted child minus parent."""
    rows = np.arange(len(graph.edges))
    values = np.concatenate([weight, -weight])
    where = (np.concatenate([rows, rows]), np.concatenate([graph.edges[:, 1], graph.edges[:, 0]]))
    return sparse.csr_array((values, where), shape=(len(rows), len(graph)))


def _second_differences(graph: VesselGraph, mean: float) -> sparse.csr_array:
    """(T, N) second difference over grandparent, parent and child, for every child that has a grandparent."""
    grandparent = graph.parent[graph.edges[:, 0]]
    inner = grandparent >= 0
    nodes = np.column_stack([grandparent[inner], graph.edges[inner]])
    rows = np.repeat(np.arange(len(nodes)), 3)
    values = np.tile([1.0, -2.0, 1.0], len(nodes)) / mean**2
    return sparse.csr_array((values, (rows, nodes.ravel())), shape=(len(nodes), len(graph)))
