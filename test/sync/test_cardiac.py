"""Beats in the motion of vessels: known R waves, what must not matter, and what has no beats."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sync.beating import SECOND, pictures, stamps

from autocar_ros.errors import InvalidInputError
from autocar_ros.sync.cardiac import ImagePhase, find_beats
from autocar_ros.sync.motion import CELLS

TIMES = np.arange(90) / 15
MOVING = pictures(TIMES)
R_WAVES = 0.3 + 0.8 * np.arange(8)


def fed(vessels, times=TIMES, **options):
    phase = ImagePhase(options.pop("history", 100.0), **options)
    for stamp, picture in zip(stamps(times), vessels, strict=True):
        phase.add(int(stamp), picture)
    return phase


def assert_waves(phase, expected, within=0.067):
    found = phase.beats.r_waves / SECOND
    inside = found[(found > expected[0] - 0.1) & (found < expected[-1] + 0.1)]
    assert len(inside) == len(expected)
    np.testing.assert_allclose(inside, expected, atol=within)


def test_known_beats():
    phase = fed(MOVING)
    assert_waves(phase, R_WAVES[1:7])
    assert phase.beats.confidence > 0.6
    assert phase.beats.reason == ""


@pytest.mark.parametrize("rate", [55, 70, 95, 115])
def test_heart_rates(rate):
    beat = 60 / rate
    assert_waves(fed(pictures(TIMES, beat)), np.arange(0.3 + beat, 5.3, beat))


@pytest.mark.parametrize("fps", [7.5, 30.0])
def test_frame_rates(fps):
    times = np.arange(int(6 * fps)) / fps
    assert_waves(fed(pictures(times), times), R_WAVES[1:7], within=0.1)


def test_vessels_that_move_up_in_systole_are_told_by_shrinking_and_shape():
    assert_waves(fed(pictures(TIMES, down=-0.5)), R_WAVES[1:7], within=0.1)


@settings(max_examples=4)
@given(gain=st.floats(1e-3, 1e3), delay=st.integers(-(10**9), 10**12))
def test_gain_and_clock_do_not_matter(gain, delay):
    expected = fed(MOVING).beats.r_waves
    phase = ImagePhase(100.0)
    for stamp, picture in zip(stamps(TIMES), MOVING, strict=True):
        phase.add(int(stamp) + delay, np.float32(gain) * picture)
    np.testing.assert_allclose(phase.beats.r_waves - delay, expected, atol=2e7)


def test_noise_and_lost_frames_change_little(rng):
    noisy = MOVING + rng.normal(0, 25, MOVING.shape).astype(np.float32)
    noisy[40] = 0
    kept = np.delete(np.arange(90), [20, 21, 60])
    assert_waves(fed(noisy[kept], TIMES[kept]), R_WAVES[1:7], within=0.1)


def test_arriving_contrast_is_no_beat():
    filling = MOVING * np.clip((TIMES - 1) / 1.0, 0, 1)[:, None, None].astype(np.float32)
    assert_waves(fed(filling), R_WAVES[3:7])


def moved(times, waves, parts=((-0.08, 0.10, -0.4), (0.10, 0.09, 1.0), (0.20, 0.10, 0.5), (0.42, 0.13, -0.6))):
    """(F,) speed of vessels with R waves at `waves` s: bumps after each, as time, half width and height."""
    away = [np.clip((times - wave - middle) / width, -1, 1) for wave in waves for middle, width, _ in parts]
    heights = [height for _ in waves for *_, height in parts]
    return 0.3 * np.cos(np.pi / 2 * np.array(away)).T ** 2 @ heights


def beats_of(times, speed, weight):
    velocity = np.zeros((len(times), CELLS, CELLS, 2))
    velocity[..., 1] = speed[:, None, None]
    return find_beats(stamps(times), velocity, weight).r_waves / SECOND


def test_a_beat_among_still_shadows_counts_while_contrast_arrives():
    """Of what is in the picture, only what came with the contrast tells how fast the heart moves."""
    times, waves = np.arange(120) / 15, np.r_[1.2, 2.25 + 0.8 * np.arange(7)]
    contrast = np.clip((times - 1.1) / 1.5, 0, 1) ** 2
    found = beats_of(times, contrast * moved(times, waves), 1.2 + contrast)
    np.testing.assert_allclose(found[:2], waves[:2], atol=0.067)


def test_a_faint_movement_at_the_end_is_no_beat():
    times, waves = np.arange(96) / 15, 0.4 + 0.8 * np.arange(7)
    speed = moved(times, waves) + moved(times, waves[-1:] + 0.7, ((0.12, 0.12, 0.5),))
    assert beats_of(times, speed, np.ones(96))[-1] == pytest.approx(waves[-1], abs=0.067)


def test_breathing_alone_has_no_beat():
    phase = fed(pictures(TIMES, way=0.0))
    assert len(phase.beats.r_waves) == 0
    assert "do not move" in phase.beats.reason


@pytest.mark.parametrize("frames", [0, 1, 7])
def test_too_short(frames):
    phase = fed(MOVING[:frames], TIMES[:frames])
    assert len(phase.beats.r_waves) == 0
    assert "too few frames" in phase.beats.reason
    assert np.isnan(phase.phases(stamps(TIMES))).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_still_noisy_picture_has_no_beats(seed):
    noise = np.random.default_rng(seed).normal(0, 30, MOVING.shape)
    phase = fed(np.clip(MOVING[0] + noise, 0, None).astype(np.float32))
    assert len(phase.beats.r_waves) == 0
    assert phase.beats.reason


def test_a_frozen_picture_has_no_beats():
    phase = fed(np.repeat(MOVING[:1], 90, axis=0))
    assert "do not move" in phase.beats.reason


def test_phase_follows_the_heart_as_frames_come_in():
    phase, errors = ImagePhase(5.0, refresh=0.25), []
    for stamp, picture in zip(stamps(TIMES), MOVING, strict=True):
        phase.add(int(stamp), picture)
        errors.append((phase.phases(np.array([stamp]))[0] - (stamp / SECOND - 0.3) / 0.8 + 0.5) % 1.0 - 0.5)
    late = np.array(errors[45:])
    assert np.isfinite(late).all()
    assert np.abs(late).max() < 0.12


def test_a_pause_starts_a_new_run():
    phase = fed(MOVING)
    for stamp, picture in zip(stamps(TIMES[:5] + 20), MOVING, strict=False):
        phase.add(int(stamp), picture)
    assert "too few frames" in phase.beats.reason


def test_reset():
    phase = fed(MOVING)
    phase.reset()
    assert len(phase.beats.r_waves) == 0


def test_not_a_picture():
    with pytest.raises(InvalidInputError, match="two-dimensional"):
        ImagePhase(10.0).add(0, np.zeros((2, 3, 4)))
