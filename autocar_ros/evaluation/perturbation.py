"""Protocol 5: how reconstruction and living graph bear wrong poses, masks and times, with and without alignment.

The command line draws the cases. One disturbance at a time grows from none to more than a clinic should meet; every
case stays the same patient in the same views.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from autocar_ros.config import AlignmentConfig, ReconstructionConfig
from autocar_ros.errors import InvalidInputError, ReconstructionError
from autocar_ros.evaluation.dynamic import RIGHT, Drive, Exposure, Rebuild, frame_scores
from autocar_ros.evaluation.graph_metrics import graph_correspondence, graph_score
from autocar_ros.evaluation.matched_pose import matched_pose
from autocar_ros.evaluation.protocols import score_registered
from autocar_ros.evaluation.report import spread, spreads
from autocar_ros.geometry.alignment import corrected
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.geometry.consistency import epipolar_fan
from autocar_ros.geometry.rigid import similarity_register
from autocar_ros.sbp.pose_refinement import refine
from autocar_ros.sbp.refiner import Refiner
from autocar_ros.sync.alignment import Aligner
from autocar_ros.tracking.tracker import Tracker
from autocar_ros.types import CArmPose, FramePair, GraphStatus, VesselGraph
from autocar_ros.vessels.reprojection import sample_edges

WITHIN = 2.0  # mm
ALIGNMENTS = ("off", "shift", "full")
MATCHED = "matched"  # an alignment that knows the truth (`matched_pose`): what any method could reach at best
NOTHING = {"recall_2mm": 0.0, "coverage": 0.0, "accuracy": 0.0, "ok": 0.0, "wrong_though_ok": 0.0, "failed": 1.0}
THRESHOLDS = np.linspace(0, 1, 21)  # of the confidence


class Kind(StrEnum):
    """What is disturbed."""

    POSE = "pose"
    ONLINE = "online"
    ANGLE = "angle"
    SHIFT = "shift"
    DAMAGE = "damage"
    PHASE = "phase"
    ARTERY = "artery"
    JUMP = "jump"
    FRAMES = "frames"

    @property
    def label(self) -> str:
        """Name of the disturbance with its unit."""
        return _LABELS[self]

    @property
    def of_pose(self) -> bool:
        """Whether the pose of plane B is wrong in a still pair."""
        return self in (Kind.POSE, Kind.ANGLE, Kind.SHIFT)

    @property
    def levels(self) -> tuple[float, ...]:
        """Its sizes, from none on."""
        return _LEVELS[self]


_LABELS = {
    Kind.POSE: "plane B wrong by [deg], its table by 0, 5, 10, 20, 30 mm",
    Kind.ONLINE: "the same in a run, aligned as it goes on",
    Kind.ANGLE: "view of plane B wrong by [deg]",
    Kind.SHIFT: "table of plane B shifted by [mm]",
    Kind.DAMAGE: "damage of the masks (gaps, false vessels, catheter)",
    Kind.PHASE: "plane B later by [heart beats]",
    Kind.ARTERY: "plane B shows another patient's other artery (1)",
    Kind.JUMP: "table of plane B moved in mid-run by [mm]",
    Kind.FRAMES: "share of the frames dropped",
}
POSE_SHIFT = 0.0, 5.0, 10.0, 20.0, 30.0  # mm, of every level of `Kind.POSE` and `Kind.ONLINE`
_LEVELS: dict[Kind, tuple[float, ...]] = {
    Kind.POSE: (0.0, 1.0, 2.0, 3.0, 5.0),
    Kind.ONLINE: (0.0, 1.0, 2.0, 3.0, 5.0),
    Kind.ANGLE: (0.0, 1.0, 2.0, 3.0, 5.0),
    Kind.SHIFT: (0.0, 5.0, 10.0, 20.0, 30.0),
    Kind.DAMAGE: (0.0, 0.25, 0.5, 1.0),
    Kind.PHASE: (0.0, 0.05, 0.1, 0.2, 0.4),
    Kind.ARTERY: (0.0, 1.0),
    Kind.JUMP: (0.0, 5.0, 10.0, 20.0, 30.0),
    Kind.FRAMES: (0.0, 0.25, 0.5, 0.75),
}


def score_pair(
    pair: FramePair, truth: VesselGraph, poses: tuple[CArmPose, CArmPose], align: str, rebuild: Rebuild
) -> dict[str, float]:
    """Scores of one reconstruction.

    Parameters
    ----------
    pair : as believed
    truth : what both views show
    poses : that the masks were made with
    align : "off", "shift", "full", "matched"

    Returns
    -------
    Centreline scores after the best rigid fit, which two views wrong by one motion cannot tell; `_scaled`: after the
    best fit of motion and size, as the distance of both sources, too, is unseen. Correspondence between the views,
    whether the graph has status OK, and whether it has it with a median error above 2 mm. Without a graph recall,
    coverage and accuracy are 0 and distances left out (NaN).
    """
    if align == MATCHED:
        return score_aligned(replace(pair, pose_b=matched_pose(pair, truth, poses)), truth, poses, rebuild)
    return score_aligned(aligned_pair(pair, align), truth, poses, rebuild)


def score_online(
    pairs: Iterable[FramePair], truth: VesselGraph, poses: tuple[CArmPose, CArmPose], align: str, rebuild: Rebuild
) -> dict[str, float]:
    """Scores of the reconstruction of the last pair of a run, whose plane B was aligned pair by pair as in `Pipeline`.

    Parameters and scores as of `score_pair`; also the number of refinements by reprojection that were adopted, and the
    processor time in s of the longest.
    """
    config = AlignmentConfig(align=align)
    aligner, refiner, longest = Aligner(config), Refiner(ReconstructionConfig(), config), 0.0
    for given in pairs:
        pair = aligner.correct(given)
        if not pair.key_frame:
            continue
        begin = time.process_time()
        refined = refiner.offer(pair)
        longest = max(longest, time.process_time() - begin)
        if refined is not None:
            aligner.adopt(refined)
    spent = {"refinements": float(aligner.refinements), "refinement_s": longest}
    return score_aligned(pair, truth, poses, rebuild) | spent


def score_aligned(
    aligned: FramePair, truth: VesselGraph, poses: tuple[CArmPose, CArmPose], rebuild: Rebuild
) -> dict[str, float]:
    """Scores of the reconstruction of a pair as it is, see `score_pair`."""
    told = _recognized(aligned)
    graph = rebuild(aligned)
    if graph is None or len(graph.edges) == 0:
        return {**NOTHING, **told}
    lines = asdict(score_registered(graph, truth)[0])
    views = graph_correspondence(graph, truth, aligned.pose_a, aligned.pose_b, true_poses=poses)
    ok = graph.status == GraphStatus.OK
    return {
        **{name: float(lines[name]) for name in ("recall_2mm", "precision_2mm", "error_median_mm")},
        "error_median_in_place_mm": graph_score(graph, truth).error_median_mm,
        **_scaled(graph, truth),
        **asdict(views),
        "ok": float(ok),
        "wrong_though_ok": float(ok and lines["error_median_mm"] > RIGHT),
        "failed": 0.0,
        **told,
    }


def aligned_pair(pair: FramePair, align: str) -> FramePair:
    """Pair with its plane B aligned as `autocar reconstruct` does, by its masks."""
    found = Aligner(AlignmentConfig(align=align)).correct(pair)
    if found.alignment is None or align != "full":
        return found
    try:
        alignment = refine(pair, found.alignment, ReconstructionConfig(), AlignmentConfig())
    except ReconstructionError:
        return found
    return replace(pair, pose_b=corrected(pair.pose_b, alignment), alignment=alignment)


def _recognized(pair: FramePair) -> dict[str, float]:
    """How sure the alignment is that both planes show one tree at one moment, and whether it says that they do not."""
    found = pair.alignment
    return {} if found is None else {"confidence": found.confidence, "doubted": float(bool(found.reason))}


def recognition(rows: Sequence[Mapping[str, Any]], kind: Kind, align: str = "shift") -> list[dict[str, float]]:
    """Sensitivity and false alarms for each threshold of the confidence below which a pair is called wrong.

    Undisturbed pairs of all kinds are right; wrong are those of the largest level of `kind`. Rows as of `curves`.
    """
    known = [row for row in rows if row["align"] == align and "confidence" in row["scores"]]
    right = np.array([row["scores"]["confidence"] for row in known if row["level"] == 0])
    worst = [row for row in known if row["kind"] == kind and row["level"] == kind.levels[-1]]
    wrong = np.array([row["scores"]["confidence"] for row in worst])
    if len(right) == 0 or len(wrong) == 0:
        return []
    return [
        {"threshold": float(t), "sensitivity": float((wrong < t).mean()), "false_alarms": float((right < t).mean())}
        for t in THRESHOLDS
    ]


def _scaled(graph: VesselGraph, truth: VesselGraph) -> dict[str, float]:
    """Scores after the best motion and size."""
    fixed = sample_edges(truth.position, truth.edges)
    moved = similarity_register(sample_edges(graph.position, graph.edges), fixed)
    there, back = (KDTree(b).query(a)[0] for a, b in ((fixed, moved), (moved, fixed)))
    return {"recall_2mm_scaled": float(np.mean(there <= WITHIN)), "error_median_scaled_mm": float(np.median(back))}


def score_sequence(exposures: Iterable[Exposure], align: str, rebuild: Rebuild) -> dict[str, float]:
    """Scores of a living graph: means over the moments at which at least half of the tree is filled, without a fit."""
    aligner = Aligner(AlignmentConfig(align=align))
    corrected = (e._replace(pair=aligner.correct(e.pair)) for e in exposures)
    filled = [f for f in frame_scores(list(Drive(Tracker(), rebuild)(corrected))) if f["filled"]]
    if not filled:
        return dict(NOTHING)
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


def score_watch(pairs: Iterable[FramePair], true_pose: CArmPose, moved_ns: int | None, align: str) -> dict[str, float]:
    """What the aligner tells of a run, pair by pair, as in the nodes.

    Parameters
    ----------
    pairs : of a run, as believed
    true_pose : that the masks of plane B were made with
    moved_ns : stamp from which on the table has moved; None when plane B is wrong from the start

    Returns
    -------
    Whether what is wrong was `recognized` (a table move: noticed, or doubted ever after; else: doubted at the last
    pair), a table move after how many `pairs`, share of all pairs that are doubted, table `moves` noticed, and how many
    mm plane B is left shifted across its epipolar lines.
    """
    aligner, doubts, recognized = Aligner(AlignmentConfig(align=align)), [], []
    pair = None
    for given in pairs:
        pair = aligner.correct(given)
        doubts.append(pair.alignment is not None and bool(pair.alignment.reason))
        if moved_ns is None or given.stamp_b_ns >= moved_ns:
            recognized.append(doubts[-1] or (moved_ns is not None and aligner.moves > 0))
    if pair is None or not recognized:
        raise InvalidInputError("a run without pairs tells nothing")
    told = any(recognized) if moved_ns is not None else recognized[-1]
    return {
        "recognized": float(told),
        "pairs": float(recognized.index(True) + 1) if told and moved_ns is not None else np.nan,
        "doubted_share": float(np.mean(doubts)),
        "moves": float(aligner.moves),
        "left_mm": _left(pair, true_pose),
    }


def _left(pair: FramePair, true_pose: CArmPose) -> float:
    """Distance in mm of the isocentre in plane B from where it is, across the epipolar lines."""
    there, here = (camera_from_pose(pose).project(np.zeros((1, 3)))[0][0] for pose in (true_pose, pair.pose_b))
    across = epipolar_fan(pair.pose_a, true_pose).across  # px a mm
    return float(abs((there - here) @ across) / (across @ across))


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
