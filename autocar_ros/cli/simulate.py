"""`autocar simulate`: a simulated biplane run in files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from rich.markup import escape

from autocar_ros.cli.console import progress, terminal
from autocar_ros.config import SimulationConfig
from autocar_ros.figures.overlay import overlay
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.synthetic.dicom import write_run
from autocar_ros.synthetic.render import MONO16_BITS
from autocar_ros.synthetic.scene import ECG_RATE, Scene
from autocar_ros.types import Image
from autocar_ros.vessels.export import save_graph

SHEET = 5  # exposures on the contact sheet


class Tree(StrEnum):
    """Coronary trees."""

    LEFT = "left"
    RIGHT = "right"


class Views(StrEnum):
    """How the two views are chosen."""

    STANDARD = "standard"
    RANDOM = "random"


class Encoding(StrEnum):
    """Image encodings."""

    MONO8 = "mono8"
    MONO16 = "mono16"


def simulate(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    seconds: Annotated[float, typer.Option(min=0.05, max=120, help="Length of the run.")] = 3.0,
    frame_rate: Annotated[float, typer.Option(min=1, max=60, help="Exposures a second and plane, Hz.")] = 15.0,
    start: Annotated[float, typer.Option(min=0, help="First exposure, s; contrast flows from 0.3 s on.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Patient, motion and noise follow from it.")] = 1,
    tree: Annotated[Tree, typer.Option(help="Coronary tree.")] = Tree.LEFT,
    views: Annotated[Views, typer.Option(help="The usual two views, or drawn from clinics'.")] = Views.STANDARD,
    poses: Annotated[
        Path | None, typer.Option(help="Pose history to draw random views from, of `autocar poses fit`.")
    ] = None,
    stenoses: Annotated[int, typer.Option(min=0, max=10, help="Number of narrowings.")] = 0,
    encoding: Annotated[Encoding, typer.Option(help="mono16 uses 12 bits.")] = Encoding.MONO8,
) -> None:
    """Write a simulated biplane run as two DICOM files with ECG, and its truth.

    plane_a.dcm and plane_b.dcm go into `autocar reconstruct` and `autocar convert`; truth/NNNN.json is the true vessel
    graph of every exposure, contact_sheet.png is to look at: images, and below them the true tree drawn in.
    """
    config = SimulationConfig(
        seed=seed,
        tree=tree.value,
        views=views.value,
        poses=str(poses or ""),
        stenoses=stenoses,
        encoding=encoding.value,
    )
    times = start + np.arange(max(round(seconds * frame_rate), 1)) / frame_rate
    out.mkdir(parents=True, exist_ok=True)
    with progress() as bar:
        task = bar.add_task("Preparing the patient", total=len(times))
        scene = Scene(config)
        bar.update(task, description="Exposing")
        runs: dict[str, list[Image]] = {"a": [], "b": []}
        for k, time in enumerate(times):
            for plane, run in runs.items():
                run.append(scene.image(plane, float(time)))
            save_graph(scene.truth(float(time)), out / "truth" / f"{k:04d}.json")
            bar.advance(task)
    ecg = (scene.ecg(start, start + len(times) / frame_rate), ECG_RATE)
    for plane, run in runs.items():
        bits = MONO16_BITS if encoding is Encoding.MONO16 else 8
        write_run(out / f"plane_{plane}.dcm", np.stack(run), scene.pose(plane), frame_rate, ecg, bits)
    _write_sheet(scene, times, runs, out / "contact_sheet.png")
    sheet = escape(str(out / "contact_sheet.png"))
    terminal().print(f"{len(times)} exposures of two planes, seed {seed}: look at {sheet}")


def _write_sheet(scene: Scene, times: np.ndarray, runs: dict[str, list[Image]], path: Path) -> None:
    """Some exposures of both planes, each above itself with the true tree."""
    chosen = np.unique(np.linspace(0, len(times) - 1, SHEET).astype(int))
    rows = []
    for plane, run in runs.items():
        camera = camera_from_pose(scene.true_pose(plane))
        plain, drawn = [], []
        for k in chosen:
            image = run[k] if run[k].dtype == np.uint8 else (run[k] >> (MONO16_BITS - 8)).astype(np.uint8)
            plain.append(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB))
            drawn.append(overlay(image, scene.truth(float(times[k])), camera))
        rows += [np.hstack(plain), np.hstack(drawn)]
    small = cv2.resize(np.vstack(rows), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), small[..., ::-1])
