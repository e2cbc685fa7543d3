"""`autocar reconstruct`: two DICOM runs or more to a vessel graph, without ROS."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from string import ascii_lowercase
from typing import Annotated

import cv2
import numpy as np
import typer
from rich.markup import escape
from rich.progress import Progress, TaskID
from rich.table import Table

from autocar_ros.cli.console import progress, terminal
from autocar_ros.cli.reconstruct_runs import ManyRuns, agreeing_pair, choose_shots, reconstruct_shots
from autocar_ros.cli.segment import Method as Segmentation
from autocar_ros.cli.segment import MethodOption as SegmentationOption
from autocar_ros.config import ReconstructionConfig, SegmentationConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.figures.graph3d import draw_graph
from autocar_ros.figures.overlay import overlay
from autocar_ros.geometry.alignment import How
from autocar_ros.geometry.carm import angle_between, camera_from_pose
from autocar_ros.imaging.dicom import XrayRun, read_run
from autocar_ros.imaging.pictures import write_mask
from autocar_ros.imaging.segmentation import segmenter_for
from autocar_ros.pipeline import reconstruct as reconstruct_pair
from autocar_ros.sbp.prediction import network_for
from autocar_ros.sbp.recorded import MOMENTS, SegmentedRun, aligned, more_moments, paired
from autocar_ros.sync.runs import RunPair, close_pairs, observe_dicom
from autocar_ros.types import CArmPose, Frame, FramePair, Mask, VesselGraph
from autocar_ros.vessels.export import save_graph

Spacing = Annotated[float | None, typer.Option(min=0.001, help="Pixel spacing at the detector, mm; replaces the tag.")]
WITHOUT = "from 0. Without it, chosen by heart phase and contrast."
FrameA = Annotated[int | None, typer.Option(min=0, help=f"Frame of run A, {WITHOUT}")]
MomentsOption = Annotated[
    int,
    typer.Option(
        min=1,
        help="Frames of each of two runs that show the vessels in the same place, used together; 1 is quickest, one "
        "look alone.",
    ),
]
FrameB = Annotated[int | None, typer.Option(min=0, help=f"Frame of run B, {WITHOUT}")]


class Method(StrEnum):
    """How a pair is reconstructed (`ReconstructionConfig.method`)."""

    NETWORK = "network"
    LIFTING = "lifting"


class Align(StrEnum):
    """How plane B is aligned to plane A (`AlignmentConfig.align`)."""

    OFF = "off"
    SHIFT = "shift"
    FULL = "full"

    @property
    def how(self) -> How | None:
        """The same for `pipeline.aligned`."""
        return _HOW[self]


_HOW: dict[Align, How | None] = {Align.OFF: None, Align.SHIFT: "shift", Align.FULL: "full"}
AlignOption = Annotated[
    Align,
    typer.Option(help="off: poses as reported; shift: table shift of run B; full: its angles and distances, too."),
]
MethodOption = Annotated[Method, typer.Option(help="network: trained; lifting: needs no weights.")]
WeightsOption = Annotated[Path | None, typer.Option(help="Weights of the network. Without it, those of the package.")]


def reconstruct(
    run: Annotated[list[Path], typer.Argument(help="DICOM runs of one artery: plane A, plane B, and any more.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    pixel_spacing: Spacing = None,
    frame_a: FrameA = None,
    frame_b: FrameB = None,
    method: MethodOption = Method.NETWORK,
    weights: WeightsOption = None,
    segmentation: SegmentationOption = Segmentation.NETWORK,
    align: AlignOption = Align.SHIFT,
    moments: MomentsOption = MOMENTS,
) -> None:
    """Reconstruct the vessel graph of one heart phase from two DICOM runs or more.

    Writes vessel_graph.json (metres), .vtp and .csv (mm), alignment.json, the masks, overlays and a 3D view. Frames of
    equal heart phase and full contrast are chosen, by the ECG or the motion of the vessels, and of those of nearly
    equal phase the ones whose views agree most; of still runs the fullest ones. Other frames of two runs that show the
    vessels in the same place have to confirm what is found. Of three runs or more all that fit the first one's phase
    and agree with another are used, one frame each, each with its table shift, and every vessel has to be in all masks
    that look at its place.
    """
    if len(run) < 2:
        raise InvalidInputError(f"{run[0]}: need two runs or more, from angles at least 25 degrees apart")
    config = ReconstructionConfig(method=str(method), weights=str(weights or ""))
    network, segmenter = network_for(config), segmenter_for(SegmentationConfig(method=str(segmentation)))
    wanted = [frame_a, frame_b] + [None] * (len(run) - 2)
    with progress() as bar:
        task = bar.add_task("Reading", total=5)
        runs = [_read(path, pixel_spacing, frame) for path, frame in zip(run, wanted, strict=True)]
        views = [SegmentedRun(r.images, r.poses, segmenter) for r in runs]
        agree = align is not Align.OFF
        if len(runs) > 2:
            shots, left_out = choose_shots(run, runs, views, frame_a, frame_b, agree)
            bar.update(task, advance=2, description="Reconstructing")
            many = reconstruct_shots(shots, left_out, config, network, agree)
            bar.update(task, advance=2, description="Writing")
            _write_many(out, many)
            bar.advance(task)
            _summary_of_many(many, out)
            return
        candidates = _candidates((runs[0], runs[1]), frame_a, frame_b)
        bar.update(task, advance=1, description="Segmenting")
        chosen = agreeing_pair(views[0], views[1], candidates) if agree else candidates[0]
        (first, pose_a), (second, pose_b) = (
            _frame(plane, k) for plane, k in zip(runs, (chosen.frame_a, chosen.frame_b), strict=True)
        )
        frames = (chosen.frame_a, chosen.frame_b)
        seen_a, seen_b = (of_run.moments(k, moments) for of_run, k in zip(views, frames, strict=True))
        bar.update(task, advance=2, description="Reconstructing")
        pair = replace(
            paired(seen_a[0], seen_b[0], pose_a, pose_b),
            stamp_a_ns=first.stamp_ns,
            stamp_b_ns=second.stamp_ns,
            phase_a=chosen.phase_a,
            phase_b=chosen.phase_b,
            phase_source=chosen.source,
        )
        pair = aligned(pair, align.how)
        more = more_moments(pair, seen_a, seen_b, moments)
        bar.update(task, total=5 + len(more))
        graph = reconstruct_pair(pair, config, network, _each(more, bar, task) if more else ()).graph
        bar.update(task, advance=1, description="Writing")
        _write(out, graph, pair, (first, second))
        bar.advance(task)
    _summary(graph, pair, chosen, max(len(seen_a), len(seen_b)), out)


def _each(more: Sequence[FramePair], bar: Progress, task: TaskID) -> Iterator[FramePair]:
    for pair in more:
        yield pair
        bar.advance(task)


def _read(path: Path, pixel_spacing: float | None, frame: int | None) -> XrayRun:
    run = read_run(path, pixel_spacing=pixel_spacing)
    if frame is not None and frame >= len(run):
        raise InvalidInputError(f"{path}: has no frame {frame}, its frames are 0 to {len(run) - 1}")
    return run


def _candidates(runs: tuple[XrayRun, XrayRun], frame_a: int | None, frame_b: int | None) -> tuple[RunPair, ...]:
    """Frames of nearly equal heart phase and full contrast, by ECG or images, best first; what is given is kept."""
    if frame_a is not None and frame_b is not None:
        return (RunPair(frame_a, frame_b, np.nan, np.nan, np.nan, "as asked for"),)
    first, second = (observe_dicom(run) for run in runs)
    return close_pairs(first, second, frame_a, frame_b)


def _frame(run: XrayRun, index: int) -> tuple[Frame, CArmPose]:
    return Frame(int(run.frame_times_ns[index]), run.images[index]), run.poses[index]


def _write(out: Path, graph: VesselGraph, pair: FramePair, frames: tuple[Frame, Frame]) -> None:
    _write_graph(out, graph)
    if pair.alignment is not None:
        told = {**asdict(pair.alignment), "unobservable": pair.alignment.unobservable.tolist()}
        corrected = {"alignment": told, "pose_b": asdict(pair.pose_b)}
        (out / "alignment.json").write_text(json.dumps(corrected, indent=1) + "\n")
    poses, masks = (pair.pose_a, pair.pose_b), (pair.mask_a, pair.mask_b)
    for plane, frame, pose, mask in zip("ab", frames, poses, masks, strict=True):
        _write_view(out, plane, graph, frame, pose, mask)


def _write_many(out: Path, many: ManyRuns) -> None:
    _write_graph(out, many.graph)
    (out / "alignment.json").write_text(json.dumps({"runs": many.told}, indent=1) + "\n")
    for name, shot in zip(ascii_lowercase, many.shots, strict=False):
        _write_view(out, name, many.graph, shot.frame, shot.pose, shot.vessels.mask)


def _write_graph(out: Path, graph: VesselGraph) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for ending in ("json", "vtp", "csv"):
        save_graph(graph, out / f"vessel_graph.{ending}")
    draw_graph(graph, path=out / "vessel_graph.png")


def _write_view(out: Path, name: str, graph: VesselGraph, frame: Frame, pose: CArmPose, mask: Mask) -> None:
    write_mask(out / f"mask_{name}.png", mask)
    picture = overlay(frame.image, graph, camera_from_pose(pose))
    cv2.imwrite(str(out / f"overlay_{name}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def _summary_of_many(many: ManyRuns, out: Path) -> None:
    console = terminal()
    for told, shot in zip(many.told, many.shots, strict=True):
        shift = " ".join(f"{v:+.1f}" for v in told["table_shift_mm"])
        console.print(f"{shot.path.name}: frame {shot.index}, table shift {shift} mm; {shot.reason}", highlight=False)
    for trouble in many.left_out:
        console.print(f"[yellow]left out:[/] {escape(trouble)}", highlight=False)
    console.print(
        f"{len(many.graph)} nodes, {len(many.graph.branch_label)} branches from {len(many.shots)} runs", highlight=False
    )
    console.print(f"written to {escape(str(out))}", highlight=False)


def _summary(graph: VesselGraph, pair: FramePair, chosen: RunPair, moments: int, out: Path) -> None:
    step = np.linalg.norm(graph.position[graph.edges[:, 0]] - graph.position[graph.edges[:, 1]], axis=1)
    table = Table("", "plane A", "plane B")
    table.add_row("median distance of graph and centreline, px", *(f"{value:.2f}" for value in graph.residual))
    table.add_row("centreline explained within 3 mm", *(f"{value:.0%}" for value in graph.coverage))
    console = terminal()
    console.print(table)
    skew = f"; residual skew {1000 * chosen.residual_skew:+.0f} ms" if np.isfinite(chosen.residual_skew) else ""
    console.print(f"frames {chosen.frame_a} and {chosen.frame_b}: {chosen.reason}{skew}", highlight=False)
    if moments > 1:
        console.print(f"{moments} pairs of frames that show the vessels in the same place", highlight=False)
    console.print(
        f"{len(graph)} nodes, {len(graph.branch_label)} branches, {step.sum():.0f} mm of vessel; views "
        f"{np.degrees(angle_between(pair.pose_a, pair.pose_b)):.0f} degrees apart; {graph.processing_time:.2f} s",
        highlight=False,
    )
    if pair.alignment is not None:
        (column, row), found = pair.alignment.shift, pair.alignment
        console.print(
            f"run B aligned: {column:+.1f} {row:+.1f} px, {found.sod:+.0f} mm towards the detector, agreement "
            f"{1 - found.residual_before:.2f} -> {1 - found.residual_after:.2f}, confidence {found.confidence:.2f}",
            highlight=False,
        )
    if graph.status_reason:
        console.print(f"[yellow]{graph.status.name}:[/] {escape(graph.status_reason)}", highlight=False)
    console.print(f"written to {escape(str(out))}", highlight=False)
