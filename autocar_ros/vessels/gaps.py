"""Gaps of a centreline closed by the cheapest path through an occupancy volume (paper: 'Graph initialization')."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import KDTree

from autocar_ros.types import FloatArray, IntArray, SparseVolume
from autocar_ros.vessels import tree

STEPS = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
MARGIN = 3  # empty cells around a volume: from beyond it, no step leads in


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
    volume = _within(volume, points[label != np.bincount(label).argmax()], largest)
    if len(volume.voxels) == 0:
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


def _within(volume: SparseVolume, points: FloatArray, reach: float) -> SparseVolume:
    """Voxels within reach mm of points: where a connection may run that ends in one of them, as long as its reach."""
    near = np.isfinite(KDTree(points).query(volume.points, distance_upper_bound=reach)[0])
    return replace(
        volume,
        voxels=volume.voxels[near],
        occupancy=volume.occupancy[near],
        centreness=volume.centreness[near],
    )


def _path_graph(points: FloatArray, volume: SparseVolume) -> sparse.csr_array:
    """Points, then voxels; neighbouring voxels are connected, and every point with the voxels around it.

    Both directions of an edge are in it: an undirected search would transpose the matrix in every call.
    """
    centers, cost = volume.points, np.exp(1.0 - volume.centreness)
    first, near, step = _voxels_around(volume.voxels, volume.voxels)
    length = np.linalg.norm(STEPS, axis=1)[step] * volume.voxel_size
    weight = length * (np.repeat(cost, np.diff(first)) + cost[near]) / 2
    between = sparse.csr_array((weight, near, first), shape=(len(cost), len(cost)))
    own = np.floor((points - volume.origin) / volume.voxel_size).astype(np.int64)
    first, near, _ = _voxels_around(own, volume.voxels)
    length = np.linalg.norm(centers[near] - np.repeat(points, np.diff(first), axis=0), axis=1)
    onto = sparse.csr_array((length * cost[near] + 1e-6, near, first), shape=(len(points), len(cost)))
    nothing = sparse.csr_array((len(points), len(points)))
    rows = [sparse.hstack([nothing, onto], format="csr"), sparse.hstack([onto.T.tocsr(), between], format="csr")]
    return sparse.csr_array(sparse.vstack(rows, format="csr"))


def _voxels_around(cells: IntArray, voxels: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Voxels (M, 3) within one step of cells (N, 3), the cell itself included if it is one.

    Returns
    -------
    first : (N + 1,) where those of every cell begin in the other two (as in a compressed sparse row matrix)
    near : row of `voxels`, and step : row of `STEPS`
    """
    low, high = voxels.min(0) - MARGIN, voxels.max(0) + MARGIN
    index = np.full(high - low + 1, -1, np.int32)
    index[tuple((voxels - low).T)] = np.arange(len(voxels))
    strides = np.array(index.strides) // index.itemsize
    place = (np.clip(cells, low + 1, high - 1) - low) @ strides
    near = index.ravel()[place[:, None] + STEPS @ strides]
    found = near >= 0
    return np.append(0, np.cumsum(found.sum(1))).astype(np.int32), near[found], np.nonzero(found)[1]


def _links(matrix: sparse.csr_array, label: IntArray, parts: int, largest: float) -> list[_Link]:
    """Cheapest path between every two components whose surroundings touch.

    One search starts from all points at once; where what was reached from two components meets is a way between them
    (Mehlhorn 1988). Those ways hold the cheapest spanning tree of the components.
    """
    cost, before, source = csgraph.dijkstra(
        matrix, indices=np.arange(len(label)), min_only=True, limit=largest, return_predecessors=True
    )
    part = np.append(label, -1)[np.where(source >= 0, source, len(label))]
    edges = sparse.coo_array(matrix)
    meet = (part[edges.row] >= 0) & (part[edges.row] < part[edges.col])
    here, there = edges.row[meet], edges.col[meet]
    total = cost[here] + edges.data[meet] + cost[there]
    pair = part[here] * parts + part[there]
    order = np.lexsort((total, pair))
    cheapest = order[np.unique(pair[order], return_index=True)[1]]
    return [
        _Link(float(total[k]), np.array(_trace(before, int(here[k]))[::-1] + _trace(before, int(there[k])), np.int64))
        for k in cheapest
        if total[k] <= largest
    ]


def _trace(before: NDArray[np.int32], node: int) -> list[int]:
    """Nodes from one back to where the search for it began."""
    path = [node]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return path
