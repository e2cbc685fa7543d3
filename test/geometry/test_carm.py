"""The C-arm: known views, handedness, round trips."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from geometry.cases import points, pose, poses
from hypothesis import given

from autocar_ros.errors import PoseError
from autocar_ros.geometry.camera import project
from autocar_ros.geometry.carm import (
    angle_between,
    camera_from_pose,
    carm_axes,
    mm_per_pixel,
    pose_from_camera,
    projection_from_angles,
    shift_image,
    viewing_direction,
)

LEFT, POSTERIOR, HEAD = np.eye(3)


@pytest.mark.parametrize(
    ("primary", "secondary", "detector", "column", "row"),
    [
        (0, 0, -POSTERIOR, LEFT, -HEAD),  # AP: detector over the chest, patient left on the right, head up
        (90, 0, LEFT, POSTERIOR, -HEAD),  # LAO 90: detector at the patient's left side
        (-90, 0, -LEFT, -POSTERIOR, -HEAD),  # RAO 90
        (0, 90, HEAD, LEFT, -POSTERIOR),  # cranial 90: detector above the head
        (0, -90, -HEAD, LEFT, POSTERIOR),  # caudal 90
    ],
)
def test_known_views(primary, secondary, detector, column, row):
    u, w, d = carm_axes(np.radians(np.float64(primary)), np.radians(np.float64(secondary)))
    np.testing.assert_allclose([d, u, w], [detector, column, row], atol=1e-12)


def test_known_pixel():
    """AP, magnification SID / SOD = 1100 / 760 at the isocentre: 10 mm to the left and 5 mm to the head."""
    camera = camera_from_pose(pose())
    pixels, depth = camera.project(np.array([[10.0, 0.0, 5.0]]))
    step = 1100 / 760 / 0.3
    np.testing.assert_allclose(pixels, [[255.5 + 10 * step, 255.5 - 5 * step]])
    np.testing.assert_allclose(depth, [760.0])
    assert mm_per_pixel(pose()) == pytest.approx(1 / step)


def test_nearer_to_the_source_is_larger():
    """AP: the source is posterior (+y), so a posterior point is magnified more."""
    camera = camera_from_pose(pose())
    columns = camera.project(np.array([[10.0, 50.0, 0.0], [10.0, -50.0, 0.0]]))[0][:, 0]
    assert columns[0] > columns[1]


@given(poses)
def test_optical_frame_is_right_handed_and_the_display_is_mirrored(case):
    camera = camera_from_pose(case)
    u, w, d = carm_axes(np.float64(case.primary_angle), np.float64(case.secondary_angle))
    np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(camera.rotation) == pytest.approx(1)
    np.testing.assert_allclose(np.cross(u, w), -d, atol=1e-12)
    assert camera.matrix[0, 0] < 0 < camera.matrix[1, 1]


@given(poses, points)
def test_projection_is_the_formula_of_the_interfaces(case, x):
    u, w, d = carm_axes(np.float64(case.primary_angle), np.float64(case.secondary_angle))
    local = x - np.array(case.isocenter_offset)
    scale = case.source_to_detector / (case.source_to_isocenter + local @ d)
    column = case.center[0] + scale * (local @ u) / case.pixel_spacing[1]
    row = case.center[1] + scale * (local @ w) / case.pixel_spacing[0]
    pixels, depth = camera_from_pose(case).project(x)
    np.testing.assert_allclose(pixels, np.stack([column, row], -1), atol=1e-7)
    np.testing.assert_allclose(depth, case.source_to_isocenter + local @ d, atol=1e-9)


@given(poses)
def test_pose_camera_round_trip(case):
    back = pose_from_camera(camera_from_pose(case), case.source_to_detector, case.source_to_isocenter)
    for name in ("primary_angle", "secondary_angle", "pixel_spacing", "isocenter_offset"):
        np.testing.assert_allclose(getattr(back, name), getattr(case, name), atol=1e-6, err_msg=name)
    np.testing.assert_allclose(back.center, case.center)


@given(poses, points)
def test_torch_and_numpy_agree(case, x):
    angles = (case.primary_angle, case.secondary_angle, case.source_to_detector, case.source_to_isocenter)
    vectors = (case.pixel_spacing, case.center, case.isocenter_offset)
    arguments = [torch.tensor(v, dtype=torch.float64) for v in (*angles, *vectors)]
    projection = projection_from_angles(*arguments)
    camera = camera_from_pose(case)
    np.testing.assert_allclose(projection.numpy(), camera.projection, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(project(projection, torch.tensor(x))[0].numpy(), camera.project(x)[0], atol=1e-6)


def test_projection_is_differentiable_in_every_pose_parameter_and_batched():
    case = pose(30, -20)
    values = (case.primary_angle, case.secondary_angle, 1100.0, 760.0, case.pixel_spacing, case.center, (1.0, 2.0, 3.0))
    arguments = [torch.tensor([v, v], dtype=torch.float64, requires_grad=True) for v in values]
    x = torch.tensor([[5.0, -7.0, 11.0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *a: project(projection_from_angles(*a), x)[0], arguments)


def test_image_shift_moves_pixels():
    x = np.array([[3.0, 4.0, 5.0]])
    before, after = (camera_from_pose(p).project(x)[0] for p in (pose(20, 10), shift_image(pose(20, 10), 12.5, -3)))
    np.testing.assert_allclose(after - before, [[12.5, -3.0]])


def test_angle_between_views():
    assert angle_between(pose(0), pose(90)) == pytest.approx(np.pi / 2)
    assert angle_between(pose(10, 20), pose(10, 20)) == pytest.approx(0, abs=1e-7)
    np.testing.assert_allclose(viewing_direction(pose(0, 90)), HEAD, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"primary_angle": np.nan}, "primary_angle"),
        ({"source_to_isocenter": 1200.0}, "SID > SOD"),
        ({"pixel_spacing": (0.3, 0.0)}, "pixel_spacing"),
        ({"principal_point": (np.inf, 1.0)}, "principal_point"),
        ({"rows": 0}, "image size"),
    ],
)
def test_bad_poses_are_named(change, named):
    with pytest.raises(PoseError, match=named):
        camera_from_pose(replace(pose(), **change))


def test_mirrored_and_rolled_cameras_are_refused():
    camera = camera_from_pose(pose(30, 10))
    with pytest.raises(PoseError, match="mirrored"):
        pose_from_camera(replace(camera, matrix=camera.matrix * [[-1], [1], [1]]), 1100, 760)
    c, s = np.cos(0.1), np.sin(0.1)
    roll = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    with pytest.raises(PoseError, match="rolled"):
        pose_from_camera(replace(camera, rotation=roll @ camera.rotation), 1100, 760)
