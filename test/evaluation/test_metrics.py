"""Volume and correspondence metrics on shapes whose answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.metrics import (
    cl_dice,
    correspondence,
    dice,
    distinct_queries,
    surface_distances,
    surface_points,
    volume_score,
)


def box(low, high, shape=(24, 24, 24)):
    volume = np.zeros(shape, bool)
    volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return volume


def test_dice_of_half_overlapping_boxes():
    assert dice(box((0, 0, 0), (4, 4, 4)), box((2, 0, 0), (6, 4, 4))) == 0.5


def test_dice_of_different_sizes():
    # 8 voxels in 64: 2 * 8 / 72
    assert dice(box((0, 0, 0), (2, 2, 2)), box((0, 0, 0), (4, 4, 4))) == pytest.approx(2 / 9)


def test_cl_dice_of_a_line_twice_as_long():
    # Thin lines are their own skeletons: recall 1, precision 1/2, harmonic mean 2/3.
    truth, predicted = box((2, 5, 5), (10, 6, 6)), box((2, 5, 5), (18, 6, 6))
    assert cl_dice(predicted, truth) == pytest.approx(2 / 3)


def test_cl_dice_forgives_a_thicker_vessel_where_dice_does_not():
    truth, predicted = box((2, 8, 8), (22, 11, 11)), box((2, 7, 7), (22, 12, 12))
    assert dice(predicted, truth) < 0.6
    assert cl_dice(predicted, truth) > 0.9


def test_chamfer_and_hd95_of_shifted_planes():
    # Two sets of parallel points 3 mm apart: each direction 3 mm.
    plane = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0), [0.0]), -1).reshape(-1, 3)
    there, back = surface_distances(plane, plane + np.array([0, 0, 3.0]))
    assert there == pytest.approx(3.0)
    assert back == pytest.approx(3.0)


def test_surface_of_one_voxel_is_an_octahedron_around_it():
    points = surface_points(box((3, 3, 3), (4, 4, 4), (6, 6, 6)), voxel_size=2.0)
    assert np.abs(points - 6.0).sum(1) == pytest.approx(1.0)  # half a voxel of 2 mm from the centre


def test_surface_is_closed_at_the_border():
    full = np.ones((4, 4, 4), bool)
    points = surface_points(full, 1.0)
    assert points.min() == pytest.approx(-0.5)
    assert points.max() == pytest.approx(3.5)


def test_shifted_box_by_hand():
    # 6^3 boxes shifted by 1 voxel along x: overlap 5/6.
    score = volume_score(box((4, 4, 4), (10, 10, 10)), box((5, 4, 4), (11, 10, 10)), voxel_size=0.5)
    assert score.dice == pytest.approx(5 / 6)
    assert score.hd95_mm == pytest.approx(0.5)
    assert 0 < score.chamfer_mm < 1.0


def test_identical_volumes():
    volume = box((2, 3, 4), (9, 10, 12))
    score = volume_score(volume, volume)
    assert (score.dice, score.cl_dice, score.chamfer_mm, score.hd95_mm) == (1.0, 1.0, 0.0, 0.0)


def test_distances_scale_with_the_voxels():
    a, b = box((2, 2, 2), (8, 8, 8)), box((4, 3, 2), (12, 8, 9))
    small, large = volume_score(a, b, 0.5), volume_score(a, b, 1.0)
    assert large.chamfer_mm == pytest.approx(2 * small.chamfer_mm)
    assert large.hd95_mm == pytest.approx(2 * small.hd95_mm)
    assert large.dice == small.dice


corner = st.tuples(*[st.integers(0, 8)] * 3)
size = st.tuples(*[st.integers(1, 8)] * 3)
boxes = st.builds(lambda low, extent: box(low, np.add(low, extent)), corner, size)


@settings(max_examples=30, deadline=None)
@given(boxes, boxes)
def test_symmetry_and_range(a, b):
    there, back = volume_score(a, b), volume_score(b, a)
    assert there.dice == back.dice
    assert there.cl_dice == pytest.approx(back.cl_dice)
    assert there.chamfer_mm == pytest.approx(back.chamfer_mm)
    assert there.hd95_mm == pytest.approx(back.hd95_mm)
    assert 0 <= there.dice <= 1
    assert 0 <= there.cl_dice <= 1


@settings(max_examples=20, deadline=None)
@given(boxes, boxes, st.permutations(range(3)), st.tuples(*[st.integers(0, 6)] * 3))
def test_invariant_to_rigid_motion_of_the_grid(a, b, axes, shift):
    moved = [np.roll(np.transpose(v, axes), shift, (0, 1, 2)) for v in (a, b)]
    before, after = volume_score(a, b), volume_score(*moved)
    assert after.dice == before.dice
    assert after.chamfer_mm == pytest.approx(before.chamfer_mm, abs=0.02)  # marching cubes picks other diagonals
    assert after.hd95_mm == pytest.approx(before.hd95_mm, abs=0.3)


def test_nothing_predicted():
    truth = box((2, 2, 2), (5, 5, 5))
    score = volume_score(np.zeros_like(truth), truth)
    assert score.dice == score.cl_dice == 0
    assert np.isnan(score.chamfer_mm)
    assert np.isnan(score.hd95_mm)


@pytest.mark.parametrize(
    ("predicted", "truth", "cause"),
    [
        (np.ones((2, 2, 2), bool), np.ones((2, 2, 3), bool), "one shape"),
        (np.ones((2, 2), bool), np.ones((2, 2), bool), "one shape"),
        (np.ones((2, 2, 2)), np.ones((2, 2, 2), bool), "bool"),
        (np.ones((2, 2, 2), bool), np.zeros((2, 2, 2), bool), "empty"),
    ],
)
def test_volumes_that_cannot_be_compared(predicted, truth, cause):
    with pytest.raises(InvalidInputError, match=cause):
        volume_score(predicted, truth)


QUERY = np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0], [30.0, 0.0]])


def test_perfect_correspondence():
    result = correspondence(QUERY, QUERY + 5, QUERY, QUERY + 5, (0.5, 0.5))
    assert (result.coverage, result.epe_mm, result.accuracy) == (1.0, 0.0, 1.0)


def test_correspondence_by_hand():
    # Half of the query is reached in A. In B the two reached ones are 4 px = 2 mm off; the query at x = 20 and 30
    # finds the prediction of x = 10, which is 10 px and 20 px further: 14 px = 7 mm and 24 px = 12 mm.
    predicted_a, predicted_b = QUERY[:2], QUERY[:2] - np.array([4.0, 0.0])
    result = correspondence(QUERY, QUERY, predicted_a, predicted_b, (0.5, 0.5), tolerance=3.0)
    assert result.coverage == 0.5
    assert result.epe_mm == pytest.approx((2 + 2 + 7 + 12) / 4)
    assert result.accuracy == 0.25


def test_index_is_found_in_view_a():
    # Both predictions meet the query in B as a set, but exchanged: the printed formula would score 0 mm.
    result = correspondence(QUERY[:2], QUERY[:2], QUERY[:2], QUERY[[1, 0]], (1.0, 1.0))
    assert result.epe_mm == 10.0
    assert result.accuracy == 0.0


@given(st.floats(0.1, 4.0))
def test_correspondence_scales_with_pixels_and_tolerance(scale):
    predicted = QUERY + np.array([1.0, 1.5])
    one = correspondence(QUERY, QUERY, predicted, predicted, (1.0, 1.0), 2.0)
    other = correspondence(QUERY, QUERY, predicted, predicted, (scale, scale), 2.0 * scale)
    assert other.epe_mm == pytest.approx(scale * one.epe_mm)
    assert (other.coverage, other.accuracy) == (one.coverage, one.accuracy)


def test_points_that_lie_over_each_other_are_told_apart():
    # two vessels that cross in A at right angles and are 20 mm apart in B, and a third far from both
    along = np.arange(-20.0, 21.0)
    query_a = np.concatenate([np.stack([along, 0 * along], 1), np.stack([0 * along, along], 1), [[50.0, 50.0]]])
    query_b = query_a + np.repeat([[0.0, 0.0], [0.0, 100.0], [0.0, 0.0]], [len(along), len(along), 1], axis=0)
    alone = distinct_queries(query_a, query_b, (1.0, 1.0), 3.0)
    np.testing.assert_array_equal(np.flatnonzero(~alone[:41]), np.flatnonzero(np.abs(along) <= 3))
    assert alone[-1]
    # a prediction that is a little off in A confuses them at the crossing, and there alone
    result = correspondence(query_a, query_b, query_a + 0.4, query_b, (1.0, 1.0))
    assert result.epe_mm > 0.5
    assert result.epe_distinct_mm == 0
    assert result.accuracy < 1 == result.accuracy_distinct
    assert result.distinct == alone.mean()


def test_a_vessel_along_the_ray_is_not_distinct():
    query_a, query_b = np.zeros((10, 2)), np.stack([2 * np.arange(10.0), np.zeros(10)], 1)
    assert not distinct_queries(query_a, query_b, (1.0, 1.0), 3.0).any()
    result = correspondence(query_a, query_b, query_a, query_b, (1.0, 1.0))
    assert result.distinct == 0
    assert np.isnan(result.epe_distinct_mm)


def test_correspondence_without_prediction():
    empty = np.zeros((0, 2))
    result = correspondence(QUERY, QUERY, empty, empty, (1.0, 1.0))
    assert result.coverage == result.accuracy == 0
    assert np.isnan(result.epe_mm)


def test_correspondence_needs_queries_and_pairs():
    with pytest.raises(InvalidInputError, match="at least one"):
        correspondence(np.zeros((0, 2)), np.zeros((0, 2)), QUERY, QUERY, (1.0, 1.0))
    with pytest.raises(InvalidInputError, match="correspond"):
        correspondence(QUERY, QUERY[:2], QUERY, QUERY, (1.0, 1.0))
