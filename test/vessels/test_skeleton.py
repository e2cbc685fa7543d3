"""Centrelines of masks whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autocar_ros.errors import InvalidInputError
from autocar_ros.vessels import tree
from autocar_ros.vessels.skeleton import binary, distance_outside, extract_centreline


def band(angle_deg, half_width, size=128):
    """Straight vessel through the middle of an image."""
    row, column = np.mgrid[:size, :size] - (size - 1) / 2
    angle = np.radians(angle_deg)
    along, across = column * np.cos(angle) + row * np.sin(angle), -column * np.sin(angle) + row * np.cos(angle)
    return np.where((np.abs(across) <= half_width) & (np.abs(along) <= 45), np.uint8(255), np.uint8(0))


@settings(max_examples=25)
@given(st.floats(0, 180), st.floats(2.0, 8.0))
def test_straight_vessel(angle, half_width):
    line = extract_centreline(band(angle, half_width))
    direction = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    offset = line.points - 63.5
    across = offset @ [-direction[1], direction[0]]
    middle = np.abs(offset @ direction) < 30
    assert np.abs(across[middle]).max() < 1.0
    assert np.median(line.radius[middle]) == pytest.approx(half_width, abs=0.8)
    assert np.ptp(offset @ direction) > 90 - 2 * half_width - 4


def test_centreline_is_a_forest_of_neighbours():
    mask = np.maximum(band(20, 4), band(100, 3))
    line = extract_centreline(mask)
    assert len(line.edges) == len(line) - len(np.unique(tree.components(len(line), line.edges)))
    assert np.linalg.norm(line.points[line.edges[:, 0]] - line.points[line.edges[:, 1]], axis=1).max() < 3


def test_crossing_has_four_arms():
    line = extract_centreline(np.maximum(band(20, 4), band(110, 4)))
    assert (tree.degree(len(line), line.edges) == 1).sum() == 4


def test_bumps_and_holes_and_specks_leave_no_twigs():
    mask = band(0, 5)
    mask[55:59, 40:43] = 255  # bump
    mask[62:65, 70:73] = 0  # hole
    mask[10:13, 10:13] = 255  # speck
    line = extract_centreline(mask)
    assert (tree.degree(len(line), line.edges) == 1).sum() == 2
    assert len(np.unique(tree.components(len(line), line.edges))) == 1


def test_query_finds_the_nearest_point_also_outside(rng):
    line = extract_centreline(band(30, 4))
    pixels = rng.uniform(-20, 150, (200, 2))
    distance, index = line.query(pixels)
    exact = np.linalg.norm(pixels[:, None] - line.points, axis=2).min(1)
    assert (distance >= exact - 1e-9).all()
    inside = ((pixels >= 0) & (pixels <= 127)).all(1)
    assert np.abs(distance - exact)[inside].max() < 1.5
    np.testing.assert_allclose(np.linalg.norm(pixels - line.points[index], axis=1), distance)


def test_distance_outside_is_zero_in_the_vessel():
    mask = band(0, 4)
    distance = distance_outside(mask)
    assert (distance[mask > 0] == 0).all()
    assert distance[63, 127] == pytest.approx(18, abs=1.5)


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        (np.zeros((64, 64), np.uint8), "empty"),
        (np.full((64, 64), 127, np.uint8), "empty"),
        (np.pad(np.full((4, 4), 255, np.uint8), 30), "longer than"),
        (np.zeros((64, 64), np.float32), "uint8"),
        (np.zeros((2, 64, 64), np.uint8), "rows, columns"),
    ],
)
def test_masks_without_vessels_say_so(mask, why):
    with pytest.raises(InvalidInputError, match=why):
        extract_centreline(mask)


def test_probability_is_cut_at_one_half():
    mask = np.array([[0, 127, 128, 255]], np.uint8).repeat(40, 0)
    assert binary(mask)[0].tolist() == [0, 0, 1, 1]


def test_thinned_centreline_has_the_same_ends_and_shape():
    line = extract_centreline(np.maximum(band(20, 4), band(110, 4)))
    index, edges = line.thinned
    assert len(index) == pytest.approx(len(line) / 2, rel=0.15)
    ends = {int(k) for k in np.flatnonzero(tree.degree(len(line), line.edges) != 2)}
    assert {int(index[k]) for k in np.flatnonzero(tree.degree(len(index), edges) != 2)} == ends


@pytest.mark.parametrize("corner", [(0, 0), (30, 41), (72, 72)])
def test_the_place_of_a_vessel_in_the_image_does_not_matter(corner):
    """Only the part around the vessel is looked at; at the border that part is smaller."""
    part = band(35, 4)[20:108, 20:108]
    part[40:43, 40:43] = 0  # a hole
    mask = np.zeros((160, 160), np.uint8)
    mask[corner[0] : corner[0] + 88, corner[1] : corner[1] + 88] = part
    line, alone = extract_centreline(mask), extract_centreline(np.pad(part, 20))
    np.testing.assert_allclose(line.points - corner[::-1], alone.points - 20, atol=1e-9)
    np.testing.assert_allclose(line.radius, alone.radius, atol=1e-6)
    np.testing.assert_array_equal(line.edges, alone.edges)


def test_background_enclosed_by_vessel_and_border_is_filled_only_when_small():
    mask = np.zeros((40, 60), np.uint8)
    mask[0, 20] = mask[1, 20] = 255
    assert binary(mask).sum() == 2
    mask[:8, 10:20] = 255
    mask[0:3, 13:16] = 0  # 9 px at the border of the image: noise
    assert binary(mask)[:8, 10:20].all()
