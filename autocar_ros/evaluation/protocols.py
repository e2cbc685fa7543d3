"""How a method is scored on one case (docs/evaluation.md); the command line makes the cases."""

from __future__ import annotations

import csv
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from autocar_ros.errors import InvalidInputError, ReconstructionError
from autocar_ros.evaluation.graph_metrics import GraphScore, graph_correspondence, graph_score, ostium_found
from autocar_ros.evaluation.methods import VOXEL_SIZE, Method, Prediction
from autocar_ros.evaluation.metrics import volume_score
from autocar_ros.evaluation.voxels import dense, grid_around, lumen
from autocar_ros.geometry.rigid import rigid_register
from autocar_ros.types import FramePair, SparseVolume, VesselGraph
from autocar_ros.vessels.reprojection import sample_edges


def score_static(pair: FramePair, truth: VesselGraph, method: Method) -> dict[str, float]:
    """Scores of a method on a pair of masks whose true vessels are known.

    Volume metrics at 0.5 mm, centreline metrics, correspondence between the views. A method that finds nothing has
    DICE and recall 0, and its distances are left out (NaN); `failed` is 1 then. `seconds` is what it took.
    """
    prediction, seconds = timed(method, pair)
    grid = grid_around(truth.position, prediction.volume.points, voxel_size=VOXEL_SIZE)
    volumes = volume_score(dense(prediction.volume, grid), lumen(truth, grid), VOXEL_SIZE)
    lines = asdict(graph_score(prediction.graph, truth))
    kept = ("recall_1mm", "recall_2mm", "precision_1mm", "precision_2mm", "error_median_mm", "components")
    return {
        **asdict(volumes),
        **{name: lines[name] for name in kept},
        **asdict(graph_correspondence(prediction.graph, truth, pair.pose_a, pair.pose_b)),
        "ostium_found": ostium_found(prediction.graph, truth),
        "failed": float(len(prediction.graph.edges) == 0),
        "seconds": seconds,
    }


def timed(method: Method, pair: FramePair) -> tuple[Prediction, float]:
    """Prediction of a method, empty where it gives up, and the seconds it took."""
    start = time.perf_counter()
    try:
        prediction = method(pair)
    except ReconstructionError:
        prediction = _nothing()
    return prediction, time.perf_counter() - start


def score_registered(graph: VesselGraph, reference: VesselGraph) -> tuple[GraphScore, VesselGraph]:
    """Score against a reference whose place is known up to a rigid motion; return the graph moved onto it, too."""
    motion = rigid_register(
        sample_edges(graph.position, graph.edges), sample_edges(reference.position, reference.edges)
    )
    moved = graph.with_(position=motion.apply(graph.position))
    return graph_score(moved, reference), moved


def read_centreline(path: Path) -> VesselGraph:
    """Reference centreline of a CSV file with columns branch, x_mm, y_mm, z_mm; its radius is unknown (NaN)."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        position = np.array([[float(row[f"{axis}_mm"]) for axis in "xyz"] for row in rows]).reshape(-1, 3)
        labels, branch = np.unique([row["branch"] for row in rows], return_inverse=True)
    except (KeyError, ValueError, TypeError) as e:
        raise InvalidInputError(f"{path} needs columns branch, x_mm, y_mm, z_mm with numbers: {e!r}") from e
    follows = np.flatnonzero(branch[1:] == branch[:-1])
    return VesselGraph(
        position=position,
        radius=np.full(len(position), np.nan),
        edges=np.stack([follows, follows + 1], 1),
        branch=branch.astype(np.int64),
        branch_label=tuple(str(label) for label in labels),
    )


def _nothing() -> Prediction:
    none, index = np.zeros(0), np.zeros((0, 3), np.int64)
    volume = SparseVolume(index, np.zeros(3), VOXEL_SIZE, none, none)
    return Prediction(volume, VesselGraph(np.zeros((0, 3)), none, index[:, :2], index[:, 0]))
