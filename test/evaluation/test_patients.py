"""Which runs and frames of patients go together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autocar_ros.errors import ReconstructionError
from autocar_ros.evaluation.patients import Pairing, Recorded, Trial, choose, figures_of, find_trials, judge
from autocar_ros.evaluation.picture_runs import PictureRun
from autocar_ros.imaging.segmentation import Segmentation
from autocar_ros.sbp.recorded import SegmentedRun
from autocar_ros.sync.contrast import ContrastState
from autocar_ros.sync.runs import observe_run
from autocar_ros.types import CArmPose, PhaseSource

POSE = CArmPose(0.0, 0.0, 1100.0, 780.0, (0.3, 0.3), 96, 96)
ANGLES = (0, 30, 60, 70)


def run(degrees, patient="p", name=""):
    pose = replace(POSE, primary_angle=float(np.radians(degrees)))
    return PictureRun(patient, name or f"r{degrees}", (), pose, 0.1)


def observed(phases, full):
    """A run of which the phases are known and which frames are full of contrast."""
    count = len(phases)
    empty = observe_run([np.zeros((8, 8), np.uint8)] * count, np.arange(count) * 100_000_000)
    contrast = np.where(full, ContrastState.FULL, ContrastState.FILLING).astype(np.int64)
    phase, source = np.array(phases), PhaseSource.IMAGE if np.isfinite(phases).any() else PhaseSource.NONE
    return replace(empty, phase=phase, source=source, contrast=contrast, amount=np.arange(count)[::-1] * 1.0)


def test_runs_of_one_artery_far_enough_apart():
    runs = {("p", r.name): r for r in map(run, ANGLES)}
    found = {tuple(name[1] for name in trial) for trial in find_trials(runs, set())}
    assert ("r0", "r30", "r60") in found
    assert ("r0", "r60", "r70") not in found  # the third is as good as the second
    assert ("r60", "r70", "r0") not in found  # too near for depth
    assert not list(find_trials(runs, {("p", "r0"), ("p", "r30")}))
    others = {("q" if r.name == "r30" else "p", r.name): r for r in map(run, (0, 30, 60))}
    assert not list(find_trials(others, set()))


def test_frames_of_one_phase():
    first = observed([0.1, 0.3, 0.6, 0.9], [True, True, True, False])
    second = observed([0.0, 0.32, 0.8, 0.5], [True] * 4)
    third = observed([0.31, 0.1, 0.27, 0.5], [False, True, True, True])
    moment = choose(first, second, third, Pairing.PHASE)
    assert moment.frames == (1, 1, 2)
    assert moment.differ == pytest.approx(0.03)


def test_without_phase_the_fullest_frames():
    known, unknown = observed([0.1, 0.2], [True, True]), observed([np.nan] * 3, [True] * 3)
    for runs in ((known, known, unknown), (known, unknown, known)):
        assert choose(*runs, Pairing.PHASE).frames == (0, 0, 0)
    assert np.isnan(choose(known, known, known, Pairing.FULLEST).differ)


class Bars:
    """Finds the same vessels in every frame."""

    def segment(self, image):
        mask = np.zeros(image.shape, np.uint8)
        mask[20:26, 10:80] = mask[20:80, 40:45] = 255
        return Segmentation(mask, np.zeros_like(mask))


def test_a_reconstruction_that_fails_counts_nothing():
    image = np.full((2, 96, 96), 200, np.uint8)
    image[:, 20:26, 10:80] = image[:, 20:80, 40:45] = 60
    frames = observed([np.nan] * 2, [True] * 2)
    recorded = {
        ("p", r.name): Recorded(SegmentedRun(image, [r.pose] * 2, Bars()), frames) for r in map(run, (0, 30, 60))
    }

    def failing(pair, more):
        raise ReconstructionError("no vessel in common")

    outcome = judge(Trial(*recorded), recorded, Pairing.PHASE, failing)
    row = figures_of(outcome)
    assert outcome.worth == 0.0
    assert (row["coverage"], row["failed"], row["patient"], row["third"]) == (0.0, 1.0, "p", "r60")
    assert row["angle_deg"] == pytest.approx(30)
