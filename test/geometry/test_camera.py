"""Cameras: agreement with OpenCV, rays, image bounds, bad input."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from geometry.cases import points, pose, poses
from hypothesis import example, given
from scipy.spatial.transform import Rotation

from autocar_ros.errors import PoseError
from autocar_ros.geometry.camera import pixel_rays, source_of
from autocar_ros.geometry.carm import camera_from_pose


@given(poses, points)
@example(pose(0.00037110204067142434, pixel_spacing=(0.5, 0.25), rows=64, columns=64), np.array([[0.0, 0.0, 2.0]]))
def test_agrees_with_opencv(case, x):
    camera = camera_from_pose(case)
    rvec = Rotation.from_matrix(camera.rotation).as_rotvec()  # cv2.Rodrigues loses digits near half a turn
    expected, _ = cv2.projectPoints(x, rvec, -camera.rotation @ camera.source, camera.matrix, None)
    np.testing.assert_allclose(camera.project(x)[0], expected[:, 0], atol=1e-5)


@given(poses, points)
def test_back_projection_returns_to_the_point(case, x):
    camera = camera_from_pose(case)
    pixels, depth = camera.project(x)
    np.testing.assert_allclose(camera.back_project(pixels, depth), x, atol=1e-6)


@given(poses, points)
def test_rays_and_source_of_the_projection(case, x):
    camera = camera_from_pose(case)
    np.testing.assert_allclose(source_of(camera.projection), camera.source, atol=1e-6)
    pixels, _ = camera.project(x)
    torch_rays = pixel_rays(torch.tensor(camera.projection), torch.tensor(pixels))
    np.testing.assert_allclose(torch_rays.numpy(), camera.rays(pixels), atol=1e-9)


def test_pixel_size_grows_with_depth():
    camera = camera_from_pose(pose())
    np.testing.assert_allclose(camera.mm_per_pixel([760.0, 1100.0]), [0.3 * 760 / 1100, 0.3])


def test_contains():
    camera = camera_from_pose(pose())
    pixels = np.array([[0.0, 0.0], [511.0, 511.0], [-0.1, 5.0], [5.0, 511.1], [3.0, 100.0]])
    np.testing.assert_array_equal(camera.contains(pixels), [True, True, False, False, True])
    np.testing.assert_array_equal(camera.contains(pixels, margin=4), [False] * 5)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rotation": np.diag([1.0, 1.0, -1.0])}, "right-handed"),
        ({"matrix": np.zeros((3, 3))}, "focal length 0"),
        ({"source": np.array([0, np.nan, 0])}, "not finite"),
        ({"source": np.zeros(2)}, "source"),
    ],
)
def test_bad_cameras_are_named(change, named):
    with pytest.raises(PoseError, match=named):
        replace(camera_from_pose(pose()), **change)
