"""Contrast states of made-up injections, as frames come in and of recorded runs."""

import numpy as np
import pytest

from autocar_ros.sync.contrast import ContrastFill, ContrastState, contrast_states

EMPTY, FILLING, FULL, WASHING = ContrastState
PERIOD = 66_000_000
AREAS = np.concatenate([np.zeros(10), np.linspace(0, 60, 15), np.full(45, 60), np.linspace(60, 0, 20), np.zeros(10)])


def mask(rows):
    out = np.zeros((80, 64), np.uint8)
    out[: round(rows), 30:36] = 255
    return out


def states(areas):
    fill = ContrastFill(0.003, 0.8)
    return [fill.add(k * PERIOD, mask(area)) for k, area in enumerate(areas)]


def in_order(found):
    return [int(s) for k, s in enumerate(found) if k == 0 or s != found[k - 1]]


def test_states_follow_an_injection():
    assert in_order([c.state for c in states(AREAS)]) == [EMPTY, FILLING, FULL, WASHING, EMPTY]


def test_key_frames_are_full():
    found = states(AREAS)
    assert all(c.state is FULL for c in found if c.key)
    assert all(c.key for c in found[32:68])


def test_one_lost_or_flooded_mask_changes_nothing_but_is_no_key_frame():
    for odd in (0.0, 80.0):
        areas = AREAS.copy()
        areas[45] = odd
        found = states(areas)
        assert in_order([c.state for c in found]) == [EMPTY, FILLING, FULL, WASHING, EMPTY]
        assert not found[45].key
        assert found[47].key


def test_a_failed_segmentation_is_passed_over():
    fill = ContrastFill(0.003, 0.8)
    for k in range(20):
        fill.add(k * PERIOD, mask(60))
    assert fill.add(20 * PERIOD, np.full((80, 64), 255, np.uint8)) == (FULL, False)


def test_a_beating_heart_stays_full(rng):
    time = np.arange(len(AREAS)) * 0.066
    areas = np.clip(AREAS * (0.92 + 0.08 * np.sin(2 * np.pi * 1.2 * time)) * rng.normal(1, 0.03, len(AREAS)), 0, 80)
    assert {c.state for c in states(areas)[36:66]} == {FULL}


@pytest.mark.parametrize("base", [0.0, 20.0])
def test_recorded_run(base, rng):
    time = np.arange(len(AREAS)) * 0.066
    amount = base + AREAS * (0.94 + 0.06 * np.sin(2 * np.pi * 1.2 * time)) + rng.normal(0, 1, len(AREAS))
    amount[50] = base
    found = contrast_states(np.maximum(amount, 0), np.arange(len(AREAS)) * PERIOD, 0.8)
    assert in_order(found) == [EMPTY, FILLING, FULL, WASHING, EMPTY]
    assert (found[26:66] == FULL).all()


def test_second_injection():
    twice = np.concatenate([AREAS, AREAS])
    found = contrast_states(twice, np.arange(len(twice)) * PERIOD, 0.8)
    assert in_order(found) == 2 * [EMPTY, FILLING, FULL, WASHING] + [EMPTY]


def test_a_static_run_is_full_and_nothing_is_empty():
    stamps = np.arange(20) * PERIOD
    assert (contrast_states(np.full(20, 5.0), stamps, 0.8) == FULL).all()
    assert (contrast_states(np.zeros(20), stamps, 0.8) == EMPTY).all()
    assert contrast_states(np.ones(1), np.zeros(1, np.int64), 0.8).tolist() == [FULL]
    assert len(contrast_states(np.zeros(0), np.zeros(0, np.int64), 0.8)) == 0
