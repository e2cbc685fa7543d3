"""Two views brought to agree: known shifts, wrong views, ambiguity, other arteries, bad input."""

import re
from dataclasses import replace

import numpy as np
import pytest

from autocar_ros.config import AlignmentConfig, SimulationConfig
from autocar_ros.errors import InvalidInputError, PoseError
from autocar_ros.geometry.alignment import Sighting, align, are_alike, corrected, sighting
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel, shift_image
from autocar_ros.geometry.consistency import epipolar_fan
from autocar_ros.geometry.epipolar import triangulate
from autocar_ros.synthetic.poses import mistaken
from autocar_ros.synthetic.scene import Scene
from autocar_ros.types import ViewAlignment

MOMENTS = (0.2, 0.5, 0.8)


@pytest.fixture(scope="module")
def scene():
    return Scene(SimulationConfig(seed=7, contrast="full", background=False, catheter=False, image_size=256))


@pytest.fixture(scope="module")
def pairs(scene):
    """True masks of both planes at some moments, with true poses."""
    return [tuple(sighting(scene.mask(p, t), scene.true_pose(p)) for p in "ab") for t in MOMENTS]


def reported(pairs, pose):
    return [(first, replace(second, pose=pose)) for first, second in pairs]


@pytest.mark.parametrize("mm", [-30.0, -8.0, 0.0, 12.0, 25.0])
def test_a_shift_across_the_epipolar_lines_is_found(pairs, mm):
    true = pairs[0][1].pose
    fan = epipolar_fan(pairs[0][0].pose, true)
    found = align(reported(pairs, shift_image(true, *(-mm * fan.across))))
    assert np.array(found.shift) @ fan.across * mm_per_pixel(true) ** 2 == pytest.approx(mm, abs=1.1)
    assert found.residual_after <= found.residual_before
    assert found.residual_after < 0.2
    assert found.confidence > 0.6
    assert found.reason == ""
    assert found.sod == 0
    assert np.linalg.norm(found.unobservable) == pytest.approx(1.0)


@pytest.mark.parametrize(("mm", "across"), [(-40.0, 5.0), (20.0, -12.0), (40.0, 0.0)])
def test_a_table_nearer_to_the_detector_is_found(scene, pairs, mm, across):
    """It makes the vessels smaller: their rays miss each other by several mm at the border of the picture."""
    true = pairs[0][1].pose
    wrong = replace(true, source_to_isocenter=true.source_to_isocenter - mm)
    wrong = shift_image(wrong, *(-across * epipolar_fan(pairs[0][0].pose, true).across))
    found = align(reported(pairs, wrong))
    assert found.sod == pytest.approx(mm, abs=abs(mm) / 2)
    assert found.residual_after < found.residual_before
    assert found.reason == ""
    assert not found.confirms
    points = scene.truth(MOMENTS[0]).position
    pixels = [camera_from_pose(scene.true_pose(p)).project(points)[0] for p in "ab"]

    def gap(alignment):
        views = [camera_from_pose(p).projection for p in (scene.true_pose("a"), corrected(wrong, alignment))]
        return np.quantile(triangulate(*views, *pixels).gap, 0.9)

    assert gap(found) < min(0.75 * gap(replace(found, sod=0.0)), 1.0)


def test_no_distance_beyond_the_detector_is_tried(pairs):
    near = replace(pairs[0][1].pose, source_to_isocenter=pairs[0][1].pose.source_to_detector - 15.0)
    assert corrected(near, align(reported(pairs, near))).check()


@pytest.mark.parametrize("seed", range(3))
def test_full_alignment_brings_rays_nearer_than_a_shift(scene, pairs, seed):
    pose = mistaken(np.random.default_rng(seed), pairs[0][1].pose, 3.0, 10.0)
    points = scene.truth(MOMENTS[0]).position
    pixels = [camera_from_pose(scene.true_pose(p)).project(points)[0] for p in "ab"]

    def gap(how):
        moved = corrected(pose, align(reported(pairs, pose), how))
        views = [camera_from_pose(p).projection for p in (scene.true_pose("a"), moved)]
        return np.median(triangulate(*views, *pixels).gap)

    assert gap("full") <= gap("shift") < 3.0


