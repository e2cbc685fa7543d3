"""Small helpers on trees and forests given as edge lists: spanning tree, chains, spur pruning, smoothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from autocar_ros.types import FloatArray, IntArray, SeenBy, VesselGraph


class Rooted(NamedTuple):
    """A forest in breadth-first order: `order` (N,) holds parents before children; `parent` (N,) is -1 at roots."""

    order: IntArray
    parent: IntArray


class Paths(NamedTuple):
    """Chains of nodes one after the other, and where in `nodes` each ends (exclusive)."""

    nodes: IntArray
    ends: IntArray

    @property
    def starts(self) -> IntArray:
        """Where in `nodes` each begins."""
        return np.concatenate([np.zeros(1, np.int64), self.ends[:-1]])[: len(self.ends)]


def spanning_forest(count: int, edges: IntArray, weight: FloatArray) -> IntArray:
    """Minimum spanning forest of `count` nodes: the (F, 2) kept edges of (E, 2) with (E,) positive weights."""
    if len(edges) == 0:
        return np.zeros((0, 2), np.int64)
    low, high = np.minimum(*edges.T), np.maximum(*edges.T)
    order = np.lexsort((weight, high, low))  # of parallel edges the lightest: a sparse matrix would add them up
    first = np.ones(len(edges), bool)
    first[1:] = (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)
    keep = order[first]
    matrix = sparse.coo_array((weight[keep], (low[keep], high[keep])), shape=(count, count))
    tree = sparse.coo_array(csgraph.minimum_spanning_tree(matrix.tocsr()))
    return np.stack([tree.row, tree.col], 1).astype(np.int64)


def components(count: int, edges: IntArray) -> IntArray:
    """(N,) label of the connected component of every node."""
    return np.asarray(csgraph.connected_components(_adjacency(count, edges), directed=False)[1], np.int64)


def degree(count: int, edges: IntArray) -> IntArray:
    """(N,) number of edges at every node."""
    return np.bincount(edges.ravel(), minlength=count).astype(np.int64)


def rooted(count: int, edges: IntArray, roots: IntArray | None = None) -> Rooted:
    """Order a forest from its roots: the given ones, then the first node of every component without one."""
    adjacency = _adjacency(count, edges)
    label = components(count, edges)
    given = np.zeros(0, np.int64) if roots is None else np.asarray(roots, np.int64)
    starts = np.concatenate([given, np.unique(label, return_index=True)[1]])
    starts = starts[np.sort(np.unique(label[starts], return_index=True)[1])]
    order, parent = [], np.full(count, -1, np.int64)
    for start in starts:
        found, before = csgraph.breadth_first_order(adjacency, int(start), directed=False)
        order.append(found)
        parent[found[1:]] = before[found[1:]]
    return Rooted(np.concatenate(order).astype(np.int64) if order else np.zeros(0, np.int64), parent)


def chains(count: int, edges: IntArray) -> list[IntArray]:
    """Paths between nodes whose degree is not 2 (leaves, bifurcations), ends included; every edge is in one path."""
    path = paths(count, edges)
    return np.split(path.nodes, path.ends)[:-1]


def paths(count: int, edges: IntArray) -> Paths:
    """`chains` one after the other."""
    here, there = edges.astype(np.int64).ravel(), edges[:, ::-1].astype(np.int64).ravel()
    first = np.concatenate([[0], np.cumsum(np.bincount(here, minlength=count))])
    return Paths(*_walk(first, there[np.argsort(here, kind="stable")]))


@njit(cache=True)
def _walk(first, neighbours):  # type: ignore[no-untyped-def]
    """All chains one after the other, and the place where each ends.

    The neighbours of node k are `neighbours[first[k] : first[k + 1]]`.
    """
    nodes, ends, count = np.empty(2 * len(neighbours) + 2, np.int64), [], 0
    for start in range(len(first) - 1):
        around = neighbours[first[start] : first[start + 1]]
        for second in around if len(around) != 2 else around[:0]:
            nodes[count], nodes[count + 1], last = start, second, count + 1
            while first[nodes[last] + 1] - first[nodes[last]] == 2:
                a, b = neighbours[first[nodes[last]]], neighbours[first[nodes[last]] + 1]
                nodes[last + 1] = b if a == nodes[last - 1] else a
                last += 1
            if start < nodes[last]:  # every path is met from both ends
                count = last + 1
                ends.append(count)
    return nodes[:count], np.array(ends, np.int64)


def chain_length(points: FloatArray, chain: IntArray) -> float:
    """Length of a chain over points (N, D), in their unit."""
    return float(np.linalg.norm(np.diff(points[chain], axis=0), axis=1).sum())


def path_length(points: FloatArray, edges: IntArray, starts: IntArray) -> FloatArray:
    """Length (S, N) of the path from every start to every node of (N, D) points; infinite without a path."""
    step = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1) + 1e-12
    matrix = sparse.csr_array((step, (edges[:, 0], edges[:, 1])), shape=(len(points), len(points)))
    return np.asarray(csgraph.dijkstra(matrix, directed=False, indices=starts))


def keep_nodes(count: int, edges: IntArray, keep: NDArray[np.bool_]) -> IntArray:
    """Edges (F, 2) between the kept nodes (bool (N,)), renumbered."""
    index = np.cumsum(keep) - 1
    inside = keep[edges].all(1)
    return np.asarray(index[edges[inside]], np.int64).reshape(-1, 2)


def visible_part(graph: VesselGraph, seen: SeenBy = SeenBy.BOTH) -> VesselGraph:
    """Part of a graph whose nodes are seen by all planes of `seen`; an edge stays when both its nodes do."""
    keep = (graph.seen_by & seen) == seen
    return graph.with_(
        position=graph.position[keep],
        radius=graph.radius[keep],
        edges=keep_nodes(len(graph), graph.edges, keep),
        branch=graph.branch[keep],
        confidence=graph.confidence[keep],
        sigma=graph.sigma[keep],
        seen_by=graph.seen_by[keep],
    )


def prune_spurs(points: FloatArray, edges: IntArray, limit: FloatArray) -> NDArray[np.bool_]:
    """Mark what stays (bool (N,)) when side twigs shorter than the limit at their bifurcation fall off, shortest first.

    Parameters
    ----------
    points : (N, D)
    edges : (E, 2) of a forest
    limit : (N,) shortest twig that may leave a bifurcation at this node, unit of `points`
    """
    keep = np.ones(len(points), bool)
    while True:
        current = edges[keep[edges].all(1)]
        deg = degree(len(points), current)
        path = paths(len(points), current)
        first, last = path.nodes[path.starts], path.nodes[path.ends - 1]
        joint = np.where(deg[first] == 1, last, first)
        length = _lengths(points, path)
        short = ((deg[first] == 1) | (deg[last] == 1)) & (deg[joint] > 2) & (length < limit[joint])
        twigs = np.flatnonzero(short)
        if len(twigs) == 0:
            return keep
        touched: set[int] = set()
        for k in twigs[np.argsort(length[twigs], kind="stable")]:
            if joint[k] not in touched:  # a bifurcation that lost one twig may be none any more: look again
                nodes = path.nodes[path.starts[k] : path.ends[k]]
                keep[nodes[nodes != joint[k]]] = False
                touched.add(int(joint[k]))


def _lengths(points: FloatArray, path: Paths) -> FloatArray:
    """Length of every chain over points (N, D), in their unit."""
    step = np.linalg.norm(np.diff(points[path.nodes], axis=0, append=0.0), axis=1)
    step[path.ends - 1] = 0.0  # from one chain to the next
    return np.asarray(np.add.reduceat(step, path.starts)) if len(path.ends) else np.zeros(0)


def smooth_chains(values: FloatArray, edges: IntArray, sigma: float) -> FloatArray:
    """Gaussian smoothing of (N,) or (N, D) values along every chain, `sigma` in nodes; leaves and bifurcations stay."""
    columns = values.astype(float).reshape(len(values), -1)
    smooth = _smooth_paths(columns, *paths(len(values), edges), gaussian(sigma))
    return np.asarray(smooth).reshape(values.shape)


def smooth_path(values: FloatArray, sigma: float) -> FloatArray:
    """Gaussian smoothing of (N, D) values of a path, `sigma` in nodes; both ends keep their place and slope."""
    return np.asarray(_smooth_path(values, gaussian(sigma)))


def chain_tangents(points: FloatArray, edges: IntArray) -> FloatArray:
    """Unit tangents (N, D) of points along their chains; at a bifurcation that of one of them, alone zero."""
    return np.asarray(_tangents(points, *paths(len(points), edges)))


def gaussian(sigma: float) -> FloatArray:
    """Weights (2 R + 1,) of Gaussian smoothing, `sigma` in steps, that reach 4 sigma."""
    reach = int(4 * sigma + 0.5)
    weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-9)) ** 2)
    return np.asarray(weight / weight.sum())


@njit(cache=True)
def _smooth_path(values, weight):  # type: ignore[no-untyped-def]
    """Smooth a path (N, D), taken on beyond its ends as odd about them."""
    count, reach, last = len(values), len(weight) // 2, len(values) - 1
    if count < 3:
        return values.copy()
    result, rest = np.empty_like(values), np.empty(count)
    for column in range(values.shape[1]):
        first, slope = values[0, column], (values[last, column] - values[0, column]) / last
        for i in range(count):
            rest[i] = values[i, column] - first - slope * i
        for i in range(count):
            total = first + slope * i
            for k in range(-reach, reach + 1):
                j = (i + k) % (2 * last)
                total += weight[k + reach] * (rest[j] if j <= last else -rest[2 * last - j])
            result[i, column] = total
    return result


@njit(cache=True)
def _smooth_paths(values, nodes, ends, weight):  # type: ignore[no-untyped-def]
    """Smooth values (N, D) along every chain."""
    result, start = values.copy(), 0
    for end in ends:
        smooth = _smooth_path(values[nodes[start:end]], weight)
        for k in range(1, end - start - 1):
            result[nodes[start + k]] = smooth[k]
        start = end
    return result


@njit(cache=True)
def _tangents(points, nodes, ends):  # type: ignore[no-untyped-def]
    """Unit tangents (N, D) along every chain."""
    result, start = np.zeros_like(points), 0
    for end in ends:
        for k in range(start, end):
            step = points[nodes[min(k + 1, end - 1)]] - points[nodes[max(k - 1, start)]]
            result[nodes[k]] = step / max(np.sqrt((step * step).sum()), 1e-9)
        start = end
    return result


def _adjacency(count: int, edges: IntArray) -> sparse.csr_array:
    both = np.concatenate([edges, edges[:, ::-1]]) if len(edges) else np.zeros((0, 2), np.int64)
    return sparse.csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(count, count))
