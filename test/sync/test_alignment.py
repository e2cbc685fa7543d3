"""Plane B aligned online: a simulated tree whose poses are wrong, a table move, what does not fit, what is empty."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autocar_ros.config import AlignmentConfig, SimulationConfig
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel
from autocar_ros.geometry.consistency import epipolar_fan
from autocar_ros.sync.alignment import Aligner
from autocar_ros.synthetic.poses import mistaken
from autocar_ros.synthetic.scene import Scene
from autocar_ros.types import NANOSECONDS, FramePair

RATE = 15.0
STILL = {"contrast": "full", "background": False, "catheter": False, "image_size": 256}
EMPTY = np.zeros((256, 256), np.uint8)


@pytest.fixture(scope="module")
def pairs():
    """Two seconds of a beating heart with exact poses."""
    return sequence("left")


def sequence(tree, count=30):
    scene, found = Scene(SimulationConfig(seed=7, tree=tree, **STILL)), []
    for k in range(count):
        masks = [scene.mask(plane, k / RATE) for plane in "ab"]
        stamp = round(k / RATE * NANOSECONDS)
        found.append(FramePair(stamp, stamp, *masks, scene.true_pose("a"), scene.true_pose("b"), key_frame=k % 12 == 3))
    return found


def shifted(pair, mm):
    """Pair whose plane B is reported so many mm off across its epipolar lines."""
    column, row = mm * epipolar_fan(pair.pose_a, pair.pose_b).across
    cx, cy = pair.pose_b.center
    return replace(pair, pose_b=replace(pair.pose_b, principal_point=(cx - column, cy - row)))


def left_over(given, corrected):
    """Distance in mm that the pose of plane B is off across the epipolar lines of the true one."""
    fan, size = epipolar_fan(given.pose_a, given.pose_b), mm_per_pixel(given.pose_b)
    off = np.array(corrected.pose_b.center) - given.pose_b.center
    return float(off @ fan.across) * size**2


@pytest.mark.parametrize("mm", [15.0, -25.0, 6.0])
def test_a_shift_is_found_at_once_and_kept(pairs, mm):
    aligner = Aligner()
    found = [aligner.correct(shifted(pair, mm)) for pair in pairs]
    assert all(abs(left_over(a, b)) < 1.5 for a, b in zip(pairs, found, strict=True))
    assert {pair.alignment.reason for pair in found[4:]} == {""}
    assert found[-1].alignment.residual_after < found[-1].alignment.residual_before
    assert aligner.moves == 0


def test_exact_poses_stay_as_they_are(pairs):
    aligner = Aligner()
    for pair in pairs:
        found = aligner.correct(pair)
        assert found.pose_b.center == pair.pose_b.center
        assert found.alignment.reason == ""
    assert aligner.moves == 0


def test_a_table_move_is_noticed_within_a_few_pairs(pairs):
    aligner = Aligner()
    moved = [shifted(pair, 5.0 if k < 15 else 20.0) for k, pair in enumerate(pairs)]
    off = [abs(left_over(a, aligner.correct(b))) for a, b in zip(pairs, moved, strict=True)]
    assert max(off[:15]) < 1.5
    assert off[15] > 10
    assert max(off[18:]) < 1.5
    assert aligner.moves == 1


def test_a_wrong_view_is_mended_by_full_alignment(pairs):
    rng = np.random.default_rng(1)
    wrong = [replace(p, pose_b=mistaken(np.random.default_rng(1), p.pose_b, 2.0, 10.0)) for p in pairs]
    aligner = Aligner(AlignmentConfig(align="full"))
    found = [aligner.correct(pair) for pair in wrong][-1]
    assert found.alignment.residual_after < 0.5 * found.alignment.residual_before
    points = rng.normal(0, 20, (50, 3))
    assert np.isfinite(camera_from_pose(found.pose_b).project(points)[0]).all()


def test_another_artery_is_told(pairs):
    other = sequence("right", 16)
    aligner = Aligner()
    mixed = [replace(a, mask_b=b.mask_b) for a, b in zip(pairs, other, strict=False)]
    found = [aligner.correct(pair) for pair in mixed]
    assert found[-1].alignment.reason


@pytest.mark.parametrize("later", [4, 6])
def test_another_phase_is_told_within_two_beats(later):
    shown = sequence("left", 40 + later)
    late = [replace(a, mask_b=b.mask_b) for a, b in zip(shown, shown[later:], strict=False)]
    reasons = {}
    for name, pairs in (("together", shown[:40]), ("later", late)):
        aligner = Aligner()
        reasons[name] = [aligner.correct(pair).alignment.reason for pair in pairs]
    assert not any(reasons["together"])
    assert "phase" in reasons["later"][-1]
    aligner.reset()
    assert [aligner.correct(pair).alignment.reason for pair in shown[:40]] == reasons["together"]


def test_planes_that_hardly_agree_over_a_beat_are_told():
    mixed = [replace(a, mask_b=b.mask_b) for a, b in zip(sequence("left"), sequence("right"), strict=True)]
    aligner = Aligner()
    reasons = [aligner.correct(pair).alignment.reason for pair in mixed]
    assert "only in the last" in reasons[-1]
    assert all(reasons[15:])


def test_empty_masks_change_nothing(pairs):
    aligner = Aligner()
    first = aligner.correct(replace(pairs[0], mask_b=EMPTY))
    assert "not aligned yet" in first.alignment.reason
    assert first.pose_b == pairs[0].pose_b
    known = [aligner.correct(shifted(pair, 15.0)) for pair in pairs[:6]][-1]
    for mask in (EMPTY, np.full_like(EMPTY, 255)):
        blind = aligner.correct(replace(shifted(pairs[6], 15.0), mask_a=mask))
        assert blind.pose_b == known.pose_b
    assert abs(left_over(pairs[7], aligner.correct(shifted(pairs[7], 15.0)))) < 1.5


def test_reset_forgets(pairs):
    aligner = Aligner()
    aligner.correct(shifted(pairs[0], 15.0))
    aligner.reset()
    assert "not aligned yet" in aligner.correct(replace(pairs[1], mask_a=EMPTY)).alignment.reason


def test_nothing_to_align(pairs):
    off = Aligner(AlignmentConfig(align="off"))
    assert off.correct(pairs[0]) is pairs[0]
    sure = replace(
        pairs[0], pose_a=replace(pairs[0].pose_a, calibrated=True), pose_b=replace(pairs[0].pose_b, calibrated=True)
    )
    assert Aligner().correct(sure) is sure


def test_views_from_one_source_are_told(pairs):
    found = Aligner().correct(replace(pairs[0], mask_b=pairs[0].mask_a, pose_b=pairs[0].pose_a))
    assert "one X-ray source" in found.alignment.reason


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_any_masks_are_harmless(seed):
    rng = np.random.default_rng(seed)
    aligner, scene = Aligner(), Scene(SimulationConfig(seed=7, **STILL))
    for k in range(4):
        masks = [(rng.random((256, 256)) < rng.choice([0.01, 0.5, 0.99])).astype(np.uint8) * 255 for _ in "ab"]
        pair = FramePair(k, k, *masks, scene.true_pose("a"), scene.true_pose("b"), key_frame=bool(k % 2))
        found = aligner.correct(pair)
        found.pose_b.check()
        assert found.alignment is not None
