"""`autocar evaluate alignment`: views of a registered phantom, told where they are, not told, and aligned."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.table import Table

from autocar_ros.cli.console import progress, terminal
from autocar_ros.cli.reconstruct import Method, MethodOption, MomentsOption
from autocar_ros.cli.segment import Method as Segmentation
from autocar_ros.cli.segment import MethodOption as SegmentationOption
from autocar_ros.config import ReconstructionConfig, SegmentationConfig
from autocar_ros.errors import InvalidInputError, ReconstructionError
from autocar_ros.evaluation.protocols import read_centreline, score_registered
from autocar_ros.evaluation.registered_views import CENTRELINE, RegisteredView, read_registered_views
from autocar_ros.evaluation.report import provenance, write_json
from autocar_ros.geometry.alignment import How
from autocar_ros.geometry.carm import angle_between, camera_from_pose
from autocar_ros.geometry.consistency import epipolar_fan
from autocar_ros.geometry.joint_alignment import align_runs
from autocar_ros.imaging.segmentation import segmenter_for
from autocar_ros.pipeline import reconstruct
from autocar_ros.sbp.many_views import reconstruct_views
from autocar_ros.sbp.network import SbpNetwork
from autocar_ros.sbp.prediction import network_for
from autocar_ros.sbp.recorded import MOMENTS, SegmentedRun, aligned, more_moments, paired, sighting_of
from autocar_ros.types import CArmPose, FramePair, VesselGraph, Vessels

ANGLE = 25.0  # degrees between two views from which on they are judged
# poses as registered; as reported; these aligned in two ways
TRIALS: dict[str, How | None] = {"told": None, "reported": None, "shift": "shift", "full": "full"}


class Shown(NamedTuple):
    """A view, and the vessels of its moments (`SegmentedRun.moments`); the first, the middle frame, is aligned."""

    view: RegisteredView
    moments: list[Vessels]


def alignment(
    data: Annotated[
        Path, typer.Option(help="Folder with the runs, registered_cameras.json and centreline_lps_mm.csv.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json.")],
    method: MethodOption = Method.NETWORK,
    segmentation: SegmentationOption = Segmentation.NETWORK,
    moments: MomentsOption = MOMENTS,
) -> None:
    """Align every two views of a registered phantom that are at least 25 degrees apart; reconstruct from them.

    The error across the epipolar lines, in the mean over the vessels, given plane A as registered and plane B as
    reported, and how far the table was moved towards the detector, which the registration leaves as reported; recall
    and precision of the graph at 3 mm after the best rigid fit: told the registered shifts of both views, with both
    poses as reported, and with these aligned. Aligned by the middle frame of each view, reconstructed with the others
    to confirm it, as `autocar reconstruct` does. Then the same of the middle frames of every three views and more,
    told and with all table shifts solved together, as `autocar reconstruct` does with so many runs.
    """
    segmenter = segmenter_for(SegmentationConfig(method=str(segmentation)))
    config = ReconstructionConfig(method=str(method))
    network, reference = network_for(config), read_centreline(data / CENTRELINE)
    views = read_registered_views(data)
    with progress() as bar:
        task = bar.add_task("Segmenting", total=len(views) + len(TRIALS) * len(views) * (len(views) - 1) // 2)
        shown: list[Shown] = []
        for view in views:
            run = SegmentedRun(view.images, [view.pose] * len(view.images), segmenter)
            shown.append(Shown(view, run.moments(len(view.images) // 2, moments)))
            bar.advance(task)
        bar.update(task, description="Reconstructing")
        rows = []
        for first, second in combinations(shown, 2):
            angle = float(np.degrees(angle_between(first.view.pose, second.view.pose)))
            if angle >= ANGLE:
                scores = _scores(first, second, config, network, reference, moments)
                rows.append({"views": f"{first.view.name} {second.view.name}", "angle_deg": angle} | scores)
            bar.advance(task, len(TRIALS))
        many = []
        for some in _groups(shown):
            bar.update(task, description=f"{len(some)} views")
            many.append({"views": " ".join(each.view.name for each in some)} | _many(some, config, network, reference))
    if not rows:
        raise InvalidInputError(f"{data}: no two views are at least {ANGLE:g} degrees apart")
    protocol = {"name": "alignment", "method": str(method), "segmentation": str(segmentation), "angle_deg": ANGLE,
                "moments": moments}  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "metrics.json", {"protocol": protocol, "pairs": rows, "many": many, **provenance(None)})
    terminal().print(_table(rows))
    if many:
        terminal().print(_table_of_many(many))
    terminal().print(f"Wrote {out / 'metrics.json'}", highlight=False, soft_wrap=True)


def _scores(
    first: Shown,
    second: Shown,
    config: ReconstructionConfig,
    network: SbpNetwork | None,
    reference: VesselGraph,
    moments: int,
) -> dict[str, Any]:
    """Error of the shift in px, depth, and recall and precision of every trial."""
    a, b = first.view, second.view
    true = np.subtract(b.pose.center, b.reported.center)
    given = aligned(_pair(first, second, (a.pose, b.reported)))
    assert given.alignment is not None
    across = epipolar_fan(a.pose, b.reported).across
    across = across / np.linalg.norm(across)
    registered, found_at = (camera_from_pose(p).project(reference.position)[0] for p in (b.pose, given.pose_b))
    found: dict[str, Any] = {
        "true_shift_px": float(true @ across),
        "error_px": float(np.mean(found_at - registered, axis=0) @ across),
        "depth_mm": given.alignment.sod,
        "confidence": given.alignment.confidence,
    }
    for trial, how in TRIALS.items():
        pair = _pair(first, second, (a.pose, b.pose) if trial == "told" else (a.reported, b.reported))
        pair = aligned(pair, how)
        more = more_moments(pair, first.moments, second.moments, moments)
        try:
            score, _ = score_registered(reconstruct(pair, config, network, more).graph, reference)
            found[trial] = {"recall_3mm": score.recall_3mm, "precision_3mm": score.precision_3mm}
        except ReconstructionError as error:
            found[trial] = {"recall_3mm": 0.0, "precision_3mm": 0.0, "failed": str(error)}
    return found


def _groups(shown: Sequence[Shown]) -> list[tuple[Shown, ...]]:
    """All sets of three views and more."""
    return [some for count in range(3, len(shown) + 1) for some in combinations(shown, count)]


def _many(
    some: Sequence[Shown], config: ReconstructionConfig, network: SbpNetwork | None, reference: VesselGraph
) -> dict[str, dict[str, Any]]:
    """Recall and precision from three views or more, told where they are and with their tables aligned."""
    seen = [sighting_of(each.moments[0], each.view.reported) for each in some]
    trials = {
        "told": [each.view.pose for each in some],
        "aligned": align_runs(seen).corrected([each.view.reported for each in some]),
    }
    found: dict[str, dict[str, Any]] = {}
    for trial, poses in trials.items():
        graph = reconstruct_views([each.moments[0] for each in some], poses, config, network)
        score, _ = score_registered(graph, reference)
        found[trial] = {"recall_3mm": score.recall_3mm, "precision_3mm": score.precision_3mm}
    return found


def _table_of_many(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table("views", "told", "aligned", title="Three views and more: recall / precision at 3 mm")
    for row in rows:
        graphs = (f"{row[t]['recall_3mm']:.2f} / {row[t]['precision_3mm']:.2f}" for t in ("told", "aligned"))
        table.add_row(row["views"], *graphs)
    return table


def _pair(first: Shown, second: Shown, poses: tuple[CArmPose, CArmPose]) -> FramePair:
    return paired(first.moments[0], second.moments[0], *poses)


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table("views", "angle", "shift, px", "error, px", "depth, mm", "confidence", *TRIALS,
                  title="Recall / precision at 3 mm")  # fmt: skip
    for row in rows:
        graphs = (f"{row[t]['recall_3mm']:.2f} / {row[t]['precision_3mm']:.2f}" for t in TRIALS)
        across = f"{row['true_shift_px']:.1f}", f"{row['error_px']:+.1f}", f"{row['depth_mm']:+.0f}"
        table.add_row(row["views"], f"{row['angle_deg']:.0f}", *across, f"{row['confidence']:.2f}", *graphs)
    return table
