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
from autocar_ros.evaluation.metrics import Volume, volume_score
from autocar_ros.evaluation.voxels import Grid, dense, grid_around, lumen, skeleton_graph
from autocar_ros.geometry.rigid import rigid_register
from autocar_ros.pipeline import reconstruct
from autocar_ros.types import FramePair, VesselGraph
from autocar_ros.vessels.reprojection import sample_edges

VOXEL_SIZE = 0.5  # mm, as in the paper


class Prediction(NamedTuple):
    """What a method makes of a pair: the lumen on a grid, and its centreline."""

    volume: Volume
    graph: VesselGraph


Method = Callable[[FramePair, Grid], Prediction]


def lifting(pair: FramePair, grid: Grid) -> Prediction:
    """Our reconstruction: lifted centrelines and the occupancy around them."""
    volume, graph = reconstruct(pair, ReconstructionConfig(voxel_size=grid.voxel_size))
    return Prediction(dense(volume, grid), graph)


def hull(pair: FramePair, grid: Grid) -> Prediction:
    """Visual hull, and its skeleton by thinning."""
    volume = dense(visual_hull(pair, grid.voxel_size), grid)
    return Prediction(volume, skeleton_graph(volume, grid))


METHODS: dict[str, Method] = {"lifting": lifting, "visual_hull": hull}


def score_static(pair: FramePair, truth: VesselGraph, method: Method) -> dict[str, float]:
    """Scores of a method on a pair of masks whose true vessels are known.

    Volume metrics at 0.5 mm in a box 5 mm wider than the truth; centreline metrics; correspondence between the views.
    A method that finds nothing has DICE and recall 0, and its distances are left out (NaN); `failed` is 1 then.
    """
    grid = grid_around(truth.position, voxel_size=VOXEL_SIZE)
    try:
        prediction = method(pair, grid)
    except ReconstructionError:
        prediction = Prediction(np.zeros(grid.shape, np.bool_), _nothing())
    volumes = volume_score(prediction.volume, lumen(truth, grid), VOXEL_SIZE)
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


def _nothing() -> VesselGraph:
    none = np.zeros(0)
    return VesselGraph(np.zeros((0, 3)), none, np.zeros((0, 2), np.int64), none.astype(np.int64))
