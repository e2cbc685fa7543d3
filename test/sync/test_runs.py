"""Recorded runs: phase of their frames, pairs of two runs, a real run."""

import numpy as np
import pytest
from sync.beating import SECOND, pictures, stamps

from autocar_ros.errors import InvalidInputError
from autocar_ros.imaging.dicom import read_run
from autocar_ros.sync.beats import apart
from autocar_ros.sync.contrast import ContrastState
from autocar_ros.sync.runs import CANDIDATES, CLOSE, close_pairs, observe_run, pair_runs, vessels_of
from autocar_ros.types import PhaseSource

TIMES = np.arange(75) / 15


def run(start, fill=0.0, r_waves=None):
    """A run of a heart with R waves at `start` + 0.8 k s, full of contrast from `fill` s on."""
    shown = np.clip((TIMES - fill) / 0.5 + 1, 0.05, 1)[:, None, None].astype(np.float32)
    return observe_run(shown * pictures(TIMES, start=start), stamps(TIMES), r_waves)


def true_phase(frame, start):
    return (TIMES[frame] - start) / 0.8 % 1.0


def test_pairs_have_equal_phase_and_contrast():
    a, b = run(0.3, fill=1.5), run(0.55, fill=2.0)
    assert a.source is b.source is PhaseSource.IMAGE
    pairs = pair_runs(a, b, count=5)
    assert len({p.frame_a for p in pairs}) == len({p.frame_b for p in pairs}) == 5
    for pair in pairs:
        assert apart(true_phase(pair.frame_a, 0.3), true_phase(pair.frame_b, 0.55)) < 0.08
        assert a.contrast[pair.frame_a] == b.contrast[pair.frame_b] == ContrastState.FULL
        assert abs(pair.residual_skew) < 0.04
        assert "motion of the vessels" in pair.reason
        assert "full of contrast" in pair.reason


def test_ecg_is_taken_where_there_is_one():
    waves = stamps(np.arange(0.13, 5, 0.8))
    found = run(0.3, r_waves=waves)
    assert found.source is PhaseSource.ECG
    assert found.phase[12] == pytest.approx((TIMES[12] - 0.13) / 0.8 % 1.0, abs=1e-6)
    assert found.beat_seconds == pytest.approx(0.8)
    assert found.r_wave_frames.tolist() == [round(15 * w / SECOND) for w in waves]


def test_what_lies_outside_the_r_waves_is_less_sure():
    found = run(0.3)
    first, last = found.beats.r_waves[[1, -2]]  # found; the ones around them are expected
    inside = (found.stamps >= first) & (found.stamps <= last)
    assert len(np.unique(found.phase_error[inside])) == 1
    assert (np.diff(found.phase_error[found.stamps > last]) > 0).all()
    assert (np.diff(found.phase_error[(found.stamps < first) & np.isfinite(found.phase)]) < 0).all()
    assert found.phase_error[-1] > 1.5 * found.phase_error[inside][0]
    still = observe_run(np.repeat(pictures([0.0]), 40, axis=0), stamps(TIMES[:40]))
    assert np.isnan(still.phase_error).all()


def test_still_runs_give_their_fullest_frames():
    still = observe_run(
        np.repeat(pictures([0.0]), 40, axis=0) * np.linspace(0.9, 1, 40)[:, None, None], stamps(TIMES[:40])
    )
    (pair,) = pair_runs(still, run(0.3))
    assert np.isnan(pair.residual_skew)
    assert pair.frame_a == 39
    assert "run A: the vessels do not move" in pair.reason


def test_a_given_frame_is_kept():
    a, b = run(0.3), run(0.55)
    (pair,) = pair_runs(a, b, frame_a=31)
    assert pair.frame_a == 31
    assert apart(true_phase(31, 0.3), true_phase(pair.frame_b, 0.55)) < 0.08
    (unknown,) = pair_runs(observe_run(np.repeat(pictures([0.0]), 40, axis=0), stamps(TIMES[:40])), b, frame_b=20)
    assert unknown.frame_b == 20
    assert unknown.source is PhaseSource.NONE


def test_pairs_of_nearly_one_phase_to_choose_from():
    a, b = run(0.3), run(0.55)
    pairs = close_pairs(a, b)
    assert pairs[0] == pair_runs(a, b)[0]
    assert 1 < len(pairs) <= CANDIDATES
    assert max(apart(p.phase_a, p.phase_b) for p in pairs) <= CLOSE
    fixed = close_pairs(a, b, frame_a=31)
    assert {p.frame_a for p in fixed} == {31}
    assert len({p.frame_b for p in fixed}) == len(fixed) > 1
    still = observe_run(np.repeat(pictures([0.0]), 40, axis=0), stamps(TIMES[:40]))
    assert len(close_pairs(still, b)) == 1


def test_swapped_runs_give_the_same_pair():
    a, b = run(0.3), run(0.62)
    (there,), (back,) = pair_runs(a, b), pair_runs(b, a)
    assert (there.frame_a, there.frame_b) == (back.frame_b, back.frame_a)
    assert there.residual_skew == pytest.approx(-back.residual_skew)


@pytest.mark.parametrize("times", [TIMES[::-1], np.zeros(75)])
def test_stamps_must_grow(times):
    with pytest.raises(InvalidInputError, match="stamps that grow"):
        observe_run(pictures(TIMES), stamps(times))


def test_no_frames():
    with pytest.raises(InvalidInputError, match="at least one frame"):
        observe_run([], [])


@pytest.mark.slow
def test_real_run_without_its_ecg(data_dir):
    """The three R waves of the cine, the first while contrast arrives."""
    cine = read_run(data_dir / "cine" / "rubo_rca_ecg.dcm")
    found = observe_run(vessels_of(cine.images), cine.frame_times_ns)
    assert len(found.r_wave_frames) == 3
    assert np.abs(found.r_wave_frames - cine.r_wave_frames).max() <= 2
