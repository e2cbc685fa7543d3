"""Protocol 5: how reconstruction and living graph bear wrong poses, masks and times, with and without alignment.

The command line draws the cases. One disturbance at a time grows from none to more than a clinic should meet; every
case stays the same patient in the same views.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from typing import Any

import numpy as np

from autocar_ros.config import AlignmentConfig, ReconstructionConfig
from autocar_ros.errors import ReconstructionError
from autocar_ros.evaluation.dynamic import RIGHT, Drive, Exposure, frame_scores
from autocar_ros.evaluation.graph_metrics import graph_correspondence, graph_score
from autocar_ros.evaluation.protocols import score_registered
from autocar_ros.evaluation.report import spread, spreads
from autocar_ros.pipeline import reconstruct
from autocar_ros.sbp.network import SbpNetwork
from autocar_ros.sync.alignment import Aligner
from autocar_ros.tracking.tracker import Tracker
from autocar_ros.types import CArmPose, FramePair, GraphStatus, VesselGraph

ALIGNMENTS = ("off", "shift", "full")


class Kind(StrEnum):
    """What is disturbed."""

    ANGLE = "angle"
    SHIFT = "shift"
    DAMAGE = "damage"
    PHASE = "phase"
    FRAMES = "frames"

    @property
    def label(self) -> str:
        """Name of the disturbance with its unit."""
        return _LABELS[self]

    @property
    def levels(self) -> tuple[float, ...]:
        """Its sizes, from none on."""
        return _LEVELS[self]


_LABELS = {
    Kind.ANGLE: "view of plane B wrong by [deg]",
    Kind.SHIFT: "table of plane B shifted by [mm]",
    Kind.DAMAGE: "damage of the masks (gaps, false vessels, catheter)",
    Kind.PHASE: "plane B later by [heart beats]",
    Kind.FRAMES: "share of the frames dropped",
}
_LEVELS: dict[Kind, tuple[float, ...]] = {
    Kind.ANGLE: (0.0, 1.0, 2.0, 3.0, 5.0),
    Kind.SHIFT: (0.0, 5.0, 10.0, 20.0, 30.0),
    Kind.DAMAGE: (0.0, 0.25, 0.5, 1.0),
    Kind.PHASE: (0.0, 0.05, 0.1, 0.2),
    Kind.FRAMES: (0.0, 0.25, 0.5, 0.75),
}

Rebuild = Callable[[FramePair], VesselGraph | None]


def rebuilder(network: SbpNetwork | None, config: ReconstructionConfig) -> Rebuild:
    """Reconstruction of a pair; None where it finds nothing."""

    def rebuild(pair: FramePair) -> VesselGraph | None:
        try:
            return reconstruct(pair, config, network).graph
        except ReconstructionError:
            return None

    return rebuild


def score_pair(
    pair: FramePair, truth: VesselGraph, poses: tuple[CArmPose, CArmPose], align: str, rebuild: Rebuild
) -> dict[str, float]:
    """Scores of one reconstruction.

    Parameters
    ----------
    pair : as believed
    truth : what both views show
    poses : that the masks were made with
    align : "off", "shift", "full"

    Returns
    -------
    Centreline scores after the best rigid fit, which two views wrong by one motion cannot tell; correspondence between
    the views, whether the graph has status OK, and whether it has it with a median error above 2 mm. Without a graph
    recall, coverage and accuracy are 0 and distances left out (NaN).
    """
    aligned = Aligner(AlignmentConfig(align=align)).correct(pair)
    graph = rebuild(aligned)
    if graph is None or len(graph.edges) == 0:
        return {"recall_2mm": 0.0, "coverage": 0.0, "accuracy": 0.0, "ok": 0.0, "wrong_though_ok": 0.0, "failed": 1.0}
    lines = asdict(score_registered(graph, truth)[0])
    views = graph_correspondence(graph, truth, aligned.pose_a, aligned.pose_b, true_poses=poses)
    ok = graph.status == GraphStatus.OK
    return {
        **{name: float(lines[name]) for name in ("recall_2mm", "precision_2mm", "error_median_mm")},
        "error_median_in_place_mm": graph_score(graph, truth).error_median_mm,
        **asdict(views),
        "ok": float(ok),
        "wrong_though_ok": float(ok and lines["error_median_mm"] > RIGHT),
        "failed": 0.0,
    }


def score_sequence(exposures: Iterable[Exposure], align: str, rebuild: Rebuild) -> dict[str, float]:
    """Scores of a living graph: means over the moments at which at least half of the tree is filled, without a fit."""
    aligner = Aligner(AlignmentConfig(align=align))
    corrected = (e._replace(pair=aligner.correct(e.pair)) for e in exposures)
    filled = [f for f in frame_scores(list(Drive(Tracker(), rebuild)(corrected))) if f["filled"]]
    if not filled:
        return {"recall_2mm": 0.0, "coverage": 0.0, "accuracy": 0.0, "ok": 0.0, "wrong_though_ok": 0.0, "failed": 1.0}
    names = ("recall_2mm", "precision_2mm", "error_median_mm", "coverage", "epe_mm", "accuracy")
    means = {name: spread(f[name] for f in filled)["mean"] for name in names}
    ok = np.array([f["status"] == GraphStatus.OK for f in filled])
    wrong = np.array([f["error_median_mm"] > RIGHT for f in filled])
    return {
        **{name: np.nan if mean is None else float(mean) for name, mean in means.items()},
        "ok": float(ok.mean()),
        "wrong_though_ok": float((ok & wrong).mean()),
        "failed": 0.0,
    }


def misread(pair: FramePair, pose_b: CArmPose) -> FramePair:
    """Pair whose plane B is believed to have another pose."""
    return replace(pair, pose_b=replace(pose_b, calibrated=False))


def curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Spread of every score: kind -> alignment -> one entry for each level, with the `level`.

    A row holds `kind`, `align`, `level`, and `scores` of one case.
    """
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for kind in dict.fromkeys(row["kind"] for row in rows):
        of_kind = [row for row in rows if row["kind"] == kind]
        levels = sorted({row["level"] for row in of_kind})
        found[kind] = {
            align: [
                {"level": level}
                | spreads([r["scores"] for r in of_kind if r["align"] == align and r["level"] == level])
                for level in levels
            ]
            for align in dict.fromkeys(row["align"] for row in of_kind)
        }
    return found
