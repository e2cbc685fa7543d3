"""Table shifts of several runs solved together: known shifts are found, strangers doubted, bad input refused."""

from dataclasses import replace

import numpy as np
import pytest

from autocar_ros.config import SimulationConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.alignment import sighting
from autocar_ros.geometry.carm import camera_from_pose, carm_axes
from autocar_ros.geometry.epipolar import triangulate
from autocar_ros.geometry.joint_alignment import JointAlignment, align_runs
from autocar_ros.synthetic.scene import Scene
from autocar_ros.synthetic.tubes import Tubes
from autocar_ros.types import ViewAlignment

TABLES = np.array([[0.0, 0.0, 0.0], [6.0, -4.0, 9.0], [-5.0, 8.0, 3.0]])


@pytest.fixture(scope="module")
def scene():
    return Scene(SimulationConfig(seed=7, contrast="full", background=False, catheter=False, image_size=256))


@pytest.fixture(scope="module")
def poses(scene):
    a, b = scene.true_pose("a"), scene.true_pose("b")
    return a, b, replace(a, primary_angle=a.primary_angle - 1.0, secondary_angle=a.secondary_angle - 0.5)


def displaced(pose, by):
    return replace(pose, isocenter_offset=tuple(float(v) for v in np.asarray(pose.isocenter_offset) + by))


def mask_of(graph, pose):
    tubes = Tubes(graph.position, graph.radius, graph.edges, graph.branch)
    chords = tubes.chords(camera_from_pose(pose), graph.position, np.ones(len(graph)))
    return np.where(chords > 0, np.uint8(255), np.uint8(0))


def gaps(points, true, told):
    """Median distance in mm of the rays of every two runs through what is one point."""
    pixels = [camera_from_pose(p).project(points)[0] for p in true]
    views = [camera_from_pose(p).projection for p in told]
    return [np.median(triangulate(views[i], views[j], pixels[i], pixels[j]).gap) for i, j in ((0, 1), (0, 2), (1, 2))]


def test_shifts_of_three_tables_are_solved_together(scene, poses):
    graph = scene.truth(0.5)
    runs = [sighting(mask_of(graph, pose), displaced(pose, by)) for pose, by in zip(poses, TABLES, strict=True)]
    joint = align_runs(runs)
    told = joint.corrected([run.pose for run in runs])
    assert max(gaps(graph.position, poses, [run.pose for run in runs])) > 4
    assert max(gaps(graph.position, poses, told)) < 1.0
    assert told[0] == runs[0].pose
    assert np.abs(joint.left).max() < 1.0
    assert joint.pairs == ((0, 1), (0, 2), (1, 2))
    assert [joint.doubt(k) for k in range(3)] == ["", "", ""]


@pytest.mark.parametrize("seed", [7, 8, 11])
def test_a_table_that_was_lowered_is_found(poses, seed):
    """By 30 mm: it changes the size of the tree, differently in every view."""
    config = SimulationConfig(seed=seed, contrast="full", background=False, catheter=False, image_size=256)
    graph, lowered = Scene(config).truth(0.5), np.array([[0.0, 0.0, 0.0], [0.0, 30.0, 0.0], [0.0, 30.0, 0.0]])
    runs = [sighting(mask_of(graph, pose), displaced(pose, by)) for pose, by in zip(poses, lowered, strict=True)]
    joint = align_runs(runs)
    told = joint.corrected([run.pose for run in runs])
    assert max(gaps(graph.position, poses, told)) < 0.5 * max(gaps(graph.position, poses, [run.pose for run in runs]))
    axes = [carm_axes(np.float64(p.primary_angle), np.float64(p.secondary_angle))[2] for p in poses[1:]]
    towards = [axis @ by / (axis @ true) for axis, by, true in zip(axes, joint.shift[1:], lowered[1:], strict=True)]
    assert 0.4 < np.mean(towards) < 1.5


def test_tables_that_moved_alike_ask_for_nothing(scene, poses):
    graph, alike = scene.truth(0.5), np.array([4.0, 25.0, -10.0])
    runs = [sighting(mask_of(graph, pose), displaced(pose, alike)) for pose in poses]
    assert np.abs(align_runs(runs).shift).max() < 1.5


def test_another_artery_leaves_a_contradiction(scene, poses):
    graph = scene.truth(0.5)
    other = graph.with_(position=graph.position[:, [1, 2, 0]])
    runs = [sighting(mask_of(tree, pose), pose) for tree, pose in zip((graph, graph, other), poses, strict=True)]
    joint = align_runs(runs)
    assert np.abs(joint.left).max() > 3 or any(found.reason for found in joint.found)


def test_a_run_that_most_others_do_not_agree_with_is_doubted():
    good, bad = ViewAlignment(confidence=0.9), ViewAlignment(reason="other artery or phase?")
    pairs = ((0, 1), (0, 2), (1, 2))
    joint = JointAlignment(np.zeros((3, 3)), pairs, (good, bad, bad), np.zeros(3))
    assert [joint.doubt(k) for k in range(3)] == ["", "", "other artery or phase?"]
    joint = JointAlignment(np.zeros((3, 3)), pairs, (good, good, good), np.array([0.0, 9.0, 8.0]))
    assert "9 mm off" in joint.doubt(2)


def test_one_run_is_refused(scene, poses):
    with pytest.raises(InvalidInputError, match="two runs or more"):
        align_runs([sighting(mask_of(scene.truth(0.5), poses[0]), poses[0])])
