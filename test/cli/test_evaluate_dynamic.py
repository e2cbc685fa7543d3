"""`autocar evaluate dynamic`: what is drawn for a sequence, what goes wrong in it, what is written."""

from __future__ import annotations

import json
from functools import partial
from itertools import islice

import numpy as np
import pytest

from autocar_ros.cli.evaluate_dynamic import score_sequence
from autocar_ros.cli.scoring import mapped
from autocar_ros.cli.sequences import (
    EVENT_LENGTH,
    EVENT_START,
    HEART_RATE,
    JUMP,
    POSE_SHIFT,
    RATE,
    START,
    Event,
    draw_conditions,
    exposures,
)
from autocar_ros.geometry.carm import camera_from_pose

BEGIN = round((EVENT_START - START) * RATE)
END = round((EVENT_START + EVENT_LENGTH - START) * RATE)


def test_conditions_follow_from_the_seed():
    drawn = [draw_conditions(seed) for seed in range(30)]
    assert drawn == [draw_conditions(seed) for seed in range(30)]
    rates = [c.heart_rate for c in drawn]
    assert HEART_RATE[0] <= min(rates) < 65
    assert 105 < max(rates) <= HEART_RATE[1]
    assert {c.tree for c in drawn} == {"left", "right"}
    assert 0 < max(c.pose_shift for c in drawn) <= POSE_SHIFT


def test_without_disturbance_all_else_stays():
    usual, clean = draw_conditions(5), draw_conditions(5, disturbance=0.0)
    assert (clean.pose_angle, clean.pose_shift, clean.damage) == (0.0, 0.0, 0.0)
    assert (clean.heart_rate, clean.breathing, clean.injection) == (usual.heart_rate, usual.breathing, usual.injection)


def test_masks_show_the_truth_and_pairs_have_phase_and_keys():
    found = list(exposures(draw_conditions(5, disturbance=0.0), 2.0))
    assert len(found) == 30
    pair, truth, poses, shown = found[-1]
    assert (pair.pose_a, pair.pose_b) == poses
    assert shown.all()
    seen = truth.position[(truth.seen_by & 1) > 0]
    column, row = np.rint(camera_from_pose(poses[0]).project(seen)[0]).astype(int).T
    assert np.mean(pair.mask_a[row, column] > 0) > 0.95
    assert found[0].pair.mask_a.sum() == 0  # before the injection
    assert np.isfinite([e.pair.phase_a for e in found]).all()
    assert any(e.pair.key_frame for e in found)


def test_poses_and_masks_are_disturbed():
    (pair, _, poses, _) = next(iter(exposures(draw_conditions(5), 0.1, Event.JUMP)))
    clean = next(iter(exposures(draw_conditions(5, disturbance=0.0), 0.1, Event.JUMP)))
    assert pair.pose_a != poses[0]
    assert poses == clean.poses
    assert 0 < np.mean(pair.mask_a != clean.pair.mask_a) < 0.1


@pytest.mark.parametrize("event", list(Event))
def test_events(event):
    found = [e for e in islice(exposures(draw_conditions(5, disturbance=0.0), 5.0, event), END + 1)]
    before, at, during, after = (found[k] for k in (BEGIN - 1, BEGIN, END - 1, END))
    if event is Event.COVERED:
        assert not at.pair.mask_b.any()
        assert not during.pair.mask_b.any()
        assert at.pair.mask_a.any()
        assert after.pair.mask_b.any()
    elif event is Event.FROZEN:
        assert np.array_equal(before.pair.mask_b, during.pair.mask_b)
        assert not np.array_equal(before.pair.mask_b, after.pair.mask_b)
        assert not np.array_equal(before.pair.mask_a, at.pair.mask_a)
        assert during.pair.stamp_b_ns > before.pair.stamp_b_ns
    else:
        moved = np.linalg.norm(at.truth.position - before.truth.position, axis=1)
        assert moved.mean() == pytest.approx(JUMP, abs=4.0)  # and the heart goes on beating


def test_dynamic(autocar, tmp_path):
    command = ("evaluate", "dynamic", "--sequences", 1, "--seed", 3, "--seconds", 2.5, "--methods", "lifting")
    result = autocar(*command, "--no-events", "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "metrics.json").read_text())
    scores = found["methods"]["lifting"]
    assert scores["failed"] == {"mean": 0.0, "std": None, "n": 1}
    assert scores["recall_2mm"]["mean"] > 0.2
    assert found["step_ms"]["lifting"]["median"] > 0
    assert found["protocol"]["reconstruction_late_pairs"] == 5
    assert found["sequences"]["lifting"][0]["conditions"]["seed"] == 3
    assert found["seed"] == 3
    assert "identity_whole_sequence" in result.stdout
    assert "drifted" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "sequence.png").exists()


def test_unknown_method(autocar, tmp_path):
    result = autocar("evaluate", "dynamic", "--methods", "magic", "--out", tmp_path)
    assert result.exit_code == 1
    assert "method must be one of network, lifting" in result.stderr


@pytest.mark.slow
def test_several_processes_give_the_same_scores():
    score = partial(score_sequence, method="lifting", seconds=1.5, disturbance=1.0, events=False)
    one, two = (list(mapped(score, (3, 4), jobs)) for jobs in (1, 2))
    for a, b in zip(one, two, strict=True):
        assert a.conditions == b.conditions
        assert {k: v for k, v in a.scores.items() if "step" not in k} == pytest.approx(
            {k: v for k, v in b.scores.items() if "step" not in k}, nan_ok=True
        )
