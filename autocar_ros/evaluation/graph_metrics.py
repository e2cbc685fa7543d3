"""A predicted vessel graph against the true one: centreline, radius, bifurcations, correspondence. Lengths in mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.metrics import Correspondence, correspondence
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel
from autocar_ros.types import CArmPose, FloatArray, IntArray, VesselGraph
from autocar_ros.vessels import tree

AT_OSTIUM = 10.0  # mm between the true ostium and a root that is taken for it
REACHED = 3.0  # mm from the true ostium: a graph that ends before cannot begin there
SAMPLE_STEP = 0.25  # mm: samples on both lines change a distance of 1 mm by less than 1 %


@dataclass(frozen=True)
class Centreline:
    """Points along every edge of a graph, each standing for a piece of its length."""

    points: FloatArray  # (M, 3) mm
    length: FloatArray  # (M,) mm that the point stands for
    radius: FloatArray  # (M,) mm


@dataclass(frozen=True)
class GraphScore:
    """Agreement of two centreline graphs.

    `recall_*` is the share of true length with a prediction nearby, `precision_*` the share of predicted length with
    truth nearby. `error_*` is the distance from the prediction to the truth, `missed_*` from the truth to the
    prediction, both weighted by length. Radius errors hold where the prediction is within 2 mm of the truth.
    """

    recall_1mm: float
    recall_2mm: float
    recall_3mm: float
    precision_1mm: float
    precision_2mm: float
    precision_3mm: float
    error_median_mm: float
    error_mean_mm: float
    error_p95_mm: float
    missed_median_mm: float
    missed_mean_mm: float
    missed_p95_mm: float
    radius_error_mm: float  # median of the absolute difference
    radius_bias_mm: float  # median of predicted minus true
    bifurcations_found: int
    bifurcations_missed: int
    bifurcations_invented: int
    components: int
    length_mm: float
    true_length_mm: float


def sample_centreline(graph: VesselGraph, step: float = SAMPLE_STEP) -> Centreline:
    """Sample every edge at the middles of equal pieces of at most `step` mm."""
    start, end = graph.edges.T
    span = graph.position[end] - graph.position[start]
    edge_length = np.linalg.norm(span, axis=1)
    pieces = np.maximum(np.ceil(edge_length / step).astype(int), 1)
    edge = np.repeat(np.arange(len(pieces)), pieces)
    within = np.arange(len(edge)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    t = (within + 0.5) / pieces[edge]
    radius = graph.radius[start[edge]] * (1 - t) + graph.radius[end[edge]] * t
    points = graph.position[start[edge]] + t[:, None] * span[edge]
    return Centreline(points, (edge_length / pieces)[edge], radius)


def graph_score(predicted: VesselGraph, truth: VesselGraph, extent: VesselGraph | None = None) -> GraphScore:
    """Score a predicted graph.

    Parameters
    ----------
    predicted : the graph to judge; without edges it scores recall 0 and NaN errors
    truth : the part of the true tree that should have been found (`vessels.tree.visible_part`)
    extent : all true vessels, a prediction on which is no mistake; `truth` unless given

    Raises
    ------
    InvalidInputError
        When the truth has no edges.
    """
    if len(truth.edges) == 0:
        raise InvalidInputError("the true graph has no edges: there is nothing to compare with")
    extent = truth if extent is None else extent
    found, wanted, everything = sample_centreline(predicted), sample_centreline(truth), sample_centreline(extent)
    error, nearest = _distance(found, everything)
    missed, _ = _distance(wanted, found)
    close = error <= 2.0
    radius = found.radius[close] - everything.radius[nearest[close]]
    recall = [_share(missed, wanted.length, tolerance) for tolerance in (1.0, 2.0, 3.0)]
    precision = [_share(error, found.length, tolerance) for tolerance in (1.0, 2.0, 3.0)]
    error_median, error_mean, error_p95 = _median_mean_p95(error, found.length)
    missed_median, missed_mean, missed_p95 = _median_mean_p95(missed, wanted.length)
    hit, lost, extra = _match_bifurcations(predicted, truth, extent)
    return GraphScore(
        recall_1mm=recall[0],
        recall_2mm=recall[1],
        recall_3mm=recall[2],
        precision_1mm=precision[0],
        precision_2mm=precision[1],
        precision_3mm=precision[2],
        error_median_mm=error_median,
        error_mean_mm=error_mean,
        error_p95_mm=error_p95,
        missed_median_mm=missed_median,
        missed_mean_mm=missed_mean,
        missed_p95_mm=missed_p95,
        radius_error_mm=float(np.median(np.abs(radius))) if len(radius) else np.nan,
        radius_bias_mm=float(np.median(radius)) if len(radius) else np.nan,
        bifurcations_found=hit,
        bifurcations_missed=lost,
        bifurcations_invented=extra,
        components=count_components(predicted),
        length_mm=float(found.length.sum()),
        true_length_mm=float(wanted.length.sum()),
    )


def graph_correspondence(
    predicted: VesselGraph,
    truth: VesselGraph,
    pose_a: CArmPose,
    pose_b: CArmPose,
    tolerance: float = 3.0,
    true_poses: tuple[CArmPose, CArmPose] | None = None,
) -> Correspondence:
    """Equations 22-24 with the true nodes as query points and the predicted centreline as prediction.

    `true_poses` are those that the images were made with, where they differ from `pose_a`, `pose_b` as believed.
    """
    camera_a, camera_b = camera_from_pose(pose_a), camera_from_pose(pose_b)
    true_a, true_b = (camera_from_pose(p) for p in true_poses or (pose_a, pose_b))
    points = sample_centreline(predicted).points
    return correspondence(
        true_a.project(truth.position)[0],
        true_b.project(truth.position)[0],
        camera_a.project(points)[0],
        camera_b.project(points)[0],
        (mm_per_pixel(pose_a), mm_per_pixel(pose_b)),
        tolerance,
    )


def ostium_found(predicted: VesselGraph, truth: VesselGraph) -> float:
    """1 if the first root of a graph lies at the true ostium, else 0; NaN where the graph does not reach it."""
    true_root, root = (graph.position[graph.parent < 0][:1] for graph in (truth, predicted))
    if not (np.linalg.norm(predicted.position - true_root, axis=1) <= REACHED).any():
        return np.nan
    return float(np.linalg.norm(root - true_root) <= AT_OSTIUM)


def bifurcations(graph: VesselGraph) -> IntArray:
    """Nodes where three or more edges meet, (B,)."""
    return np.asarray(np.flatnonzero(tree.degree(len(graph), graph.edges) >= 3))


def count_components(graph: VesselGraph) -> int:
    """Number of connected pieces, single nodes included."""
    return len(np.unique(tree.components(len(graph), graph.edges)))


def match_points(found: FloatArray, wanted: FloatArray, tolerance: float) -> int:
    """Largest number of one-to-one pairs of (N, 3) and (M, 3) not more than `tolerance` mm apart."""
    distance = cdist(found, wanted)
    far = 1.0 + tolerance * (1 + min(distance.shape))  # dearer than all good pairs together
    cost = np.where(distance <= tolerance, distance, far)
    i, j = linear_sum_assignment(cost)
    return int((distance[i, j] <= tolerance).sum())


def _match_bifurcations(
    predicted: VesselGraph, truth: VesselGraph, extent: VesselGraph, tolerance: float = 3.0
) -> tuple[int, int, int]:
    """Bifurcations found, missed and invented."""
    found = predicted.position[bifurcations(predicted)]
    wanted = truth.position[bifurcations(truth)]
    real = extent.position[bifurcations(extent)]
    hit = match_points(found, wanted, tolerance)
    return hit, len(wanted) - hit, len(found) - match_points(found, real, tolerance)


def _distance(points: Centreline, line: Centreline) -> tuple[FloatArray, IntArray]:
    """Distance of every point to a sampled line, and the sample nearest to it; infinite when the line is empty."""
    if len(line.points) == 0:
        return np.full(len(points.points), np.inf), np.zeros(len(points.points), np.int64)
    distance, nearest = KDTree(line.points).query(points.points)
    return np.asarray(distance), np.asarray(nearest)


def _share(distance: FloatArray, length: FloatArray, tolerance: float) -> float:
    """Share of a line's length that is not more than `tolerance` mm away."""
    return float(length[distance <= tolerance].sum() / length.sum()) if len(length) else np.nan


def _median_mean_p95(distance: FloatArray, length: FloatArray) -> tuple[float, float, float]:
    """Length-weighted median, mean and 95 % quantile."""
    if len(distance) == 0 or not np.isfinite(distance).all():
        return np.nan, np.nan, np.nan
    median, p95 = np.quantile(distance, (0.5, 0.95), weights=length, method="inverted_cdf")
    return float(median), float(np.average(distance, weights=length)), float(p95)
