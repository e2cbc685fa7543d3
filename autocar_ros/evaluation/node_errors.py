"""Where a tracked graph is wrong, and why: true vessels that it lost, and nodes that left their anatomical point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.graph_metrics import sample_centreline
from autocar_ros.evaluation.identity import AnatomicalPoint, joined, locate
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.epipolar import triangulate
from autocar_ros.types import FloatArray, SeenBy, VesselGraph

FOUND = 2.0  # mm from a true node to the graph
REACH = 3.0  # mm; a node that starts out further from every true vessel stands for none


@dataclass(frozen=True)
class LostSplit:
    """Shares of the true nodes that are filled with contrast and in both images; they sum to 1.

    The order is that of the chain: what the masks do not show cannot be reconstructed, what was not reconstructed
    cannot be tracked.
    """

    found: float  # not more than `FOUND` from the graph
    not_segmented: float  # lost, and one of the masks does not show it
    not_in_graph: float  # lost, shown by both masks, but the graph has held no node for it
    drifted: float  # lost, though the graph had it


@dataclass(frozen=True)
class NodeErrors:
    """Mean distance in mm from the nodes to the anatomical points that they were born at, and its parts.

    `along` the vessel is slipping: it breaks identity, but leaves the centreline where it is. Across the vessel,
    `depth` is the part in the direction that both views see least (half way between their rays), `image` the rest.
    `common` is the length of the mean of all errors, as pose errors and a patient who moved make them; `born` is how
    far beside the vessel these nodes appeared: what the reconstruction left to the tracking.
    """

    node_error_mm: float
    along_mm: float
    depth_mm: float
    image_mm: float
    common_mm: float
    born_mm: float


class Anatomy:
    """What a sequence of graphs stands for: the places on the true tree at which their nodes appeared."""

    def __init__(self) -> None:
        self._id = -1
        self._born: AnatomicalPoint | None = None
        self._held = np.zeros(0, np.bool_)  # of the true nodes

    def update(self, graph: VesselGraph, truth: VesselGraph) -> None:
        """Take the next graph with the truth of its moment; raises `InvalidInputError` for a truth without edges."""
        if self._born is None or graph.graph_id != self._id:
            self._id, self._born = graph.graph_id, None
            self._held = np.zeros(len(truth), np.bool_)
        known = 0 if self._born is None else len(self._born.edge)
        if len(graph) > known:
            place = locate(graph.position[known:], truth)
            self._born = place if self._born is None else joined([self._born, place])
            self._held |= _near(truth.position, graph)

    def lost(self, graph: VesselGraph, truth: VesselGraph, shown: NDArray[np.bool_]) -> LostSplit:
        """Split of the true nodes; `shown` (N,): whether the masks of both views show the node where it is filled."""
        wanted = (truth.seen_by & SeenBy.BOTH) == SeenBy.BOTH
        if not wanted.any():
            raise InvalidInputError("no true vessel is filled and in both images: there is nothing to lose")
        lost = ~_near(truth.position, graph)[wanted]
        shown, held = shown[wanted], self._held[wanted]
        return LostSplit(
            found=float(np.mean(~lost)),
            not_segmented=float(np.mean(lost & ~shown)),
            not_in_graph=float(np.mean(lost & shown & ~held)),
            drifted=float(np.mean(lost & shown & held)),
        )

    def errors(self, graph: VesselGraph, truth: VesselGraph, cameras: tuple[Camera, Camera]) -> NodeErrors:
        """Split of the errors of the nodes that stand for a vessel and that both planes show (all NaN without any)."""
        if self._born is None or len(self._born.edge) != len(graph):
            raise InvalidInputError("the graph is not the one that `update` was given last")
        known = (self._born.distance <= REACH) & ((graph.seen_by & SeenBy.BOTH) == SeenBy.BOTH)
        if not known.any():
            return NodeErrors(*[np.nan] * 6)
        edge, fraction = self._born.edge[known], self._born.fraction[known]
        start, end = truth.position[truth.edges[edge]].transpose(1, 0, 2)
        point = start + fraction[:, None] * (end - start)
        error = graph.position[known] - point
        along, across = _parts(error, _unit(end - start))
        depth, image = _parts(across, unseen_direction(point, cameras))
        return NodeErrors(
            node_error_mm=_mean_length(error),
            along_mm=_mean_length(along),
            depth_mm=_mean_length(depth),
            image_mm=_mean_length(image),
            common_mm=float(np.linalg.norm(error.mean(0))),
            born_mm=float(self._born.distance[known].mean()),
        )


def pose_error(points: FloatArray, believed: tuple[Camera, Camera], true: tuple[Camera, Camera]) -> float:
    """Mean distance in mm at which points (N, 3) mm, seen by the true cameras, are found again by the believed ones.

    No reconstruction from these views can do better but by chance.
    """
    a, b = (camera.project(points)[0] for camera in true)
    found = triangulate(believed[0].projection, believed[1].projection, a, b).points
    return _mean_length(np.asarray(found) - points)


def unseen_direction(points: FloatArray, cameras: tuple[Camera, Camera]) -> FloatArray:
    """Unit vectors (N, 3) along which points (N, 3) mm move least in the two images: half way between the rays."""
    a, b = (_unit(points - camera.source) for camera in cameras)
    same = np.where((a * b).sum(1, keepdims=True) < 0, -1.0, 1.0)
    return _unit(a + same * b)


def _near(points: FloatArray, graph: VesselGraph) -> NDArray[np.bool_]:
    """Whether points (N, 3) lie not more than `FOUND` from a graph."""
    line = sample_centreline(graph).points
    if len(line) == 0:
        return np.zeros(len(points), np.bool_)
    return np.asarray(KDTree(line).query(points, distance_upper_bound=FOUND)[0] <= FOUND)


def _parts(vectors: FloatArray, direction: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Parts (N, 3) of vectors (N, 3) along unit directions (N, 3) and across them."""
    along = (vectors * direction).sum(1, keepdims=True) * direction
    return along, vectors - along


def _mean_length(vectors: FloatArray) -> float:
    return float(np.linalg.norm(vectors, axis=1).mean())


def _unit(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
