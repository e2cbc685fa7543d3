"""Gaps of a centreline closed by the cheapest path through an occupancy volume (paper: 'Graph initialization')."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from autocar_ros.types import FloatArray, IntArray, SparseVolume
from autocar_ros.vessels import tree

STEPS = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1) if (i, j, k) > (0, 0, 0)])


class _Link(NamedTuple):
    cost: float
    path: IntArray  # nodes of the point-and-voxel graph, from one component to another


def close_gaps(
    points: FloatArray, radius: FloatArray, edges: IntArray, volume: SparseVolume, largest: float
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Join the components of a forest, cheapest connection first.

    A step through a voxel costs its length x exp(1 - centreness) (the paper's cost, scaled to 1 where centreness is 1),
    so no connection is longer than `largest` mm, and one through empty masks is shorter. New nodes lie on the voxels of
    the path; their radius runs linearly from end to end.

    Parameters
    ----------
    points : (N, 3) mm, radius : (N,) mm, edges : (E, 2)
    volume : where paths may run
    largest : largest cost of a connection, mm
    """
    label = tree.components(len(points), edges)
    parts = int(label.max(initial=-1)) + 1
    if parts < 2 or len(volume.voxels) == 0:
        return points, radius, edges
    matrix = _path_graph(points, volume)
    everything = np.concatenate([points, volume.points])
    links = _links(matrix, label, parts, largest)
    joined = np.arange(parts)
    for link in sorted(links, key=lambda found: found.cost):
        first, last = joined[label[link.path[0]]], joined[label[link.path[-1]]]
        if first == last:
            continue
        joined[joined == last] = first
        inner = len(link.path) - 2
        new = np.arange(len(points), len(points) + inner)
        ramp = np.linspace(radius[link.path[0]], radius[link.path[-1]], inner + 2)[1:-1]
        chain = np.concatenate([link.path[:1], new, link.path[-1:]])
        points = np.concatenate([points, everything[link.path[1:-1]]])
        radius = np.concatenate([radius, ramp])
        edges = np.concatenate([edges, np.stack([chain[:-1], chain[1:]], 1)])
    return points, radius, edges


def _path_graph(points: FloatArray, volume: SparseVolume) -> sparse.csr_array:
    """Points, then voxels; neighbouring voxels are connected, and every point with the voxels around it."""
    low = volume.voxels.min(0)
    shape = volume.voxels.max(0) - low + 1
    index = np.full(shape + 2, -1, np.int64)
    at = volume.voxels - low + 1
    index[tuple(at.T)] = np.arange(len(at))
    cost = np.exp(1.0 - volume.centreness)
    rows, columns, weight = [], [], []
    for step in STEPS:
        other = index[tuple((at + step).T)]
        here = np.flatnonzero(other >= 0)
        rows.append(here + len(points))
        columns.append(other[here] + len(points))
        length = np.linalg.norm(step) * volume.voxel_size
        weight.append(length * (cost[here] + cost[other[here]]) / 2)
    own = np.floor((points - volume.origin) / volume.voxel_size).astype(np.int64) - low + 1
    for step in np.concatenate([STEPS, -STEPS, [[0, 0, 0]]]):
        near = np.clip(own + step, 0, shape + 1)
        other = index[tuple(near.T)]
        here = np.flatnonzero((other >= 0) & (near == own + step).all(1))
        rows.append(here)
        columns.append(other[here] + len(points))
        weight.append(np.linalg.norm(volume.points[other[here]] - points[here], axis=1) * cost[other[here]] + 1e-6)
    size = len(points) + len(at)
    row, column, value = np.concatenate(rows), np.concatenate(columns), np.concatenate(weight)
    # both directions: an undirected search would transpose the matrix in every call
    both = (np.concatenate([value, value]), (np.concatenate([row, column]), np.concatenate([column, row])))
    return sparse.coo_array(both, shape=(size, size)).tocsr()


def _links(matrix: sparse.csr_array, label: IntArray, parts: int, largest: float) -> list[_Link]:
    """Cheapest paths between pairs of components."""
    found = []
    for part in range(parts - 1):
        cost, before, _ = csgraph.dijkstra(
            matrix, indices=np.flatnonzero(label == part), min_only=True, limit=largest,
            return_predecessors=True,
        )  # fmt: skip
        for other in range(part + 1, parts):
            ends = np.flatnonzero(label == other)
            end = int(ends[np.argmin(cost[ends])])
            if np.isfinite(cost[end]):
                path = [end]
                while before[path[-1]] >= 0:
                    path.append(int(before[path[-1]]))
                inside = [node for node in path[1:-1] if node >= len(label)]  # not through points of a third part
                if len(inside) == len(path) - 2:
                    found.append(_Link(float(cost[end]), np.array(path)))
    return found