def test_full_alignment_leaves_exact_poses_alone(pairs):
    found = align(pairs, "full")
    assert (found.primary, found.secondary, found.sid, found.sod) == (0, 0, 0, 0)


def test_another_artery_is_doubted(scene, pairs):
    other = Scene(replace(scene.config, tree="right"))
    strange = [
        (first, sighting(other.mask("b", t), scene.true_pose("b")))
        for t, (first, _) in zip(MOMENTS, pairs, strict=True)
    ]
    assert align(strange).confidence < 0.5
    assert align(strange).reason


def test_doubt_names_the_other_shift(pairs):
    strict = AlignmentConfig(least_confidence=1.0)
    assert re.match(r"two shifts fit alike: -?\d+ and -?\d+ mm", align(pairs, config=strict).reason)
    alone = AlignmentConfig(least_confidence=1.0, largest_shift=2.0)  # no second peak so near
    assert re.match(r"other artery or phase\?: the views agree on \d+% only", align(pairs, config=alone).reason)


def test_corrections_are_added(pairs):
    pose = pairs[0][1].pose
    found = corrected(pose, ViewAlignment(shift=(3.0, -2.0), primary=0.01, secondary=-0.02, sid=5.0, sod=-4.0))
    assert found.center == (pose.center[0] + 3, pose.center[1] - 2)
    assert found.primary_angle - pose.primary_angle == pytest.approx(0.01)
    assert found.source_to_isocenter - pose.source_to_isocenter == pytest.approx(-4.0)
    with pytest.raises(PoseError):
        corrected(pose, ViewAlignment(sid=-2000.0))


def test_bad_input_is_refused(pairs):
    with pytest.raises(InvalidInputError, match="at least one pair"):
        align([])
    with pytest.raises(InvalidInputError, match="mask is empty"):
        sighting(np.zeros((4, 4), np.uint8), pairs[0][0].pose)
    with pytest.raises(InvalidInputError, match="one X-ray source"):
        align([(pairs[0][0], pairs[0][0])])


def test_a_sighting_weighs_by_absorption_or_width():
    mask = np.zeros((32, 32), np.uint8)
    mask[10:13, :] = 255
    pose = replace(Scene(SimulationConfig(image_size=64)).pose("a"), rows=32, columns=32)
    by_width = sighting(mask, pose)
    assert isinstance(by_width, Sighting)
    assert len(by_width.pixels) == 96
    assert by_width.weight.reshape(3, 32)[1].min() > by_width.weight.reshape(3, 32)[0].max()
    absorbed = np.where(np.arange(32) < 16, 1.0, 0.0)[None].repeat(32, axis=0)
    assert len(sighting(mask, pose, absorbed).pixels) == 48


@pytest.mark.parametrize("largest", [39.0, 7.0, 2.5])
def test_no_shift_is_always_tried(pairs, largest):
    assert align(pairs, config=AlignmentConfig(largest_shift=largest)).confirms


def test_corrections_are_alike_where_neither_shift_nor_depth_tells_them_apart(pairs):
    pose, one = pairs[0][1].pose, ViewAlignment(shift=(3.0, 4.0), sod=20.0)
    assert are_alike(one, replace(one, shift=(4.0, 4.0), sod=25.0), pose)
    assert not are_alike(one, replace(one, shift=(40.0, 4.0)), pose)
    assert not are_alike(one, replace(one, sod=-20.0), pose)


def test_the_search_is_as_wide_as_asked_for(pairs):
    true = pairs[0][1].pose
    far = shift_image(true, *(-25.0 * epipolar_fan(pairs[0][0].pose, true).across))
    found = align(reported(pairs, far), config=AlignmentConfig(largest_shift=10.0))
    assert np.hypot(*found.shift) * mm_per_pixel(true) <= 10.01
    deep = replace(true, source_to_isocenter=true.source_to_isocenter - 30.0)
    assert align(reported(pairs, deep), config=AlignmentConfig(largest_shift=10.0)).sod == 0
