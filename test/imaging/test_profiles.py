"""Widths of drawn bands whose width is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autocar_ros.imaging.profiles import vessel_widths

SIZE = 96


def band(angle, offset, width, soft=0.0):
    """Mask of a straight vessel: `angle` rad, `offset` px of its axis from the middle; soft borders of `soft` px."""
    row, column = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    across = np.abs(row * np.cos(angle) - column * np.sin(angle) - offset)
    share = np.clip((width / 2 - across) / soft + 0.5, 0, 1) if soft else across < width / 2
    return np.round(255 * share).astype(np.uint8)


def widths(mask, angle, shift=0.0, turn=0.0, count=41, reach=8.0):
    """Widths at `count` points 1 px apart, `shift` px beside the axis, the direction `turn` rad off."""
    along, normal = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    at = (SIZE - 1) / 2 + np.arange(count)[:, None] * along - count / 2 * along + shift * normal
    direction = np.array([np.cos(angle + turn), np.sin(angle + turn)])
    return vessel_widths(mask, at, np.tile(direction, (count, 1)), np.full(count, reach))


@settings(max_examples=60, deadline=None)
@given(
    angle=st.floats(0, np.pi), offset=st.floats(-2, 2), width=st.floats(2.5, 16), soft=st.sampled_from([0.0, 1.5, 3.0])
)
def test_width_of_any_band_is_found_between_the_pixels(angle, offset, width, soft):
    soft = min(soft, width / 2)
    found = widths(band(angle, offset, width, soft), angle, shift=offset)
    assert np.nanmedian(found) == pytest.approx(width, abs=1.0)  # a row of pixels more or less
    assert np.isfinite(found).mean() > 0.5


def test_no_bias_over_many_bands():
    rng = np.random.default_rng(0)
    error = []
    for _ in range(100):
        angle, width = rng.uniform(0, np.pi), rng.uniform(3, 12)
        error.append(np.nanmean(widths(band(angle, rng.uniform(-1, 1), width), angle)) - width)
    assert abs(np.mean(error)) < 0.03
    assert np.std(error) < 0.15


def test_the_axis_may_be_missed_and_the_direction_be_a_bit_off():
    mask = band(0.3, 0.0, 7.0)
    assert np.nanmedian(widths(mask, 0.3, shift=6.0)) == pytest.approx(7.0, abs=0.2)
    assert np.nanmedian(widths(mask, 0.3, turn=0.2)) == pytest.approx(7.0, rel=0.06)


def test_a_neighbour_is_not_counted_and_a_crossing_tells_nothing():
    vessel, neighbour = band(0.0, 0.0, 6.0), band(0.0, 7.0, 4.0)
    assert np.nanmedian(widths(vessel | neighbour, 0.0)) == pytest.approx(6.0, abs=0.3)
    crossed = widths(vessel | band(np.pi / 2, 0.0, 6.0), 0.0)
    assert np.isnan(crossed[20])
    assert crossed[[0, -1]] == pytest.approx(6.0, abs=0.3)


def test_nothing_is_told_without_a_vessel_or_beyond_the_image():
    assert np.isnan(widths(np.zeros((SIZE, SIZE), np.uint8), 0.0)).all()
    assert np.isnan(widths(band(0.0, 0.0, 5.0), 0.0, shift=20.0)).all()
    assert np.isnan(widths(np.full((SIZE, SIZE), 255, np.uint8), 0.0)).all()
