"""The pose that true matches give: right where nothing is wrong, right but for what two views cannot see elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
from evaluation.bent_vessel import bent_vessel, masks_of

from autocar_ros.evaluation.matched_pose import MATCH_ERROR, matched_pose
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.geometry.epipolar import epipolar_lines, fundamental_matrix


@pytest.fixture
def vessel():
    return bent_vessel()


def across(a, b, believed_a, believed_b, points):
    """Median distance in px of true points in view B from the epipolar lines that believed poses give."""
    seen_a, seen_b = (camera_from_pose(pose).project(points)[0] for pose in (a, b))
    cameras = [camera_from_pose(pose).projection for pose in (believed_a, believed_b)]
    line = epipolar_lines(fundamental_matrix(*cameras), seen_a)
    return np.median(np.abs((line[:, :2] * seen_b).sum(1) + line[:, 2]) / np.linalg.norm(line[:, :2], axis=1))


@pytest.mark.parametrize("turn", [0.0, 3.0])
def test_matches_lie_on_their_epipolar_lines(vessel, turn):
    pair = masks_of(vessel)
    poses = pair.pose_a, pair.pose_b
    wrong = replace(pair.pose_b, secondary_angle=np.radians(turn))  # a turn about the other axis is unseen
    found = matched_pose(replace(pair, pose_b=wrong), vessel, poses)
    assert across(*poses, pair.pose_a, found, vessel.position) < MATCH_ERROR
    if turn:
        assert across(*poses, pair.pose_a, wrong, vessel.position) > 2 * MATCH_ERROR
