"""Scores of the heart phase told by images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocar_ros.evaluation.phase import (
    by_rate,
    end_diastolic_frames,
    frame_score,
    pair_score,
    phase_score,
    summary,
    wrapping_frames,
)

BEATS = 0.61 + np.arange(60) / 12.5  # heart beats at 60 frames


def test_end_diastolic_frames_are_the_nearest_to_the_r_waves():
    assert end_diastolic_frames(BEATS).tolist() == [5, 17, 30, 42, 55]


@given(st.floats(0.02, 0.2), st.floats(0.0, 0.99))
def test_a_true_phase_wraps_at_the_end_diastolic_frames(step, start):
    beats = start + step * np.arange(80)
    found, true = wrapping_frames(beats % 1.0), end_diastolic_frames(beats)
    assert all(abs(found - k).min() <= 1 for k in true[1:-1])


def test_found_false_and_early_frames_are_counted_apart():
    true = np.array([5, 18, 30, 42])
    score = frame_score(np.array([6, 18, 24, 33, 50]), true, first=10)
    assert score == {"true": 3, "found": 1, "false": 2}  # 5 is too early to count, 50 lies where nothing is known


def test_phase_is_compared_around_the_cycle():
    told = np.array([0.98, np.nan, 0.5, 0.2])
    score = phase_score(told, np.array([3.01, 3.2, 3.46, 3.3]), first=0)
    assert score == {"frames": 4, "known": 3, "equal": 2}


def test_pairs_of_equal_phase_may_come_from_different_beats():
    assert pair_score(np.array([1.02, 2.5]), np.array([7.99, 4.6])) == {"pairs": 2, "equal": 1}


def sequence(rate, found):
    some, pairs = {"frames": 10, "known": 9, "equal": 8}, {"pairs": 0, "equal": 0}
    frames = {"true": 4, "found": found, "false": 1}
    parts = {"offline": frames, "online": frames, "phase_offline": some, "phase_online": some}
    return {"rate": rate, **parts, "best_pair": pairs, "pairs": pairs, "pairs_online": pairs | {"frames": 6}}


def test_shares_are_over_all_frames_and_none_where_there_was_nothing():
    found = summary([sequence(60, 4), sequence(110, 2)])
    assert found["sequences"] == 2
    assert found["found_offline"] == pytest.approx(6 / 8)
    assert found["false_online"] == pytest.approx(2 / 8)
    assert found["phase_equal_offline"] == pytest.approx(0.8)
    assert found["best_pair_equal"] is None


def test_heart_rates_are_told_apart():
    rows = by_rate([sequence(60, 4), sequence(64, 2), sequence(110, 2)])
    assert [(row["rate"], row["found_offline"]) for row in rows] == [(57.5, 0.75), (110.0, 0.5)]
