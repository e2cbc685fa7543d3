"""Shifts of views found from their images, and a graph judged in a view that had no part in it."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation.patient_runs import SEED, scenes, shots
from hypothesis import given
from hypothesis import strategies as st

from autocar_ros.evaluation.third_view import _at_shifts, by_chance, third_view

SHIFTS = ((0, 0), (30, -22), (-25, 40), (0, 0))


@pytest.fixture(scope="module")
def views():
    return shots(shifts=SHIFTS)


@pytest.fixture(scope="module")
def truth():
    return scenes(background=False)[0].truth(0.0)


@pytest.mark.parametrize("view", [1, 2])
def test_the_true_graph_fits_every_view(views, truth, view):
    seen = third_view(truth, views[view])
    assert seen.coverage > 0.95
    assert seen.precision > 0.9
    assert seen.shift == pytest.approx(SHIFTS[view], abs=9)  # within 3 mm all are as good
    moved = np.array(seen.pose.center) - views[view].pose.center
    assert tuple(moved) == seen.shift


def test_luck_is_worse_than_the_truth(views, truth):
    seen, luck = third_view(truth, views[1]), by_chance(truth, views[1])
    assert luck.coverage + luck.precision < seen.coverage + seen.precision - 0.4


@given(st.integers(0, 1000))
def test_all_shifts_at_once(seed):
    rng = np.random.default_rng(seed)
    fixed, moved, reach = (rng.random((6, 9)) < 0.3) * 1.0, (rng.random((12, 15)) < 0.3) * 1.0, 3
    found = _at_shifts(moved, fixed)
    assert found.shape == (7, 7)
    for row in range(-reach, reach + 1):
        for column in range(-reach, reach + 1):
            shifted = moved[reach - row :, reach - column :][: fixed.shape[0], : fixed.shape[1]]
            assert found[row + reach, column + reach] == (shifted * fixed).sum()


def test_the_patient_is_the_same_from_all_sides():
    standard, random = scenes(background=False)
    assert standard.config.seed == random.config.seed == SEED
    assert np.array_equal(standard.truth(0.3).position, random.truth(0.3).position)
