"""Labels of trees whose occupied voxels are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocar_ros.evaluation.voxels import Grid, lumen
from autocar_ros.training.labels import VOXEL_SIZE, label_tree, truth_of
from autocar_ros.types import VesselGraph

ORIGIN = np.full(3, -20.0)


def rod(radius: float, start=(-8.0, 0.1, 0.2), end=(8.0, 0.1, 0.2)) -> VesselGraph:
    """One straight vessel."""
    return VesselGraph(np.array([start, end], float), np.full(2, radius), np.array([[0, 1]]), np.zeros(2, np.int64))


def centres(labels) -> np.ndarray:
    return ORIGIN + (labels.voxels.numpy() + 0.5) * VOXEL_SIZE


@given(st.floats(0.6, 3.0))
def test_labels_are_the_voxels_that_evaluation_counts(radius):
    labels = label_tree(rod(radius), ORIGIN)
    grid = Grid(ORIGIN, (80, 80, 80), VOXEL_SIZE)
    expected = np.argwhere(lumen(rod(radius), grid))
    assert {tuple(v) for v in labels.voxels.numpy()} == {tuple(v) for v in expected}


def test_centreness_falls_from_the_axis_to_the_wall():
    labels = label_tree(rod(2.0), ORIGIN)
    points = centres(labels)
    inner = np.abs(points[:, 0]) < 6  # away from the round ends
    distance = np.hypot(points[:, 1] - 0.1, points[:, 2] - 0.2)[inner]
    # equation 3 with phi = r - d: (r - d) / ((r - d) + d)
    assert labels.centreness.numpy()[inner] == pytest.approx(1 - distance / 2.0, abs=0.04)  # the axis is sampled


def test_levels_contain_each_other():
    truth = truth_of(label_tree(rod(1.5), ORIGIN))
    coarse, middle, fine = truth.levels
    assert (middle.find(fine.index // 2) >= 0).all()
    assert (coarse.find(middle.index // 2) >= 0).all()
    assert len(truth.centreness) == len(fine)
    assert {tuple(v) for v in (fine.index // 4).tolist()} == {tuple(v) for v in coarse.index.tolist()}


def test_what_lies_outside_the_box_has_no_label():
    labels = label_tree(rod(1.0, start=(-30.0, 0.0, 0.0)), ORIGIN)
    assert labels.voxels.min() == 0
