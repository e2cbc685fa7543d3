"""Several runs: which frames, and which runs do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autocar_ros.cli.reconstruct_runs import Shot, _misfit, reconstruct_shots
from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.sync.cardiac import HeartBeats
from autocar_ros.sync.runs import CLOSE, ObservedRun, RunPair
from autocar_ros.synthetic.poses import standard_pair
from autocar_ros.types import Frame, PhaseSource, Vessels

STAMPS = np.arange(30, dtype=np.int64) * 66_666_667
BEAT = 0.8


def observed(known: bool = True) -> ObservedRun:
    waves = np.arange(3, dtype=np.int64) * round(BEAT * 1e9)
    phase = (STAMPS / 1e9 / BEAT) % 1.0 if known else np.full(len(STAMPS), np.nan)
    beats = HeartBeats(waves, 1.0) if known else replace(HeartBeats(waves[:0], 0.0), reason="too short")
    ones = np.ones(len(STAMPS))
    full = np.ones(len(STAMPS), np.int64)
    return ObservedRun(STAMPS, phase, 0.005 * ones, PhaseSource.ECG, full, ones, ones, beats)


def pair(skew: float) -> RunPair:
    return RunPair(3, 4, 0.2, 0.2, skew, "equal")


def test_runs_of_equal_phase_fit():
    assert _misfit(observed(), observed(), pair(0.5 * CLOSE * BEAT)) == ""


def test_another_phase_does_not_fit():
    assert "+400 ms off" in _misfit(observed(), observed(), pair(0.4))


def test_an_unknown_phase_fits_only_another_unknown_one():
    assert "too short" in _misfit(observed(), observed(known=False), pair(np.nan))
    assert _misfit(observed(known=False), observed(), pair(np.nan)) == ""


def test_runs_that_are_alone_are_refused_with_the_reasons():
    pose = standard_pair("left", 64)[0]
    blank = np.zeros((64, 64), np.uint8)
    shot = Shot(Path("a.dcm"), 0, Frame(0, blank), Vessels(blank), pose, "")
    with pytest.raises(InvalidInputError, match=r"no two runs fit each other: b\.dcm: too late"):
        reconstruct_shots([shot], ["b.dcm: too late"], ReconstructionConfig(method="lifting"), None)
