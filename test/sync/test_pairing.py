"""Pairing of two planes: what is paired, what is dropped and what is said about it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autocar_ros.config import SynchronizationConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.sync.pairing import MOST_FRAMES, Pairing, remedy
from autocar_ros.types import CArmPose, PhaseSource

MS = 1_000_000
SECOND = 1000 * MS
POSE = CArmPose(0.5, 0.1, 1100.0, 760.0, (0.3, 0.3), 64, 64)
MASK = np.zeros((64, 64), np.uint8)
MASK[10:50, 30:36] = 255


_made: list[Pairing] = []


@pytest.fixture(autouse=True)
def every_drop_has_a_remedy():
    _made.clear()
    yield
    assert not [reason for made in _made for reason in made.drops if not remedy(reason)]


def pairing(poses: bool = True, **options) -> Pairing:
    made = Pairing(SynchronizationConfig(**options))
    _made.append(made)
    if poses:
        for plane in "ab":
            made.add_pose(plane, 0, POSE)
    return made


def both(made: Pairing, stamp: int, skew: int = 0, mask: np.ndarray = MASK):
    made.add_mask("a", stamp, mask)
    made.add_mask("b", stamp + skew, mask)
    return made.take()


def feed_ecg(made: Pairing, seconds: float, beat: float = 0.8, rate: float = 250.0) -> None:
    t = np.arange(int(seconds * rate)) / rate
    samples = np.exp(-0.5 * (((t + beat / 2) % beat - beat / 2) / 0.012) ** 2)
    made.add_ecg(0, rate, samples)


def test_simultaneous_pair_keeps_stamps_masks_and_poses():
    other = replace(POSE, primary_angle=-0.4)
    made = Pairing()
    made.add_pose("a", 0, POSE)
    made.add_pose("b", 0, other)
    pair = both(made, 5 * MS, skew=3 * MS)
    assert (pair.stamp_a_ns, pair.stamp_b_ns) == (5 * MS, 8 * MS)
    assert pair.skew == pytest.approx(0.003)
    assert (pair.pose_a, pair.pose_b) == (POSE, other)
    assert pair.mask_a is MASK
    assert pair.phase_source == PhaseSource.NONE
    assert np.isnan(pair.phase_a)
    assert made.take() is None
    assert not made.drops
    assert not made.problems()


def test_key_frames_carry_what_their_vessels_absorb():
    made = pairing(key_interval=1.0)
    pairs = []
    for k in range(12):
        absorption = np.full(MASK.shape, k, np.uint8)
        made.add_mask("a", k * 66 * MS, MASK, absorption)
        made.add_mask("b", k * 66 * MS, MASK)
        pairs.append((absorption, made.take()))
    assert any(pair.key_frame for _, pair in pairs)
    for absorption, pair in pairs:
        assert pair.absorption_a is (absorption if pair.key_frame else None)
        assert pair.absorption_b is None


@pytest.mark.parametrize("wrong", [np.zeros((3, 4), np.uint8), MASK.astype(np.uint16)])
def test_absorption_of_another_size_or_kind_is_counted_and_left_out(wrong):
    made = pairing()
    for k in range(6):
        made.add_mask("a", k * 66 * MS, MASK, wrong)
        made.add_mask("b", k * 66 * MS, MASK)
        pair = made.take()
        assert pair.absorption_a is None
    assert made.drops == {"what the vessels of plane A absorb is no mono8 image of their mask's size": 6}
    assert "one byte" in remedy(next(iter(made.drops)))


def test_nearest_frame_is_taken():
    made = pairing()
    made.add_mask("a", 100 * MS, MASK)
    for stamp in (85, 98, 110):
        made.add_mask("b", stamp * MS, MASK)
    assert made.take().stamp_b_ns == 98 * MS


def test_too_far_apart_is_no_pair():
    made = pairing(max_pair_skew=0.02)
    assert both(made, 0, skew=21 * MS) is None


def test_newest_wins_and_no_backlog_is_left():
    made = pairing()
    for k in range(5):
        made.add_mask("a", k * 66 * MS, MASK)
        made.add_mask("b", k * 66 * MS, MASK)
    assert made.take().stamp_a_ns == 4 * 66 * MS
    assert made.take() is None
    assert sum(made.drops.values()) == 8
    assert all("overtaken" in reason for reason in made.drops)


def test_a_frame_is_never_paired_twice():
    made = pairing()
    assert both(made, 0) is not None
    made.add_mask("b", 5 * MS, MASK)
    assert made.take() is None


def test_frames_out_of_order():
    made = pairing()
    made.add_mask("a", 66 * MS, MASK)
    made.add_mask("a", 0, MASK)
    made.add_mask("b", 0, MASK)
    assert made.take().stamp_a_ns == 0
    made.add_mask("b", 66 * MS, MASK)
    assert made.take().stamp_a_ns == 66 * MS
    made.add_mask("a", 33 * MS, MASK)
    assert any("after a newer one" in reason for reason in made.drops)


def test_duplicate_stamps_are_counted():
    made = pairing()
    made.add_mask("a", 0, MASK)
    made.add_mask("a", 0, MASK)
    made.add_mask("b", 0, MASK)
    made.take()
    made.add_mask("b", 0, MASK)
    assert made.drops == {"plane A repeated a stamp": 1, "plane B repeated a stamp": 1}


def test_clock_jump_back_clears_everything():
    made = pairing()
    both(made, 0)
    made.add_pose("a", 60 * SECOND, POSE)
    both(made, 60 * SECOND)
    for plane in "ab":
        made.add_pose(plane, 10 * MS, POSE)
    made.add_mask("a", 10 * MS, MASK)
    for plane in "ab":
        made.add_pose(plane, 10 * MS, POSE)
    assert both(made, 20 * MS) is not None
    assert any("jumped back" in reason for reason in made.drops)


def test_loop_played_many_times_gives_every_pair():
    made = pairing(poses=False)
    for _ in range(3):
        for k in range(30):
            for plane in "ab":
                made.add_pose(plane, k * 100 * MS, POSE)
            assert both(made, k * 100 * MS) is not None


def test_without_pose_frames_wait_for_it():
    made = pairing(poses=False)
    assert both(made, 0) is None
    made.add_pose("a", 0, POSE)
    assert made.take() is None
    made.add_pose("b", 0, POSE)
    assert made.take() is not None


def test_missing_pose_is_said_and_counted():
    made = pairing(poses=False)
    for k in range(20):
        assert both(made, k * 100 * MS) is None
    assert any("has no pose" in text for text in made.problems())
    assert any("has no pose" in reason for reason in made.drops)


def test_old_pose_is_refused():
    made = pairing(pose_timeout=1.0)
    assert both(made, 900 * MS) is not None
    assert both(made, 1100 * MS) is None
    both(made, 2000 * MS)
    assert any("older than pose_timeout" in text for text in made.problems())


def test_pose_nearest_in_time_is_taken():
    made = pairing()
    turned = replace(POSE, primary_angle=0.9)
    made.add_pose("a", 100 * MS, turned)
    assert both(made, 90 * MS).pose_a == turned
    assert both(made, 91 * MS).pose_b == POSE


def test_pose_with_nan_is_refused_with_its_field():
    made = pairing(poses=False)
    made.add_pose("a", 0, replace(POSE, secondary_angle=np.nan))
    assert made.drops == {"the pose of plane A cannot be used": 1}
    assert any("secondary_angle is not finite" in text for text in made.problems())
    made.add_pose("a", 0, POSE)
    assert not made.problems()


def test_mask_of_another_size_than_its_pose():
    made = pairing()
    for k in range(20):
        made.add_mask("a", k * 100 * MS, np.zeros((32, 64), np.uint8))
        made.add_mask("b", k * 100 * MS, MASK)
        assert made.take() is None
    assert any("another size" in text for text in made.problems())
    made.add_pose("a", 2600 * MS, POSE)
    made.add_pose("b", 2600 * MS, POSE)
    assert both(made, 2600 * MS) is not None


@pytest.mark.parametrize(
    "bad", [np.zeros((64, 64), np.uint16), np.zeros((64, 64, 3), np.uint8), np.zeros((0, 0), np.uint8)]
)
def test_wrong_image_is_counted(bad):
    made = pairing()
    made.add_mask("a", 0, bad)
    assert made.drops == {"the mask of plane A is not a mono8 image": 1}


def test_only_one_plane_alive():
    made = pairing()
    for k in range(100):
        made.add_mask("a", k * 66 * MS, MASK)
        assert made.take() is None
    assert any("plane B sends no frames" in text for text in made.problems())
    assert made.drops["plane A found no frame of plane B within max_pair_skew"] > 50


def test_plane_that_falls_silent():
    made = pairing()
    both(made, 0)
    for k in range(1, 40):
        made.add_mask("a", k * 66 * MS, MASK)
    assert any("plane B has been silent for 2.6 s" in text for text in made.problems())


def test_unknown_plane():
    with pytest.raises(InvalidInputError, match="'a' or 'b'"):
        pairing().add_mask("c", 0, MASK)


def test_ecg_gives_phase():
    made = pairing()
    feed_ecg(made, 4.0)
    made.add_pose("a", 2 * SECOND, POSE)
    made.add_pose("b", 2 * SECOND, POSE)
    pair = both(made, 2 * SECOND, skew=10 * MS)
    assert pair.phase_source == PhaseSource.ECG
    assert pair.phase_a == pytest.approx(0.5, abs=0.03)
    assert pair.phase_b - pair.phase_a == pytest.approx(0.0125, abs=0.001)


def test_bad_ecg_is_counted_not_raised():
    made = pairing()
    made.add_ecg(0, np.nan, np.zeros(10))
    assert made.drops == {"the ECG cannot be used": 1}
    assert any("sampling rate" in text for text in made.problems())


def run_shifted(made: Pairing, shift: int, frames: int = 60, period: int = 66 * MS):
    """Planes of a biplane stand whose B exposes `shift` ns after A."""
    feed_ecg(made, 6.0)
    pairs = []
    for k in range(frames):
        for plane, stamp in (("a", k * period), ("b", k * period + shift)):
            made.add_pose(plane, stamp, POSE)
            made.add_mask(plane, stamp, MASK)
            pairs.append(made.take())
    return [pair for pair in pairs if pair is not None]


def circle(a: float, b: float) -> float:
    return abs((a - b + 0.5) % 1.0 - 0.5)


def test_alternating_planes_need_mode_phase():
    assert not run_shifted(pairing(), shift=33 * MS)
    pairs = run_shifted(pairing(mode="phase"), shift=33 * MS)
    assert len(pairs) > 50
    assert all(circle(p.phase_a, p.phase_b) <= 0.05 for p in pairs)


def test_planes_recorded_one_after_the_other():
    made = pairing(mode="phase")
    feed_ecg(made, 9.0)
    pairs = []
    for plane, start in (("a", 0), ("b", 4 * SECOND)):
        for k in range(40):
            stamp = start + k * 66 * MS
            made.add_pose(plane, stamp, POSE)
            made.add_mask(plane, stamp, MASK)
            pairs.append(made.take())
    found = [pair for pair in pairs if pair is not None]
    assert len(found) >= 35
    assert all(circle(p.phase_a, p.phase_b) <= 0.05 for p in found)
    assert all(p.stamp_b_ns - p.stamp_a_ns > SECOND for p in found)


def test_a_phase_that_is_not_sure_is_told_instead_of_paired():
    """The ECG of a restless heart ends just after an R wave; what comes later in that beat is anybody's guess."""
    made = pairing(mode="phase", pose_timeout=100.0)
    waves, t = np.cumsum([0.4, 0.7, 1.0, 0.65, 1.05, 0.7, 1.0]), np.arange(1450) / 250
    made.add_ecg(0, 250.0, np.exp(-0.5 * ((t[:, None] - waves) / 0.012) ** 2).sum(1))
    for k in range(60):
        made.add_mask("a", k * 66 * MS, MASK)
    made.add_mask("b", round((waves[-1] + 0.6) * SECOND), MASK)
    assert made.take() is None
    assert any("not sure enough" in text for text in made.problems())
    made.add_mask("b", 40 * SECOND, MASK)
    assert made.drops["the heart phase is not sure enough"] == 1


