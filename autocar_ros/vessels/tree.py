"""Small helpers on trees and forests given as edge lists: spanning tree, chains, spur pruning, smoothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from autocar_ros.types import FloatArray, IntArray, SeenBy, VesselGraph


class Rooted(NamedTuple):
    """A forest in breadth-first order: `order` (N,) holds parents before children; `parent` (N,) is -1 at roots."""

    order: IntArray
    parent: IntArray


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
    here, there = edges.astype(np.int64).ravel(), edges[:, ::-1].astype(np.int64).ravel()
    first = np.concatenate([[0], np.cumsum(np.bincount(here, minlength=count))])
    nodes, ends = _walk(first, there[np.argsort(here, kind="stable")])
    return np.split(nodes, ends)[:-1]


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
        twigs = []
        for chain in chains(len(points), current):
            tip, joint = (chain[0], chain[-1]) if deg[chain[0]] == 1 else (chain[-1], chain[0])
            if deg[tip] == 1 and deg[joint] > 2:
                length = chain_length(points, chain)
                if length < limit[joint]:
                    twigs.append((length, int(joint), chain[chain != joint]))
        if not twigs:
            return keep
        touched: set[int] = set()
        for _, joint, nodes in sorted(twigs, key=lambda t: t[0]):
            if joint not in touched:  # a bifurcation that lost one twig may be none any more: look again
                keep[nodes] = False
                touched.add(joint)


def smooth_chains(values: FloatArray, edges: IntArray, sigma: float) -> FloatArray:
    """Gaussian smoothing of (N,) or (N, D) values along every chain, `sigma` in nodes; leaves and bifurcations stay."""
    result = values.astype(float)
    for chain in chains(len(values), edges):
        if len(chain) > 2:
            result[chain] = smooth_path(values[chain], sigma)
    return result


def smooth_path(values: FloatArray, sigma: float) -> FloatArray:
    """Gaussian smoothing of (N, ...) values of a path, `sigma` in nodes; both ends keep their place and slope."""
    ramp = np.linspace(values[0], values[-1], len(values))
    rest = values - ramp
    padded = np.concatenate([-rest[:0:-1], rest, -rest[-2::-1]])  # odd about both ends
    return np.asarray(ramp + ndimage.gaussian_filter1d(padded, sigma, axis=0)[len(rest) - 1 : 2 * len(rest) - 1])


def _adjacency(count: int, edges: IntArray) -> sparse.csr_array:
    both = np.concatenate([edges, edges[:, ::-1]]) if len(edges) else np.zeros((0, 2), np.int64)
    return sparse.csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(count, count))
