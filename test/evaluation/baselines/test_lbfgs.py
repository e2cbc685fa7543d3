"""The paper's graph optimisation: its matching against brute force, its warp on motions known by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.baselines.lbfgs import Deformation, LbfgsOptions, LbfgsRefit, MaskLine, match_curve
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.types import CArmPose


def cost(curve, points, chosen):
    steps, matched = np.diff(curve, axis=0), np.diff(points[list(chosen)], axis=0)
    near = np.linalg.norm(curve - points[list(chosen)], axis=1).sum()
    return near + np.linalg.norm(steps - matched, axis=1).sum()


@settings(max_examples=20)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(2, 3), st.integers(0, 1000))
def test_no_other_choice_is_cheaper(n, m, dimensions, seed):
    rng = np.random.default_rng(seed)
    curve, points = rng.normal(size=(n, dimensions)), rng.normal(size=(m, dimensions))
    least = min(cost(curve, points, chosen) for chosen in product(range(m), repeat=n))
    assert cost(curve, points, match_curve(curve, points)) == pytest.approx(least)


def test_nothing_to_match():
    with pytest.raises(InvalidInputError, match="no points"):
        match_curve(np.zeros((2, 3)), np.zeros((0, 3)))


@pytest.fixture
def arc(build):
    """An arc of 60 mm."""
    angle = np.linspace(0, 1.5, 41)
    position = 40 * np.column_stack([np.cos(angle), np.sin(angle), 0.3 * angle])
    return build(position, [[k, k + 1] for k in range(40)])


def test_a_deformation_without_motion_leaves_points_and_is_not_stiff(arc):
    deformation = Deformation(arc.position, LbfgsOptions(grid=10.0))
    assert deformation.warp().detach().numpy() == pytest.approx(arc.position)
    assert deformation.stiffness().item() == pytest.approx(0.0, abs=1e-3)


def distance(points, line):
    """Median distance of points to a densely sampled line: along it, and past its ends, they may slip."""
    return np.median(KDTree(np.linspace(line[:-1], line[1:], 20).reshape(-1, 3)).query(points)[0])


def test_a_shift_is_found_from_points_in_space(arc):
    way = np.array([1.0, -2.0, 0.5])
    moved = LbfgsRefit(arc)(arc.position, [], arc.position + way)
    assert distance(moved, arc.position + way) < 0.3 < distance(arc.position, arc.position + way)


def test_a_shift_is_found_from_two_views(arc):
    poses = [CArmPose(a, 0.1, 1100.0, 760.0, (0.4, 0.4), 400, 400) for a in (-0.5, 0.7)]
    way = np.array([2.0, 1.0, -1.5])
    views = []
    for camera in map(camera_from_pose, poses):
        dense = np.linspace(arc.position[:-1], arc.position[1:], 3).reshape(-1, 3) + way
        views.append(MaskLine(camera, camera.project(dense)[0]))
    moved = LbfgsRefit(arc)(arc.position, views)
    assert distance(moved, arc.position + way) < 0.5
