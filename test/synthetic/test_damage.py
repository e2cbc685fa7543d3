"""Damage of masks: nothing at 0, more and more up to 1."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autocar_ros.config import CaseConfig
from autocar_ros.synthetic.cases import case_rng, draw_case
from autocar_ros.synthetic.damage import damage_mask, lose_vessels

PIXEL = 0.5  # mm
VESSEL = np.zeros((200, 160), np.uint8)
cv2.line(VESSEL, (20, 180), (140, 20), 255, 7)


def masks(strength: float, cases: int = 10) -> np.ndarray:
    """Masks (cases, rows, columns) of the same patients and views, bool."""
    config = CaseConfig(image_size=128, damage=strength)
    return np.stack([draw_case(case_rng("train", 1, k), config).pair.mask_a > 0 for k in range(cases)])


def test_no_strength_no_damage():
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(damage_mask(rng, VESSEL, PIXEL, 0.0), VESSEL)
    assert (lose_vessels(rng, np.zeros((5, 3)), np.full(5, 0.4), 0.0) == 1).all()


def test_more_strength_more_damage():
    true = masks(0.0)
    damaged = [true, *(masks(s) for s in (0.35, 0.7, 1.0))]
    recall = [(m & true).sum() / true.sum() for m in damaged]
    precision = [(m & true).sum() / m.sum() for m in damaged]
    assert (np.diff(recall) < 0).all()
    assert (np.diff(precision) < 0).all()
    assert 0.4 < recall[-1] < 0.9


def test_thin_vessels_are_lost_first():
    position = np.random.default_rng(0).uniform(-50, 50, (400, 3))
    radius = np.linspace(0.4, 2.0, 400)
    shown = np.mean([lose_vessels(np.random.default_rng(s), position, radius, 1.0) for s in range(20)], axis=0)
    assert shown[:100].mean() < 0.75 < shown[300:].mean()


def test_gaps_interrupt_a_wide_vessel_in_pieces():
    position = np.linspace([0, 0, 0], [100, 0, 0], 201)
    pieces = [np.diff(lose_vessels(np.random.default_rng(s), position, np.full(201, 3.0), 1.0)) for s in range(10)]
    gaps = np.array([(p < 0).sum() for p in pieces])
    assert 0.5 < gaps.mean() < 8
    lost = np.mean([1 - lose_vessels(np.random.default_rng(s), position, np.full(201, 3.0), 1.0) for s in range(10)])
    assert 0.02 < lost < 0.5


def test_damage_leaves_its_input_alone_and_is_seeded():
    before = VESSEL.copy()
    first, second = (damage_mask(np.random.default_rng(3), VESSEL, PIXEL, 1.0) for _ in range(2))
    np.testing.assert_array_equal(VESSEL, before)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, VESSEL)


def test_masks_become_wider_and_narrower():
    band = np.zeros((200, 200), np.uint8)
    band[90:111] = 255
    width = [np.median((damage_mask(np.random.default_rng(s), band, 0.1, 1.0) > 0).sum(axis=0)) for s in range(30)]
    assert min(width) < 20
    assert max(width) > 23


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), strength=st.floats(0, 1), empty=st.booleans())
def test_damage_gives_a_mask_of_the_same_size(seed, strength, empty):
    mask = np.zeros_like(VESSEL) if empty else VESSEL
    damaged = damage_mask(np.random.default_rng(seed), mask, PIXEL, strength)
    assert damaged.shape == mask.shape
    assert damaged.dtype == np.uint8
    assert set(np.unique(damaged)) <= {0, 255}


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_an_empty_mask_gains_only_clutter(strength):
    rngs = [np.random.default_rng(s) for s in range(20)]
    damaged = [damage_mask(rng, np.zeros_like(VESSEL), PIXEL, strength) for rng in rngs]
    assert 0 < np.mean(np.stack(damaged) > 0) < 0.15
