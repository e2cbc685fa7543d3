"""Identity: whether node i stays the same anatomical point while graph_id stays the same.

Every node of a predicted graph is carried by the nearest point of the true tree, whose nodes keep their identity
through time. It keeps its own when that point moves by no more than a tolerance along the branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import KDTree

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import FloatArray, IntArray, VesselGraph


@dataclass(frozen=True)
class AnatomicalPoint:
    """Where N points lie on a tree."""

    edge: IntArray  # (N,) index of the edge
    fraction: FloatArray  # (N,) 0..1 from the edge's parent to its child
    distance: FloatArray  # (N,) mm from the point to that place

    def __getitem__(self, part: slice) -> AnatomicalPoint:
        return AnatomicalPoint(self.edge[part], self.fraction[part], self.distance[part])


@dataclass(frozen=True)
class Identity:
    """Share of nodes, 0..1, that stay the same anatomical point; NaN when nothing could be compared."""

    frame_to_frame: float
    whole_sequence: float  # from the first to the last graph of every graph_id
    rebuilds: int  # how often graph_id changed


def locate(points: FloatArray, tree: VesselGraph, candidates: int = 8) -> AnatomicalPoint:
    """Nearest place on the edges of a tree for points (N, 3) mm, among the edges with the nearest middles."""
    if len(tree.edges) == 0:
        raise InvalidInputError("the tree has no edges to locate points on")
    start, span = tree.position[tree.edges[:, 0]], np.diff(tree.position[tree.edges], axis=1)[:, 0]
    k = min(candidates, len(tree.edges))
    edge = KDTree(start + span / 2).query(points, k=k)[1].reshape(len(points), k)
    squared = np.maximum((span[edge] ** 2).sum(-1), 1e-12)
    fraction = np.clip(((points[:, None] - start[edge]) * span[edge]).sum(-1) / squared, 0.0, 1.0)
    foot = start[edge] + fraction[..., None] * span[edge]
    distance = np.linalg.norm(points[:, None] - foot, axis=-1)
    best = (np.arange(len(points)), distance.argmin(1))
    return AnatomicalPoint(edge[best], fraction[best], distance[best])


class Ruler:
    """Measures ways along the branches of a tree."""

    def __init__(self, tree: VesselGraph, limit: float = np.inf) -> None:
        """Ways of up to `limit` mm between nodes are measured; longer ones count as infinite."""
        self._edges = tree.edges
        self._length = np.linalg.norm(np.diff(tree.position[tree.edges], axis=1)[:, 0], axis=1)
        # An edge of length 0 would be read as no edge.
        weights = coo_array((np.maximum(self._length, 1e-9), tuple(tree.edges.T)), shape=(len(tree), len(tree)))
        self._between = dijkstra(weights.tocsr(), directed=False, limit=limit)  # (nodes, nodes) mm

    def way(self, a: AnatomicalPoint, b: AnatomicalPoint) -> FloatArray:
        """Way between corresponding places, (N,) mm; infinite when unconnected."""
        length_a, length_b = self._length[a.edge], self._length[b.edge]
        ways = [np.where(a.edge == b.edge, np.abs(a.fraction - b.fraction) * length_a, np.inf)]
        for end_a in (0, 1):
            for end_b in (0, 1):
                between = self._between[self._edges[a.edge, end_a], self._edges[b.edge, end_b]]
                ways.append(np.abs(end_a - a.fraction) * length_a + between + np.abs(end_b - b.fraction) * length_b)
        return np.asarray(np.min(ways, axis=0))


def births(places: Sequence[AnatomicalPoint]) -> AnatomicalPoint:
    """Where every node of the last of some graphs lay when it first appeared; a graph grows at the end of its nodes."""
    count, parts = 0, []
    for place in places:
        if len(place.edge) > count:
            parts.append(place[count:])
            count = len(place.edge)
    return joined(parts)


def joined(places: Sequence[AnatomicalPoint]) -> AnatomicalPoint:
    """Points one after the other."""
    names = ("edge", "fraction", "distance")
    return AnatomicalPoint(*(np.concatenate([getattr(place, name) for place in places]) for name in names))


def identity(
    graphs: Sequence[VesselGraph], truths: Sequence[VesselGraph], tolerance: float = 2.0, reach: float = 3.0
) -> Identity:
    """Identity over a sequence.

    Parameters
    ----------
    graphs, truths : the predicted and the true graph of every frame, in time order; true nodes keep their index
    tolerance : mm along the branches
    reach : mm; only nodes that start out this near to a true vessel are anatomical points at all
    """
    if len(graphs) != len(truths):
        raise InvalidInputError(f"need one truth per graph, got {len(truths)} for {len(graphs)}")
    if not graphs:
        return Identity(np.nan, np.nan, 0)
    ruler = Ruler(truths[0], limit=2 * tolerance)
    ids = [graph.graph_id for graph in graphs]
    places = [locate(graph.position, truth) for graph, truth in zip(graphs, truths, strict=True)]
    runs = [[p for _, p in run] for _, run in groupby(zip(ids, places, strict=True), key=lambda item: item[0])]

    def kept(first: AnatomicalPoint, last: AnatomicalPoint) -> tuple[int, int]:
        way = ruler.way(first, last[: len(first.edge)])  # nodes that grew later come after these
        known = first.distance <= reach
        return int((known & (way <= tolerance)).sum()), int(known.sum())

    steps = [kept(*pair) for run in runs for pair in pairwise(run)]
    spans = [kept(births(run), run[-1]) for run in runs if len(run) > 1]
    return Identity(_mean_of(steps), _mean_of(spans), len(runs) - 1)


def _mean_of(counts: list[tuple[int, int]]) -> float:
    kept, known = np.sum(counts, axis=0) if counts else (0, 0)
    return float(kept / known) if known else np.nan