def test_frames_before_the_first_beats_are_counted_apart():
    made = pairing(mode="phase")
    for k in range(12):
        made.add_mask("a", k * 66 * MS, MASK)
        made.add_mask("b", k * 66 * MS, MASK)
        assert made.take() is None
    made.add_mask("a", 40 * SECOND, MASK)
    assert made.drops["the heart phase was not known in time"] > 0
    assert sum(made.drops.values()) == 24  # the newest wait for the motion after them: those found no frame


def test_a_pair_tells_its_skew_within_the_beat_and_how_sure_that_is():
    made = pairing(mode="phase", pose_timeout=100.0)
    feed_ecg(made, 8.0)
    made.add_mask("a", 2 * SECOND, MASK)
    made.add_mask("b", 2 * SECOND + 2420 * MS, MASK)
    pair = made.take()
    assert pair.phase_skew == pytest.approx(0.025, abs=0.002)
    assert 0 < pair.phase_error < 0.02


def test_mode_phase_without_ecg_and_motion_says_so():
    made = pairing(mode="phase")
    assert both(made, 0) is None
    (problem,) = (text for text in made.problems() if "needs the heart phase" in text)
    assert "no ECG with two R waves" in problem
    assert "masks of plane A: too few frames" in problem


def beating_mask(seconds: float, beat: float = 0.8) -> np.ndarray:
    phase = seconds / beat % 1.0
    mask = np.zeros((64, 64), np.uint8)
    at = round(4 * np.sin(np.pi * np.clip((phase - 0.04) / 0.24, 0, 1) / 2) ** 2 * np.clip((0.7 - phase) / 0.25, 0, 1))
    mask[10 + at : 50 + at, 30:36] = 255
    mask[24 + at : 29 + at, 20:44] = 255
    return mask


