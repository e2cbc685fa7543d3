"""Errors told apart, on sets counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.error_split import Survivors, contained, error_split

NONE = np.zeros((0, 3), np.int64)
ROW = np.array([[x, 0, 0] for x in range(8)])  # a vessel along x

voxel_sets = st.lists(st.tuples(*[st.integers(-3, 12)] * 3), max_size=30, unique=True).map(
    lambda found: np.array(found, np.int64).reshape(-1, 3)
)


def test_every_true_voxel_goes_to_the_stage_that_lost_it():
    stages = {
        "hull": Survivors(np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]]), 2),  # holds x = 0..5
        "pruned": Survivors(ROW[[0, 1, 2, 3, 7]]),  # 7 was lost before
    }
    split = error_split(ROW, stages, ROW[[0, 1, 7]])
    assert split.lost == {"hull": 2 / 8, "pruned": 2 / 8}
    assert split.found == 2 / 8
    assert split.missed == 2 / 8


def test_false_voxels_are_ghosts_or_beside():
    false = np.array([[0, 1, 0], [0, 4, 0], [0, 5, 0], [0, 40, 0]])  # 0.5, 2, 2.5 and 20 mm from the truth
    split = error_split(ROW, {}, np.concatenate([ROW, false]))
    assert (split.right, split.beside, split.ghosts) == (8 / 12, 2 / 12, 2 / 12)


def test_voxel_size_decides_what_a_ghost_is():
    false = np.array([[0, 4, 0]])
    assert error_split(ROW, {}, false, voxel_size=0.5).ghosts == 0
    assert error_split(ROW, {}, false, voxel_size=1.0).ghosts == 1


def test_nothing_predicted():
    split = error_split(ROW, {"hull": Survivors(ROW)}, NONE)
    assert (split.found, split.missed, split.lost) == (0, 1, {"hull": 0})
    assert math.isnan(split.right)
    assert math.isnan(split.ghosts)


def test_nothing_true():
    with pytest.raises(InvalidInputError, match="empty"):
        error_split(NONE, {}, ROW)


@given(voxel_sets.filter(len), voxel_sets, voxel_sets, voxel_sets)
def test_shares_sum_to_one(truth, coarse, fine, predicted):
    split = error_split(truth, {"a": Survivors(coarse, 2), "b": Survivors(fine)}, predicted)
    assert split.found + sum(split.lost.values()) + split.missed == pytest.approx(1)
    if len(predicted):
        assert split.right + split.beside + split.ghosts == pytest.approx(1)


@given(voxel_sets, voxel_sets)
def test_contained_is_membership(voxels, others):
    among = {tuple(v) for v in others.tolist()}
    assert contained(voxels, others).tolist() == [tuple(v) in among for v in voxels.tolist()]
