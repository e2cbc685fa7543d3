"""How a method is scored on one case (docs/evaluation.md); the command line makes the cases."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import InvalidInputError, ReconstructionError
from autocar_ros.evaluation.baselines.visual_hull import visual_hull
from autocar_ros.evaluation.graph_metrics import GraphScore, graph_correspondence, graph_score
from autocar_ros.evaluation.metrics import volume_score
from autocar_ros.evaluation.voxels import dense, grid_around, lumen, skeleton_graph
from autocar_ros.geometry.rigid import rigid_register
from autocar_ros.pipeline import reconstruct
from autocar_ros.types import FramePair, SparseVolume, VesselGraph
from autocar_ros.vessels.reprojection import sample_edges

VOXEL_SIZE = 0.5  # mm, as in the paper


class Prediction(NamedTuple):
    """What a method makes of a pair: the lumen in voxels of `VOXEL_SIZE`, and its centreline."""

    volume: SparseVolume
    graph: VesselGraph


Method = Callable[[FramePair], Prediction]


def lifting(pair: FramePair) -> Prediction:
    """Our reconstruction: lifted centrelines and the occupancy around them."""
    return Prediction(*reconstruct(pair, ReconstructionConfig(voxel_size=VOXEL_SIZE)))


def hull(pair: FramePair) -> Prediction:
    """Visual hull, and its skeleton by thinning."""
    volume = visual_hull(pair, VOXEL_SIZE)
    if len(volume.voxels) == 0:
        raise ReconstructionError("the masks have no voxel in common")
    grid = grid_around(volume.points, voxel_size=VOXEL_SIZE, margin=VOXEL_SIZE)
    return Prediction(volume, skeleton_graph(dense(volume, grid), grid))


METHODS: dict[str, Method] = {"lifting": lifting, "visual_hull": hull}


def score_static(pair: FramePair, truth: VesselGraph, method: Method) -> dict[str, float]:
    """Scores of a method on a pair of masks whose true vessels are known.

    Volume metrics at 0.5 mm, centreline metrics, correspondence between the views. A method that finds nothing has
    DICE and recall 0, and its distances are left out (NaN); `failed` is 1 then.
    """
    try:
        prediction = method(pair)
    except ReconstructionError:
        prediction = _nothing()
    grid = grid_around(truth.position, prediction.volume.points, voxel_size=VOXEL_SIZE)
    volumes = volume_score(dense(prediction.volume, grid), lumen(truth, grid), VOXEL_SIZE)
    lines = asdict(graph_score(prediction.graph, truth))
    kept = ("recall_1mm", "recall_2mm", "precision_1mm", "precision_2mm", "error_median_mm", "components")
    return {
        **asdict(volumes),
        **{name: lines[name] for name in kept},
        **asdict(graph_correspondence(prediction.graph, truth, pair.pose_a, pair.pose_b)),
        "failed": float(len(prediction.graph.edges) == 0),
    }


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
