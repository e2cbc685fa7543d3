"""Real check: the phantom's registered centreline, projected, lies on dark vessel pixels of its X-ray runs."""

import csv
import json

import numpy as np
import pydicom
import pytest
from scipy import ndimage

from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.types import CArmPose


def registered_camera(view: dict, rows: int, columns: int) -> Camera:
    """Camera of a view of registered_cameras.json (its image centre is pixel 256)."""
    return camera_from_pose(
        CArmPose(
            np.radians(view["primary_deg"]),
            np.radians(view["secondary_deg"]),
            view["sid_mm"],
            view["sod_mm"],
            (view["pixel_spacing_mm"],) * 2,
            rows,
            columns,
            principal_point=(256 + view["shift_col_px"], 256 + view["shift_row_px"]),
        )
    )


def absorption_above_background(image: np.ndarray) -> np.ndarray:
    """Log absorption above its surroundings (black top-hat wider than the vessels)."""
    log = ndimage.gaussian_filter(np.log1p(image.astype(float)), 1)
    return ndimage.grey_closing(log, (25, 25)) - log


@pytest.mark.parametrize("name", ["IM3", "IM4", "IM7", "IM8"])
def test_centreline_lies_on_the_vessels(data_dir, name):
    folder = data_dir / "phantom"
    views = {v["file"]: v for v in json.loads((folder / "registered_cameras.json").read_text())["views"]}
    with open(folder / "centreline_lps_mm.csv") as file:
        points = np.array([[float(r[k]) for k in ("x_mm", "y_mm", "z_mm")] for r in csv.DictReader(file)])
    frames = pydicom.dcmread(folder / f"{name}.dcm").pixel_array
    contrast = absorption_above_background(np.median(frames, 0))
    camera = registered_camera(views[name], *contrast.shape)
    pixels, _ = camera.project(points)
    pixels = pixels[camera.contains(pixels, margin=15)]

    def darkness(shift: tuple[float, float]) -> float:
        return float(np.median(ndimage.map_coordinates(contrast, (pixels + shift).T[::-1], order=1)))

    here = darkness((0, 0))
    away = [darkness((25 * np.cos(a), 25 * np.sin(a))) for a in np.arange(0, 2 * np.pi, np.pi / 8)]
    mirrored = pixels * [-1, 1] + [2 * camera.matrix[0, 2], 0]
    mirrored_darkness = np.median(ndimage.map_coordinates(contrast, mirrored.T[::-1], order=1, mode="nearest"))
    assert here > 3 * np.median(away), "the centreline is not on the vessels"
    assert here > 1.5 * max(away)
    assert here > 3 * mirrored_darkness, "the image seems mirrored"
