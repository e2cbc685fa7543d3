"""Two views: epipolar constraint and triangulation, numpy and torch."""

import numpy as np
import pytest
import torch
from geometry.cases import number, points, pose, poses
from hypothesis import assume, given

from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.carm import angle_between, camera_from_pose
from autocar_ros.geometry.epipolar import epipolar_lines, fundamental_matrix, reprojection_distance, triangulate


def two_views(a, b):
    assume(0.1 < angle_between(a, b) < np.pi - 0.1)
    return camera_from_pose(a).projection, camera_from_pose(b).projection


@given(poses, poses, points)
def test_projections_lie_on_epipolar_lines(a, b, x):
    pa, pb = two_views(a, b)
    pixels_a, pixels_b = camera_from_pose(a).project(x)[0], camera_from_pose(b).project(x)[0]
    f = fundamental_matrix(pa, pb)
    for lines, pixels in ((epipolar_lines(f, pixels_a), pixels_b), (epipolar_lines(f.T, pixels_b), pixels_a)):
        np.testing.assert_allclose(np.sum(lines[:, :2] * pixels, 1) + lines[:, 2], 0, atol=1e-4)


@given(poses, poses, points)
def test_triangulation_inverts_projection(a, b, x):
    pa, pb = two_views(a, b)
    pixels_a, pixels_b = camera_from_pose(a).project(x)[0], camera_from_pose(b).project(x)[0]
    found = triangulate(pa, pb, pixels_a, pixels_b)
    np.testing.assert_allclose(found.points, x, atol=1e-4)
    np.testing.assert_allclose(found.gap, 0, atol=1e-4)
    tensors = [torch.tensor(v) for v in (pa, pb, pixels_a, pixels_b)]
    np.testing.assert_allclose(triangulate(*tensors).points.numpy(), found.points, atol=1e-6)


@given(number(1, 10))
def test_gap_of_a_point_that_moved_between_the_views(shift):
    """AP and LAO 90: a point that moves to the head between the exposures leaves a gap of that size."""
    a, b = camera_from_pose(pose(0)), camera_from_pose(pose(90))
    pixels_a, pixels_b = a.project(np.zeros((1, 3)))[0], b.project(np.array([[0.0, 0.0, shift]]))[0]
    found = triangulate(a.projection, b.projection, pixels_a, pixels_b)
    assert found.gap[0] == pytest.approx(shift, rel=1e-3)
    assert found.points[0, 2] == pytest.approx(shift / 2, rel=1e-3)


def test_reprojection_distance_known():
    camera = camera_from_pose(pose())
    pixels = camera.project(np.zeros((1, 3)))[0] + [[3.0, 4.0]]
    np.testing.assert_allclose(reprojection_distance(camera.projection, np.zeros((1, 3)), pixels), [5.0])


def test_bad_input_is_named():
    a = camera_from_pose(pose()).projection
    with pytest.raises(InvalidInputError, match="share one X-ray source"):
        fundamental_matrix(a, a)
    with pytest.raises(InvalidInputError, match="correspond"):
        triangulate(a, a, np.zeros((2, 2)), np.zeros((3, 2)))
