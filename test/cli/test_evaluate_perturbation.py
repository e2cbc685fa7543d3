"""`autocar evaluate perturbation`: what is disturbed, and what is written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from autocar_ros.cli.evaluate_perturbation import (
    SECONDS,
    WATCHED,
    disturbed_case,
    dropped_sequence,
    online_run,
    watched_run,
)
from autocar_ros.cli.sequences import RATE
from autocar_ros.evaluation.perturbation import Kind, score_online, score_watch
from autocar_ros.geometry.carm import angle_between


@pytest.mark.parametrize("kind", [Kind.ANGLE, Kind.SHIFT, Kind.DAMAGE, Kind.PHASE])
def test_a_case_stays_the_same_patient(kind):
    (clean, truth, poses), (pair, same, same_poses) = (disturbed_case(kind, 7, level) for level in (0.0, 0.2))
    np.testing.assert_allclose(truth.position, same.position)
    assert poses == same_poses
    assert (clean.pose_a, clean.pose_b) == poses
    assert pair.pose_a == poses[0]


def test_only_the_pose_of_plane_b_is_misread():
    pair, _, poses = disturbed_case(Kind.ANGLE, 7, 3.0)
    assert np.degrees(angle_between(pair.pose_b, poses[1])) == pytest.approx(3.0, abs=0.1)
    pair, _, poses = disturbed_case(Kind.SHIFT, 7, 20.0)
    moved = np.subtract(pair.pose_b.isocenter_offset, poses[1].isocenter_offset)
    assert np.linalg.norm(moved) == pytest.approx(20.0)


def test_another_phase_changes_plane_b_alone():
    (clean, *_), (later, *_) = (disturbed_case(Kind.PHASE, 7, level) for level in (0.0, 0.2))
    assert (clean.mask_a == later.mask_a).all()
    assert (clean.mask_b != later.mask_b).any()
    assert later.stamp_b_ns > later.stamp_a_ns


def test_another_artery_is_another_mask_from_the_same_view():
    (clean, *_), (other, *_) = (disturbed_case(Kind.ARTERY, 7, level) for level in (0.0, 1.0))
    assert (clean.mask_a == other.mask_a).all()
    assert other.pose_b == clean.pose_b
    assert (other.mask_b > 0).any()
    assert ((clean.mask_b > 0) & (other.mask_b > 0)).sum() < 0.5 * (clean.mask_b > 0).sum()


def test_frames_are_dropped():
    assert 0 < len(list(dropped_sequence(7, 0.75))) < 0.5 * SECONDS * RATE


@pytest.mark.parametrize("kind", WATCHED)
def test_a_watched_run_is_wrong_in_plane_b_alone(kind):
    (right, pose, since), (wrong, same, again) = (watched_run(kind, 7, level) for level in (0.0, kind.levels[-1]))
    assert (pose, since) == (same, again)
    assert [p.stamp_b_ns for p in right] == [p.stamp_b_ns for p in wrong]
    moved = [a.pose_b != b.pose_b for a, b in zip(right, wrong, strict=True)]
    if kind == Kind.JUMP:
        assert moved == [p.stamp_b_ns >= since for p in wrong]
    else:
        assert not any(moved)
        assert all((a.mask_b != b.mask_b).any() for a, b in zip(right, wrong, strict=True))


def test_a_table_move_is_recognized_and_made_good():
    still, moved = (score_watch(*watched_run(Kind.JUMP, 7, level), "shift") for level in (0.0, 20.0))
    assert (still["recognized"], still["moves"], still["doubted_share"]) == (0, 0, 0)
    assert (moved["recognized"], moved["moves"]) == (1, 1)
    assert moved["pairs"] <= 6
    assert max(still["left_mm"], moved["left_mm"]) < 1.5
    assert score_watch(*watched_run(Kind.JUMP, 7, 20.0), "off")["left_mm"] > 1.5


def test_a_run_is_aligned_as_it_goes_on():
    (right, *_), (wrong, truth, poses) = (online_run(7, level) for level in (0.0, 3.0))
    assert {p.pose_b for p in right} == {poses[1]}
    assert poses[1] not in {p.pose_b for p in wrong}
    assert all((a.mask_b == b.mask_b).all() for a, b in zip(right, wrong, strict=True))
    rebuilt = []
    scores = score_online(wrong, truth, poses, "full", rebuilt.append)
    assert scores["failed"] == 1  # nothing was given back
    assert scores["refinement_s"] > 0
    assert rebuilt[0].stamp_a_ns == wrong[-1].stamp_a_ns
    assert rebuilt[0].pose_b != wrong[-1].pose_b


def test_command_writes_curves(autocar, tmp_path):
    done = autocar("evaluate", "perturbation", "--kinds", "artery", "--cases", "1", "--seed", "7",
                  "--method", "lifting", "--align", "off", "--out", str(tmp_path))  # fmt: skip
    assert done.exit_code == 0, done.stderr
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert set(found["curves"]["artery"]) == {"off"}
    assert [e["level"] for e in found["curves"]["artery"]["off"]] == list(Kind.ARTERY.levels)
    assert found["curves"]["artery"]["off"][0]["recall_2mm"]["mean"] > 0.6
    assert "recognized" in found["curves"]["artery"]["off"][-1]
    assert (tmp_path / "perturbation.png").stat().st_size > 10_000


def test_an_unknown_kind_is_refused(autocar, tmp_path):
    done = autocar("evaluate", "perturbation", "--kinds", "weather", "--out", str(tmp_path))
    assert done.exit_code == 1
    assert "angle" in done.stderr
