"""Runs kept as folders of pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from evaluation.patient_runs import write_runs

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.picture_runs import read_picture_runs
from autocar_ros.evaluation.third_view import Shot
from autocar_ros.types import CArmPose

POSE = CArmPose(0.5, -0.3, 1100.0, 780.0, (0.25, 0.2), 40, 50)


@pytest.fixture
def folder(tmp_path):
    image = np.full((40, 50), 90, np.uint8)
    write_runs(tmp_path, "Patient_9", [Shot(image, image, POSE)] * 2, frames=3)
    return tmp_path


def test_runs_with_pose_and_time(folder):
    first, second = read_picture_runs(folder)
    assert (first.patient, first.name, second.name) == ("patient_9", "coro_1", "coro_2")
    assert len(first) == 3
    assert first.images().shape == (3, 40, 50)
    assert first.stamps_ns.tolist() == [0, 133_300_000, 266_600_000]
    for name in ("primary_angle", "secondary_angle", "source_to_detector", "source_to_isocenter", "rows", "columns"):
        assert getattr(first.pose, name) == pytest.approx(getattr(POSE, name))
    assert first.pose.pixel_spacing == pytest.approx(POSE.pixel_spacing)


def test_frames_of_another_size(folder):
    cv2.imwrite(str(folder / "patient_9" / "coro_1" / "frames" / "frame_00001.jpg"), np.zeros((40, 40), np.uint8))
    with pytest.raises(InvalidInputError, match="50 columns"):
        read_picture_runs(folder)[0].images()


def test_runs_without_frames(folder):
    for path in (folder / "patient_9" / "coro_2" / "frames").iterdir():
        path.unlink()
    with pytest.raises(InvalidInputError, match="no frames of patient_9/coro_2"):
        read_picture_runs(folder)


@pytest.mark.parametrize("text", ["patient,coro\nA,B\n", "patient,coro,frame_time_ms\nA,B,fast\n", ""])
def test_a_table_of_something_else(tmp_path, text):
    (tmp_path / "geometry.csv").write_text(text)
    with pytest.raises(InvalidInputError, match=r"not a table of runs|no frames"):
        read_picture_runs(tmp_path)
