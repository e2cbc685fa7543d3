"""Epipolar agreement: exact for corresponding points, blind along epipolar lines, symmetric in what it compares."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel, shift_image
from autocar_ros.geometry.consistency import (
    PLANES,
    WIDTH,
    Fan,
    _values,
    absorbed_in_planes,
    absorbed_in_planes_numpy,
    agreement,
    difference,
    epipolar_fan,
)
from autocar_ros.geometry.epipolar import epipolar_lines, fundamental_matrix
from autocar_ros.types import CArmPose

A = CArmPose(np.radians(-30), np.radians(20), 1100.0, 750.0, (0.4, 0.4), 512, 512)
angles = st.tuples(st.floats(0, 60), st.floats(-30, 10))


def pose_b(primary=40.0, secondary=-10.0):
    return CArmPose(np.radians(primary), np.radians(secondary), 1050.0, 760.0, (0.35, 0.4), 480, 512)


def cloud(count=300, seed=0):
    return np.random.default_rng(seed).normal(0, 20, (count, 3))


def seen(pose, points):
    pixels, _ = camera_from_pose(pose).project(points)
    return pixels, np.ones(len(points))


def tangent(forms, pixels):
    above, below = _values(forms, pixels)
    return above / below


@given(angles)
def test_both_views_of_a_point_lie_in_one_plane(view):
    b = pose_b(*view)
    fan = epipolar_fan(A, b)
    points = cloud()
    first, second = (tangent(f, seen(p, points)[0]) for f, p in ((fan.first, A), (fan.second, b)))
    np.testing.assert_allclose(first, second, atol=1e-9)
    assert tangent(fan.first, seen(A, np.zeros((1, 3)))[0]) == pytest.approx(0.0, abs=1e-9)


@given(angles)
def test_across_is_a_mm_and_perpendicular_to_the_epipolar_line(view):
    b = pose_b(*view)
    across = epipolar_fan(A, b).across
    cameras: list[Camera] = [camera_from_pose(p) for p in (A, b)]
    center = cameras[0].project(np.zeros((1, 3)))[0]
    (line,) = epipolar_lines(fundamental_matrix(*(c.projection for c in cameras)), center)
    assert np.hypot(*across) * mm_per_pixel(b) == pytest.approx(1.0)
    assert abs(across @ line[:2]) == pytest.approx(np.hypot(*across))


@given(angles, st.floats(-20, 20))
def test_a_shift_of_the_pose_is_a_shift_of_the_profile(view, mm):
    b = pose_b(*view)
    first, second = seen(A, cloud()), seen(b, cloud())
    fan = epipolar_fan(A, b)
    moved: Fan = epipolar_fan(A, shift_image(b, *(mm * fan.across)))
    there = agreement(fan, first, second, [mm])
    assert there == pytest.approx(agreement(moved, first, second), abs=1e-6)


def test_what_both_views_show_agrees_and_what_they_do_not_does_not():
    b = pose_b()
    fan, first = epipolar_fan(A, b), seen(A, cloud())
    assert agreement(fan, first, seen(b, cloud())) == pytest.approx(1.0)
    assert agreement(fan, first, seen(b, cloud(seed=1)))[0] < 0.5
    assert (agreement(fan, first, seen(b, cloud()), [-20, -5, 5, 20]) < 0.5).all()


def test_the_difference_belongs_to_the_agreement():
    b = pose_b()
    fan, first, second = epipolar_fan(A, b), seen(A, cloud()), seen(b, cloud(seed=1))
    squares = (difference(fan, first, second) ** 2).sum()
    assert 1 - squares / 2 == pytest.approx(agreement(fan, first, second)[0])


def test_nothing_inside_the_fan_agrees_with_nothing():
    outside = np.full((5, 2), 1e5), np.ones(5)
    assert agreement(epipolar_fan(A, pose_b()), seen(A, cloud()), outside) == pytest.approx(0.0)


def test_views_from_one_source_are_refused():
    with pytest.raises(InvalidInputError, match="one X-ray source"):
        epipolar_fan(A, A)


def test_profiles_equal_their_twin(rng):
    values = np.stack([rng.normal(0, 0.2, 500), np.ones(500)])  # many beyond the last plane
    weight, steps = rng.uniform(0, 1, 500), rng.normal(0, 0.05, (7, 2))
    values[0, :2], steps[0] = (np.nextafter(WIDTH, 0), -WIDTH), 0.0  # at its very end, and at the first
    found = absorbed_in_planes(values, weight, steps)
    np.testing.assert_allclose(found, absorbed_in_planes_numpy(values, weight, steps), atol=1e-12)
    assert found.shape == (7, PLANES)
    inside = np.abs((values[0] + steps[1:, :1]) / (values[1] + steps[1:, 1:])) < WIDTH
    np.testing.assert_allclose(found[1:].sum(1), inside @ weight)
