"""X-ray runs to which a centreline is registered: where its vessels must be in every frame."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.protocols import read_centreline
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel, shift_image
from autocar_ros.imaging.dicom import read_run
from autocar_ros.types import CArmPose, FloatArray, Image
from autocar_ros.vessels.reprojection import sample_edges

CAMERAS = "registered_cameras.json"
CENTRELINE = "centreline_lps_mm.csv"


class RegisteredView(NamedTuple):
    """A run and the centreline as it projects into its frames."""

    name: str
    images: Image  # (F, rows, columns)
    projected: FloatArray  # (N, 2) px, inside the visible part of the image
    mm_per_pixel: float  # at the isocentre
    pose: CArmPose  # as registered
    reported: CArmPose  # without the table shift that the registration found


def read_registered_views(folder: Path) -> list[RegisteredView]:
    """Runs that `CAMERAS` names, with the projection of `CENTRELINE`; raises `InvalidInputError`, `DicomError`."""
    graph = read_centreline(folder / CENTRELINE)
    points = sample_edges(graph.position, graph.edges)
    views = []
    for name, (spacing, shift) in _cameras(folder / CAMERAS).items():
        run = read_run(folder / f"{name}.dcm", pixel_spacing=spacing)
        middle = (run.poses[0].columns / 2 + shift[0], run.poses[0].rows / 2 + shift[1])  # as the registration counts
        pose = replace(run.poses[0], principal_point=middle)
        camera = camera_from_pose(pose)
        pixels, _ = camera.project(points)
        pixels = pixels[camera.contains(pixels)]
        column, row = np.rint(pixels).astype(int).T
        seen = pixels[run.visible[row, column]]
        reported = shift_image(pose, -shift[0], -shift[1])
        views.append(RegisteredView(name, run.images, seen, mm_per_pixel(pose), pose, reported))
    return views


def _cameras(path: Path) -> dict[str, tuple[float, tuple[float, float]]]:
    """Run -> pixel spacing in mm and shift (column, row) in px."""
    try:
        views = json.loads(path.read_text())["views"]
        return {
            str(view["file"]): (
                float(view["pixel_spacing_mm"]),
                (float(view["shift_col_px"]), float(view["shift_row_px"])),
            )
            for view in views
        }
    except (KeyError, ValueError, TypeError) as e:
        raise InvalidInputError(
            f"{path} needs views with file, pixel_spacing_mm, shift_col_px and shift_row_px: {e!r}"
        ) from e
