"""A simulated patient seen from four sides, and the folder of pictures that such runs are kept in."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

from autocar_ros.config import SimulationConfig
from autocar_ros.evaluation.third_view import Shot
from autocar_ros.synthetic.scene import Scene

SEED = 3
COLUMNS = ("patient", "coro", "n_frames", "primary_angle_deg", "secondary_angle_deg", "sid_mm", "sod_mm",
           "imager_pixel_spacing_mm", "frame_time_ms", "rows", "cols")  # fmt: skip


def scenes(**changes):
    """The same patient in the two standard views and in two random ones."""
    usual = {"seed": SEED, "contrast": "full", "catheter": False, **changes}
    return [Scene(SimulationConfig(views=views, **usual)) for views in ("standard", "random")]


def moved(picture, columns, rows):
    """Picture whose content is displaced by whole pixels, as by the table."""
    shift = np.array([[1.0, 0, columns], [0, 1, rows]])
    return cv2.warpAffine(picture, shift, picture.shape[::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


def shots(time=0.0, shifts=((0, 0),) * 4, **changes):
    """Four shots with true masks at one moment, displaced in their planes by (columns, rows) px."""
    views = [(scene, plane) for scene in scenes(**changes) for plane in "ab"]
    return [
        Shot(moved(scene.image(plane, time), *shift), moved(scene.mask(plane, time), *shift), scene.pose(plane))
        for (scene, plane), shift in zip(views, shifts, strict=True)
    ]


def write_runs(folder: Path, patient: str, of: list[Shot], frames: int = 2) -> None:
    """Write shots as runs of so many equal frames, and the table of their geometry."""
    with (folder / "geometry.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for k, shot in enumerate(of, start=1):
            run = folder / patient.lower() / f"coro_{k}" / "frames"
            run.mkdir(parents=True)
            for frame in range(frames):
                cv2.imwrite(str(run / f"frame_{frame:05d}.jpg"), shot.image, [cv2.IMWRITE_JPEG_QUALITY, 95])
            p = shot.pose
            angles = [np.degrees(p.primary_angle), np.degrees(p.secondary_angle)]
            lengths = [p.source_to_detector, p.source_to_isocenter, list(map(float, p.pixel_spacing))]
            table.writerow([patient, f"Coro_{k}", frames, *angles, *lengths, 133.3, p.rows, p.columns])
