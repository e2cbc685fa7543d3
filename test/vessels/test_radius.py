"""Lumen radius of tubes seen from anywhere, fused views, and radii along branches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sbp.tubes import c_arm, curve, render

from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.vessels.radius import branch_radius, fill_unknown, fuse_radius, lumen_radius, opening


def tangents(points):
    way = np.gradient(points, axis=0)
    return way / np.linalg.norm(way, axis=1, keepdims=True)


@pytest.mark.parametrize("true", [0.6, 0.9, 1.5, 2.5])
@pytest.mark.parametrize("angles", [(0, 0), (40, 20), (70, -25)])
def test_radius_of_a_slanting_tube_is_right_to_a_few_hundredths(true, angles):
    tube = curve((-25, 3, -10), (20, -8, 14))
    pose = c_arm(*angles)
    found = lumen_radius(tube, tangents(tube), camera_from_pose(pose), render(tube, np.full(len(tube), true), pose))
    assert np.isfinite(found[8:-8]).all()
    assert np.nanmedian(found) == pytest.approx(true, abs=0.03)
    assert np.nanstd(found[8:-8]) < 0.06


def test_a_tube_along_the_ray_a_tube_elsewhere_and_one_outside_tell_nothing():
    tube, pose = curve((0, -30, 0), (0, 30, 0)), c_arm()  # primary and secondary angle 0 look along y
    camera, mask = camera_from_pose(pose), render(tube, np.ones(len(tube)), pose)
    assert np.isnan(lumen_radius(tube, tangents(tube), camera, mask)).all()
    level = curve((-20, 0, 0), (20, 0, 0))
    mask = render(level, np.ones(len(level)), pose)
    for shift in ([0, 0, 10], [500, 0, 0]):
        assert np.isnan(lumen_radius(level + shift, tangents(level), camera, mask)).all()


def test_fused_radius_is_the_mean_of_alike_and_the_smaller_of_unlike():
    a, b = np.array([2.0, 1.0, np.nan, 1.5, 2.0, np.nan]), np.array([2.1, 4.0, 3.0, np.nan, 2.4, np.nan])
    fused = fuse_radius(a, b)
    assert fused[:5] == pytest.approx([2.05, 1.0, 3.0, 1.5, 2.1])
    assert np.isnan(fused[5])
    np.testing.assert_allclose(fuse_radius(b, a), fused)


@given(st.lists(st.floats(0.3, 4.0), min_size=2, max_size=2), st.floats(0.01, 0.2))
def test_fused_radius_lies_between_both_and_has_no_jumps(both, step):
    a, b = (np.array([r]) for r in both)
    fused = fuse_radius(a, b)
    assert min(both) <= fused[0] <= max(both)
    assert abs(fuse_radius(a + step, b)[0] - fused[0]) < 4 * step


def test_unknown_values_are_interpolated():
    filled = fill_unknown(np.array([np.nan, 1.0, np.nan, 3.0]), np.arange(4.0), 9.0)
    assert filled.tolist() == [1.0, 1.0, 2.0, 3.0]
    assert fill_unknown(np.full(2, np.nan), np.arange(2.0), 9.0).tolist() == [9.0, 9.0]


def test_bulges_and_gaps_go_and_a_narrowing_stays():
    along = np.arange(60.0)
    narrowed = 1.5 * (1 - 0.6 * np.exp(-4 * np.log(2) * ((along - 30) / 6) ** 2))
    seen = narrowed.copy()
    seen[:3], seen[10:15], seen[45:49] = 3.0, 2.5, np.nan
    found = branch_radius(seen, np.zeros(60, np.int64))
    assert found == pytest.approx(narrowed, abs=0.06)
    assert found.min() == pytest.approx(narrowed.min(), abs=0.03)


def test_branches_are_apart_and_all_unknown_is_one():
    branch = np.repeat([0, 1], 20)
    radius = np.where(branch == 0, 2.0, 1.0)
    assert branch_radius(radius, branch) == pytest.approx(radius)
    assert branch_radius(np.full(4, np.nan), np.zeros(4, np.int64)).tolist() == [1.0] * 4


@settings(deadline=None)
@given(st.lists(st.floats(0.2, 5.0), min_size=1, max_size=40), st.integers(1, 12))
def test_opening_never_adds_and_is_the_same_done_twice(values, size):
    values = np.array(values)
    once = opening(values, size)
    assert (once <= values).all()
    np.testing.assert_array_equal(opening(once, size), once)
