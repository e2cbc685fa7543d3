"""Plane B corrected by what both planes see."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation.patient_runs import shots

from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.alignment import align, corrected, sighting
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel

SHIFTS = ((0, 0), (30, -22), (-25, 40), (0, 0))


@pytest.fixture(scope="module")
def views():
    return [sighting(shot.mask, shot.pose) for shot in shots(shifts=SHIFTS)]


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (3, 1), (3, 2)])
def test_the_shift_across_epipolar_lines_is_found(views, first, second):
    b = views[second]
    found = align([(views[first], b)])
    (start, end), _ = camera_from_pose(b.pose).project(np.stack([np.zeros(3), found.unobservable]))
    along = (end - start) / np.linalg.norm(end - start)
    across = np.array([-along[1], along[0]])
    assert found.shift @ along == pytest.approx(0, abs=1e-6)
    assert found.shift @ across == pytest.approx(SHIFTS[second] @ across, abs=1.1 / mm_per_pixel(b.pose))
    assert np.subtract(corrected(b.pose, found).center, b.pose.center) == pytest.approx(found.shift)
    assert found.residual_after < 0.1
    assert found.residual_after < found.residual_before
    assert found.reason == ""


def test_views_from_one_source_cannot_be_aligned(views):
    with pytest.raises(InvalidInputError, match="different angles"):
        align([(views[0], views[0])])
    with pytest.raises(InvalidInputError, match="at least one pair"):
        align([])
    with pytest.raises(InvalidInputError, match="empty"):
        sighting(np.zeros((9, 9), np.uint8), views[0].pose)
