"""X-ray runs kept as folders of pictures with one table of their geometry."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autocar_ros.errors import InvalidInputError
from autocar_ros.imaging.pictures import read_image
from autocar_ros.types import NANOSECONDS, CArmPose, Image, IntArray

GEOMETRY = "geometry.csv"


@dataclass(frozen=True)
class PictureRun:
    """One run of one patient: name of patient and run as in the table, frames on disk, pose, time between frames."""

    patient: str
    name: str
    frames: tuple[Path, ...]
    pose: CArmPose
    frame_time: float  # s

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def stamps_ns(self) -> IntArray:
        """(F,) ns from the first frame."""
        return np.asarray(np.rint(np.arange(len(self)) * self.frame_time * NANOSECONDS), np.int64)

    def images(self) -> Image:
        """Read the frames, (F, rows, columns); raises `InvalidInputError` when they are not of the pose's size."""
        images = [read_image(path) for path in self.frames]
        for path, image in zip(self.frames, images, strict=True):
            if image.shape != (self.pose.rows, self.pose.columns):
                raise InvalidInputError(f"{path} is {image.shape} px, {GEOMETRY} says {self.pose.rows} rows and "
                                        f"{self.pose.columns} columns")  # fmt: skip
        stacked: Image = np.stack(images)  # type: ignore[assignment]
        return stacked


def read_picture_runs(folder: Path) -> list[PictureRun]:
    """Runs of `GEOMETRY`, one row each, whose frames lie in `patient/coro/frames` (lower case), in order of name.

    The columns are patient, coro, primary_angle_deg, secondary_angle_deg, sid_mm, sod_mm,
    imager_pixel_spacing_mm ("[row, column]"), frame_time_ms, rows, cols. Raises `InvalidInputError`.
    """
    path = folder / GEOMETRY
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        runs = [_run(folder, row) for row in rows]
    except (KeyError, ValueError, TypeError) as e:
        raise InvalidInputError(f"{path} is not a table of runs: {e!r}") from e
    empty = [f"{run.patient}/{run.name}" for run in runs if not run.frames]
    if empty or not runs:
        raise InvalidInputError(f"{folder}: no frames of {', '.join(empty) or 'any run'}")
    return runs


def _run(folder: Path, row: dict[str, str]) -> PictureRun:
    patient, name = row["patient"].lower(), row["coro"].lower()
    frames = (folder / patient / name / "frames").glob("*.*")
    return PictureRun(patient, name, tuple(sorted(frames)), _pose(row), float(row["frame_time_ms"]) / 1e3)


def _pose(row: dict[str, str]) -> CArmPose:
    spacing = json.loads(row["imager_pixel_spacing_mm"])
    return CArmPose(
        primary_angle=float(np.radians(float(row["primary_angle_deg"]))),
        secondary_angle=float(np.radians(float(row["secondary_angle_deg"]))),
        source_to_detector=float(row["sid_mm"]),
        source_to_isocenter=float(row["sod_mm"]),
        pixel_spacing=(float(spacing[0]), float(spacing[1])),
        rows=int(row["rows"]),
        columns=int(row["cols"]),
    ).check()
