"""The hull of two views holds what made the masks, and the ghosts."""

from __future__ import annotations

import numpy as np

from autocar_ros.evaluation.baselines.visual_hull import visual_hull
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.types import CArmPose, FramePair


def pose(primary):
    return CArmPose(primary, 0.0, 1200.0, 800.0, (0.3, 0.3), 512, 512)


def discs(view, centres, radius=3.0):
    """Mask of spheres with centres (N, 3) mm: discs of `radius` mm at the isocentre."""
    rows, columns = np.mgrid[:512, :512]
    mask = np.zeros((512, 512), np.uint8)
    for column, row in camera_from_pose(view).project(np.asarray(centres, float))[0]:
        mask[np.hypot(columns - column, rows - row) * 0.2 <= radius] = 255
    return mask


def hull_of(centres):
    a, b = pose(0.0), pose(np.pi / 2)
    return visual_hull(FramePair(0, 0, discs(a, centres), discs(b, centres), a, b)).points


def test_hull_of_a_ball_is_the_cut_of_two_cylinders():
    points = hull_of([[0.0, 0.0, 0.0]])
    assert np.abs(points.mean(0)).max() < 0.3
    steinmetz = 16 / 3 * 3.0**3  # volume of two crossing cylinders of radius 3
    assert abs(len(points) * 0.125 / steinmetz - 1) < 0.1


def test_two_balls_in_one_plane_make_two_ghosts():
    points = hull_of([[20.0, 20.0, 0.0], [-20.0, -20.0, 0.0]])
    for ghost in ([20.0, -20.0, 0.0], [-20.0, 20.0, 0.0]):
        assert np.linalg.norm(points - ghost, axis=1).min() < 3.0