@pytest.mark.parametrize("start", [0.0, 3.4])
def test_motion_of_the_masks_gives_the_phase_where_there_is_no_ecg(start):
    made, pairs = pairing(mode="phase", pose_timeout=100.0), []
    for k in range(60):
        for plane, moment in (("a", k * 0.066), ("b", k * 0.066 + start + 0.033)):
            made.add_mask(plane, round(moment * SECOND), beating_mask(moment))
            pairs.append(made.take())
    found = [pair for pair in pairs if pair is not None]
    assert len(found) > 20
    assert {pair.phase_source for pair in found} == {PhaseSource.IMAGE}
    true = [circle(pair.stamp_a_ns / SECOND / 0.8, pair.stamp_b_ns / SECOND / 0.8) for pair in found]
    assert np.median(true) < 0.05


def test_an_ecg_is_believed_before_the_masks():
    made = pairing(pose_timeout=100.0)
    feed_ecg(made, 6.0)
    for k in range(75):
        pair = both(made, k * 66 * MS, mask=beating_mask(k * 0.066 + 0.3))
    assert pair.phase_source == PhaseSource.ECG


def test_image_phase_can_be_switched_off():
    made = pairing(image_phase=False, pose_timeout=100.0)
    for k in range(75):
        pair = both(made, k * 66 * MS, mask=beating_mask(k * 0.066))
    assert pair.phase_source == PhaseSource.NONE
    assert np.isnan(pair.phase_a)


