"""`autocar reconstruct`: two DICOM runs to a vessel graph, without ROS."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from autocar_ros.cli.console import progress, terminal
from autocar_ros.config import ReconstructionConfig, SegmentationConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.figures.graph3d import draw_graph
from autocar_ros.figures.overlay import overlay
from autocar_ros.geometry.carm import angle_between, camera_from_pose
from autocar_ros.imaging.dicom import XrayRun, read_run
from autocar_ros.imaging.enhance import absorption
from autocar_ros.imaging.pictures import write_mask
from autocar_ros.imaging.segmentation import segmenter_for
from autocar_ros.pipeline import reconstruct as reconstruct_pair
from autocar_ros.sbp.prediction import network_for
from autocar_ros.types import CArmPose, Frame, FramePair, VesselGraph
from autocar_ros.vessels.export import save_graph

Spacing = Annotated[float | None, typer.Option(min=0.001, help="Pixel spacing at the detector, mm; replaces the tag.")]
FrameA = Annotated[int | None, typer.Option(min=0, help="Frame of run A, from 0. Without it, the fullest of contrast.")]
FrameB = Annotated[int | None, typer.Option(min=0, help="Frame of run B, from 0. Without it, the fullest of contrast.")]


class Method(StrEnum):
    """How a pair is reconstructed (`ReconstructionConfig.method`)."""

    NETWORK = "network"
    LIFTING = "lifting"


MethodOption = Annotated[Method, typer.Option(help="network: trained; lifting: needs no weights.")]
WeightsOption = Annotated[Path | None, typer.Option(help="Weights of the network. Without it, those of the package.")]


def reconstruct(
    run_a: Annotated[Path, typer.Argument(help="DICOM run of plane A.")],
    run_b: Annotated[Path, typer.Argument(help="DICOM run of plane B.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    pixel_spacing: Spacing = None,
    frame_a: FrameA = None,
    frame_b: FrameB = None,
    method: MethodOption = Method.NETWORK,
    weights: WeightsOption = None,
) -> None:
    """Reconstruct the vessel graph from one frame each of two DICOM runs.

    Writes vessel_graph.json (metres), .vtp and .csv (mm), the masks, overlays and a 3D view. The frame with the most
    contrast is taken; in a beating heart give two frames of the same heart phase with --frame-a and --frame-b.
    """
    config = ReconstructionConfig(method=str(method), weights=str(weights or ""))
    network, segmenter = network_for(config), segmenter_for()
    with progress() as bar:
        task = bar.add_task("Reading", total=5)
        first, pose_a = _chosen(run_a, pixel_spacing, frame_a)
        second, pose_b = _chosen(run_b, pixel_spacing, frame_b)
        bar.update(task, advance=2, description="Segmenting")
        masks = [segmenter.segment(frame.image).vessel for frame in (first, second)]
        bar.update(task, advance=1, description="Reconstructing")
        pair = FramePair(first.stamp_ns, second.stamp_ns, *masks, pose_a, pose_b, key_frame=True)
        graph = reconstruct_pair(pair, config, network).graph
        bar.update(task, advance=1, description="Writing")
        _write(out, graph, pair, (first, second))
        bar.advance(task)
    _summary(graph, pair, out)


def _chosen(path: Path, pixel_spacing: float | None, frame: int | None) -> tuple[Frame, CArmPose]:
    run = read_run(path, pixel_spacing=pixel_spacing)
    if frame is not None and frame >= len(run):
        raise InvalidInputError(f"{path}: has no frame {frame}, its frames are 0 to {len(run) - 1}")
    index = fullest_frame(run) if frame is None else frame
    return Frame(int(run.frame_times_ns[index]), run.images[index]), run.poses[index]


def fullest_frame(run: XrayRun) -> int:
    """Frame with the most attenuation by dark things narrower than a vessel may be; the first of equals.

    In a static run all frames are equal but for noise, and any of them will do.
    """
    width = SegmentationConfig().max_width
    return int(np.argmax([np.maximum(absorption(image, width).value, 0).mean() for image in run.images]))


def _write(out: Path, graph: VesselGraph, pair: FramePair, frames: tuple[Frame, Frame]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for ending in ("json", "vtp", "csv"):
        save_graph(graph, out / f"vessel_graph.{ending}")
    poses, masks = (pair.pose_a, pair.pose_b), (pair.mask_a, pair.mask_b)
    for plane, frame, pose, mask in zip("ab", frames, poses, masks, strict=True):
        write_mask(out / f"mask_{plane}.png", mask)
        picture = overlay(frame.image, graph, camera_from_pose(pose))
        cv2.imwrite(str(out / f"overlay_{plane}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    draw_graph(graph, path=out / "vessel_graph.png")


def _summary(graph: VesselGraph, pair: FramePair, out: Path) -> None:
    step = np.linalg.norm(graph.position[graph.edges[:, 0]] - graph.position[graph.edges[:, 1]], axis=1)
    table = Table("", "plane A", "plane B")
    table.add_row("median distance of graph and centreline, px", *(f"{value:.2f}" for value in graph.residual))
    table.add_row("centreline explained within 3 mm", *(f"{value:.0%}" for value in graph.coverage))
    console = terminal()
    console.print(table)
    console.print(
        f"{len(graph)} nodes, {len(graph.branch_label)} branches, {step.sum():.0f} mm of vessel; views "
        f"{np.degrees(angle_between(pair.pose_a, pair.pose_b)):.0f} degrees apart; {graph.processing_time:.2f} s",
        highlight=False,
    )
    if graph.status_reason:
        console.print(f"[yellow]{graph.status.name}:[/] the graph {escape(graph.status_reason)}", highlight=False)
    console.print(f"written to {escape(str(out))}", highlight=False)
