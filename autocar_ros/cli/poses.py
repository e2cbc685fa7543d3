"""`autocar poses`: where a clinic looks from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from autocar_ros.cli.console import progress, terminal
from autocar_ros.errors import DicomError, InvalidInputError
from autocar_ros.figures.poses import draw_pose_history
from autocar_ros.geometry.carm import angle_between
from autocar_ros.imaging.dicom import read_geometry
from autocar_ros.synthetic.pose_fit import fit_history, view_angles
from autocar_ros.synthetic.pose_history import PoseHistory
from autocar_ros.types import CArmPose

STILL = 1.0  # degrees that the arm of a usual run may move
MOVES = "the C-arm moves during the run: a rotation is no view"

poses = typer.Typer(help="Views that runs are taken from.", no_args_is_help=True, add_completion=False)


@poses.callback()
def _group() -> None:
    """Views that runs are taken from."""


@poses.command()
def fit(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with DICOM runs, searched with all below it.")],
    out: Annotated[Path, typer.Option(help="JSON file for the pose history; its picture gets the same name, .png.")],
    clusters: Annotated[int, typer.Option(min=2, help="Number of clusters of views; the paper has nine.")] = 9,
    seed: Annotated[int, typer.Option(min=0, help="Of the starts of K-means.")] = 0,
) -> None:
    """Fit a pose history to the runs of a clinic, to simulate and train with its views.

    Only headers are read. The file holds clusters of angles, and SID, SOD and field of every run in sorted order:
    nothing of patients, dates or files. Use it with `autocar train --poses` and `autocar simulate --poses`.
    """
    found, problems = read_views(folder)
    for reason, count in problems.most_common():
        terminal().print(f"left out {count}: {reason}", highlight=False, markup=False, soft_wrap=True)
    history, label = fit_history(found, clusters, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    history.save(out)
    distances = [(p.source_to_detector, p.source_to_isocenter, float(np.mean(p.pixel_spacing))) for p in found]
    picture = out.with_suffix(".png")
    names = [c.name for c in history.clusters]
    draw_pose_history(view_angles(found), label, names, np.array(distances)).savefig(picture, dpi=110)
    terminal().print(_table(history))
    text = f"{len(found)} runs read, {problems.total()} files left out: wrote {out} and {picture}"
    terminal().print(escape(text), highlight=False, soft_wrap=True)


def read_views(folder: Path) -> tuple[list[CArmPose], Counter[str]]:
    """Pose of every run below a folder, and how many files were left out for which reason.

    Raises `InvalidInputError` when the folder is none or holds no file.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise InvalidInputError(f"{folder} is no folder with files in it: give the folder of the DICOM runs")
    found: list[CArmPose] = []
    problems: Counter[str] = Counter()
    with progress() as bar:
        for path in bar.track(files, description="Reading headers"):
            try:
                frames = read_geometry(path)
            except DicomError as error:
                problems[str(error).removeprefix(f"{path}: ").partition(": pass ")[0]] += 1
                continue
            if np.degrees(angle_between(frames[0], frames[-1])) > STILL:
                problems[MOVES] += 1
            else:
                found.append(frames[0])
    return found, problems


def _table(history: PoseHistory) -> Table:
    table = Table("view", "primary [deg]", "secondary [deg]", "runs")
    for c in history.clusters:
        angles = (f"{c.primary:.0f} ± {c.primary_deviation:.0f}", f"{c.secondary:.0f} ± {c.secondary_deviation:.0f}")
        table.add_row(c.name, *angles, f"{c.weight:.0f}")
    return table