def key_frames(areas: list[int], period: int = 100 * MS, **options) -> list[bool]:
    """Whether frames `period` ns apart, with so many vessel rows of a 64 x 64 mask, are key frames."""
    made = pairing(poses=False, **options)
    found = []
    for k, rows in enumerate(areas):
        mask = np.zeros((64, 64), np.uint8)
        mask[:rows, 30:36] = 255
        for plane in "ab":
            made.add_pose(plane, k * period, POSE)
        found.append(both(made, k * period, mask=mask).key_frame)
    return found


def test_key_frames_are_filled_and_steady():
    empty, inflow, filled, washout = [0] * 5, [5, 15, 30, 45], [60] * 20, [30, 15, 10, 10, 10, 10, 10]
    found = key_frames(empty + inflow + filled + washout, key_interval=0.0)
    assert not any(found[:9])
    assert all(found[14:29])
    assert not any(found[29:])


def test_slow_frames_have_key_frames_too():
    found = key_frames([0, 20] + [60] * 5, period=400 * MS, key_interval=0.0)
    assert found == [False, False, False, True, True, True, True]


def test_key_frames_keep_their_distance():
    found = key_frames([50] * 30, key_interval=0.8)
    assert np.diff(np.flatnonzero(found)).tolist() == [8, 8, 8]


def test_a_full_mask_is_no_key_frame():
    made = pairing()
    full = np.full((64, 64), 255, np.uint8)
    assert not any(both(made, k * 100 * MS, mask=full).key_frame for k in range(10))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3000)), max_size=60),
    st.sampled_from(["simultaneous", "phase"]),
)
def test_any_order_keeps_the_promises(frames, mode):
    """Pairs lie within the skew, stamps of simultaneous pairs only grow, buffers stay bounded, nothing is raised."""
    made = pairing(mode=mode, pose_timeout=100.0)
    last = (-1, -1)
    for plane, stamp in frames:
        made.add_mask(plane, stamp * MS, MASK)
        pair = made.take()
        made.problems()
        if pair is None or mode == "phase":
            continue
        if any("jumped back" in reason for reason in made.drops):
            return
        assert abs(pair.skew) <= 0.02
        assert pair.stamp_a_ns > last[0]
        assert pair.stamp_b_ns > last[1]
        last = (pair.stamp_a_ns, pair.stamp_b_ns)


def test_buffers_are_bounded():
    made = pairing(mode="phase", phase_window=60.0)
    for k in range(MOST_FRAMES + 50):
        made.add_mask("a", k * MS, MASK)
    assert sum(made.drops.values()) == 50
