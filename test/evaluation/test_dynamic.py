"""Dynamic protocol: when reconstructions arrive, what a sequence scores, how troubles are timed."""

from __future__ import annotations

import numpy as np
import pytest
from tracking.scenes import POSES, TREE, pair, truth

from autocar_ros.evaluation.dynamic import (
    Drive,
    Exposure,
    frame_scores,
    is_filled,
    reaction,
    rebuild_scores,
    sequence_scores,
)
from autocar_ros.tracking.tracker import Tracker
from autocar_ros.types import GraphStatus, SeenBy

STEP = 1 / 15


class Parrot:
    """A tracker that says what it was given last."""

    def __init__(self):
        self.graph, self.given = None, []

    def update(self, pair, new=None):
        self.given.append(new)
        self.graph = new or self.graph
        return self.graph


def exposed(count, keys=(0,), seen=SeenBy.BOTH):
    """Exposures of the beating tree."""
    for k in range(count):
        now = truth(STEP * k).with_(seen_by=np.full(len(TREE), seen, np.uint8))
        yield Exposure(pair(STEP * k, key_frame=k in keys), now, POSES, np.ones(len(TREE), bool))


def test_a_reconstruction_arrives_late_and_key_frames_meanwhile_are_passed_over():
    asked = []

    def rebuild(key):
        asked.append(round(key.stamp_a_ns * 15e-9))
        return None if len(asked) == 2 else TREE

    parrot = Parrot()
    drive = Drive(parrot, rebuild, late=3)
    moments = list(drive(exposed(12, keys=(1, 3, 4, 8))))
    assert asked == [1, 4, 8]
    assert [k for k, new in enumerate(parrot.given) if new is not None] == [4, 11]
    assert (len(drive.made), drive.failed) == (2, 1)
    scores = rebuild_scores(drive)
    assert (scores["reconstructions"], scores["reconstructions_failed"]) == (2.0, 1.0)
    assert 0 < scores["reconstruction_error_median_mm"] < 5.0  # it was made at another time
    assert [m.graph is None for m in moments[:5]] == [True] * 4 + [False]


def test_a_graph_on_the_truth_scores_full():
    moments = [m._replace(graph=m.truth) for m in Drive(Parrot(), lambda _: None)(exposed(6))]
    frames = frame_scores(moments)
    scores = sequence_scores(moments, frames)
    for name in ("recall_1mm", "precision_1mm", "coverage", "accuracy", "found", "share_ok", "identity_frame_to_frame",
                 "identity_whole_sequence"):  # fmt: skip
        assert scores[name] == pytest.approx(1.0), name
    for name in ("error_p95_mm", "epe_mm", "node_error_mm", "radius_error_mm", "drifted", "rebuilds", "failed"):
        assert scores[name] == pytest.approx(0.0, abs=0.1), name
    assert scores["bifurcations_found"] == 1


def test_the_tracker_follows_the_tree():
    moments = list(Drive(Tracker(), lambda _: truth(0.0), late=1)(exposed(10)))
    scores = sequence_scores(moments, frame_scores(moments))
    assert scores["error_median_mm"] < 1.0
    assert scores["recall_2mm"] > 0.9
    assert scores["step_max_ms"] >= scores["step_median_ms"] > 0
    assert scores["first_graph_s"] == pytest.approx(STEP)


def test_moments_without_contrast_count_apart():
    assert not is_filled(TREE)
    dark = [m._replace(graph=m.truth) for m in Drive(Parrot(), lambda _: None)(exposed(3, seen=SeenBy.A))]
    bright = [m._replace(graph=m.truth) for m in Drive(Parrot(), lambda _: None)(exposed(3))]
    frames = frame_scores([*bright, *dark])
    assert [f["filled"] for f in frames] == [1.0] * 3 + [0.0] * 3
    assert "recall_2mm" not in frames[-1]
    scores = sequence_scores([*bright, *dark], frames)
    assert scores["error_median_dry_mm"] == pytest.approx(0.0, abs=0.05)
    assert sequence_scores(dark, frame_scores(dark)) == {"failed": 1.0}


def course(status, recall=None):
    """Scores of moments 0.1 s apart."""
    recall = recall or [1.0] * len(status)
    return [{"time": 0.1 * k, "status": float(s), "recall_2mm": r}
            for k, (s, r) in enumerate(zip(status, recall, strict=True))]  # fmt: skip


OK, DEGRADED, LOST = GraphStatus.OK, GraphStatus.DEGRADED, GraphStatus.LOST


def test_a_trouble_that_is_noticed_and_over():
    frames = course([DEGRADED, OK, OK, OK, DEGRADED, DEGRADED, DEGRADED, OK], [1.0] * 4 + [0.5] * 3 + [0.97])
    found = reaction(frames, 0.25, 0.55, beat=0.5)
    assert found.frames_to_notice == 1
    assert found.beats_to_recover == pytest.approx(0.3)  # at 0.7 s
    assert found.beats_to_return == pytest.approx(0.3)
    assert found.false_alarms == pytest.approx(1 / 3)


def test_a_trouble_that_is_never_noticed():
    found = reaction(course([OK] * 6, [1.0] * 3 + [0.2] * 3), 0.25, 0.45, beat=1.0)
    assert np.isnan([found.frames_to_notice, found.beats_to_recover, found.beats_to_return]).all()


def test_a_trouble_that_stays_recovers_after_it_was_noticed():
    frames = course([OK, OK, OK, DEGRADED, LOST, OK], [1.0, 1.0, 0.0, 0.0, 0.5, 1.0])
    found = reaction(frames, 0.2, 0.2, beat=1.0)
    assert found.frames_to_notice == 1
    assert found.beats_to_recover == pytest.approx(0.3)
    assert found.beats_to_return == pytest.approx(0.3)
