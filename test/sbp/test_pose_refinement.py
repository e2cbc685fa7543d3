"""Plane B refined by what lifting costs: a wrong pose made good, a right one left."""

from dataclasses import replace

import numpy as np
import pytest

from autocar_ros.config import AlignmentConfig, CaseConfig, ReconstructionConfig
from autocar_ros.errors import ReconstructionError
from autocar_ros.geometry.alignment import Sighting, corrected
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import angle_between, camera_from_pose
from autocar_ros.geometry.epipolar import triangulate
from autocar_ros.sbp.pose_refinement import moved, refine
from autocar_ros.synthetic.cases import case_rng, draw_case
from autocar_ros.types import ViewAlignment

CONFIG = ReconstructionConfig(), AlignmentConfig()


@pytest.fixture(scope="module")
def case():
    return draw_case(case_rng("validation", 0, 0), CaseConfig(image_size=256, damage=0.0))


def gap(case, pose):
    """Median distance in mm of the rays of both views through what is one point."""
    pixels = [camera_from_pose(p).project(case.truth.position)[0] for p in (case.pair.pose_a, case.pair.pose_b)]
    views = [camera_from_pose(p).projection for p in (case.pair.pose_a, pose)]
    return float(np.median(triangulate(*views, *pixels).gap))


def test_a_turned_view_is_turned_back(case):
    true = case.pair.pose_b
    wrong = replace(true, primary_angle=true.primary_angle + 0.03, secondary_angle=true.secondary_angle - 0.03)
    found = refine(replace(case.pair, pose_b=wrong), ViewAlignment(), *CONFIG)
    assert angle_between(corrected(wrong, found), true) < 0.5 * angle_between(wrong, true)


def test_what_the_planes_contradict_is_left(case):
    """The masks ask for a turn, but what both planes absorb agrees as it is."""
    pose_a, true = case.pair.pose_a, case.pair.pose_b
    wrong = replace(true, primary_angle=true.primary_angle + 0.03, secondary_angle=true.secondary_angle - 0.03)
    a, b = (camera_from_pose(pose).project(case.truth.position)[0] for pose in (pose_a, wrong))
    shown = Sighting(a, np.ones(len(a)), pose_a), Sighting(b, np.ones(len(b)), wrong)
    pair = replace(case.pair, pose_b=wrong)
    assert not refine(pair, ViewAlignment(), *CONFIG).confirms
    assert refine(pair, ViewAlignment(), *CONFIG, shown).confirms


def test_what_is_not_worth_it_is_left(case):
    found = refine(case.pair, ViewAlignment(), *CONFIG)
    assert gap(case, corrected(case.pair.pose_b, found)) < 0.3


def test_a_table_shift_moves_the_source_and_the_picture(case):
    pose, points = case.pair.pose_b, case.truth.position

    def axes(camera: Camera):
        return -camera.rotation[0], camera.rotation[1]

    right, down = axes(camera_from_pose(pose))
    table = np.asarray(pose.isocenter_offset) - 10 * right - 5 * down
    true = replace(pose, isocenter_offset=tuple(float(v) for v in table))
    told = corrected(pose, moved(ViewAlignment(), pose, np.array([0.0, 0.0, 10.0, 5.0, 0.0])))
    np.testing.assert_allclose(camera_from_pose(told).source, camera_from_pose(true).source, atol=0.3)
    apart = camera_from_pose(told).project(points)[0] - camera_from_pose(true).project(points)[0]
    assert np.abs(apart).max() < 1.0


def test_an_empty_mask_is_refused(case):
    with pytest.raises(ReconstructionError, match="plane B"):
        refine(replace(case.pair, mask_b=np.zeros_like(case.pair.mask_b)), ViewAlignment(), *CONFIG)
