"""Three views to one graph: better than two, ghosts given away by the third, bad input."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import KDTree

from autocar_ros.config import CaseConfig, ReconstructionConfig
from autocar_ros.errors import InvalidInputError, ReconstructionError
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.sbp.many_views import contradicted, reconstruct_views
from autocar_ros.synthetic.cases import case_rng, draw_case
from autocar_ros.synthetic.tubes import Tubes
from autocar_ros.types import Vessels
from autocar_ros.vessels.skeleton import distance_outside

CONFIG = ReconstructionConfig(method="lifting")


def mask_of(graph, pose):
    tubes = Tubes(graph.position, graph.radius, graph.edges, graph.branch)
    chords = tubes.chords(camera_from_pose(pose), graph.position, np.ones(len(graph)))
    return np.where(chords > 0, np.uint8(255), np.uint8(0))


@pytest.fixture(scope="module")
def case():
    return draw_case(case_rng("validation", 0, 0), CaseConfig(image_size=256, damage=0.0))


@pytest.fixture(scope="module")
def views(case):
    a, b = case.pair.pose_a, case.pair.pose_b
    third = replace(a, primary_angle=a.primary_angle + 0.9, secondary_angle=-a.secondary_angle)
    return [Vessels(mask_of(case.truth, p)) for p in (a, b, third)], [a, b, third]


def test_three_views_give_the_tree(case, views):
    graph = reconstruct_views(*views, CONFIG, None)
    there = KDTree(graph.position).query(case.truth.position)[0]
    back = KDTree(case.truth.position).query(graph.position)[0]
    assert np.mean(there < 3) > 0.8
    assert np.mean(back < 3) > 0.8
    assert min(graph.coverage) > 0.8


def test_a_view_contradicts_what_it_does_not_show(case, views):
    shown, poses = views
    camera, outside = camera_from_pose(poses[2]), distance_outside(shown[2].mask)
    assert contradicted(case.truth.position, camera, outside, 2.0).mean() < 0.02
    moved = case.truth.position + 15 * camera.rotation[0]
    assert contradicted(moved, camera, outside, 2.0).mean() > 0.3
    far = case.truth.position + 500 * camera.rotation[0]  # outside the image: nothing is known
    assert not contradicted(far, camera, outside, 2.0).any()


def test_bad_input_is_refused(views):
    shown, poses = views
    with pytest.raises(InvalidInputError, match="three views"):
        reconstruct_views(shown[:2], poses[:2], CONFIG, None)
    with pytest.raises(ReconstructionError, match="degrees apart"):
        reconstruct_views(shown, [poses[0]] * 3, CONFIG, None)
