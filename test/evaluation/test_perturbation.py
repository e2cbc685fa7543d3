"""Protocol 5: what is scored, and how cases become curves."""

from dataclasses import replace

import numpy as np
import pytest
from tracking.scenes import EMPTY, POSES, TREE, pair, truth

from autocar_ros.config import ReconstructionConfig
from autocar_ros.evaluation.dynamic import Exposure, rebuilder
from autocar_ros.evaluation.perturbation import (
    ALIGNMENTS,
    Kind,
    curves,
    misread,
    recognition,
    score_pair,
    score_sequence,
)
from autocar_ros.types import FramePair, SeenBy, VesselGraph

TRUTH = TREE.with_(seen_by=np.full(len(TREE), SeenBy.BOTH, np.uint8))


def perfect(_: FramePair) -> VesselGraph:
    return TRUTH


@pytest.mark.parametrize("kind", Kind)
def test_every_disturbance_grows_from_none(kind):
    assert kind.levels[0] == 0
    assert list(kind.levels) == sorted(set(kind.levels))
    assert kind.label


@pytest.mark.parametrize("align", ALIGNMENTS)
def test_the_truth_has_the_best_scores(align):
    scores = score_pair(pair(0.0, key_frame=True), TRUTH, POSES, align, perfect)
    assert scores["recall_2mm"] == scores["precision_2mm"] == scores["coverage"] == scores["ok"] == 1
    assert scores["error_median_mm"] == pytest.approx(0, abs=1e-6)
    assert scores["failed"] == scores["wrong_though_ok"] == 0


def test_a_graph_that_only_lies_elsewhere_is_right_after_the_fit():
    moved = TRUTH.with_(position=TRUTH.position + np.array([6.0, 0.0, 0.0]))
    scores = score_pair(pair(0.0), TRUTH, POSES, "off", lambda _: moved)
    assert scores["recall_2mm"] == 1
    assert scores["error_median_in_place_mm"] > 2


def test_wrong_vessels_of_status_ok_are_told():
    other = TRUTH.with_(position=3.0 * TRUTH.position)
    scores = score_pair(pair(0.0), TRUTH, POSES, "off", lambda _: other)
    assert scores["wrong_though_ok"] == 1


def test_what_gives_no_graph_has_failed():
    rebuild = rebuilder(ReconstructionConfig(method="lifting"))
    scores = score_pair(pair(0.0, mask_b=EMPTY), TRUTH, POSES, "off", rebuild)
    assert scores["failed"] == 1
    assert scores["recall_2mm"] == 0


def test_a_shifted_table_is_made_good_by_the_alignment_alone():
    wrong = replace(POSES[1], isocenter_offset=(0.0, 0.0, 8.0))
    rebuild = rebuilder(ReconstructionConfig(method="lifting"))
    off, shift = (
        score_pair(misread(pair(0.0, key_frame=True), wrong), TRUTH, POSES, align, rebuild)
        for align in ("off", "shift")
    )
    assert shift["recall_2mm"] > off["recall_2mm"] + 0.2


def test_a_sequence_is_scored_where_it_is_filled():
    shown = np.ones(len(TREE), np.bool_)
    exposures = [Exposure(pair(k / 15, key_frame=k == 0), truth(k / 15, TRUTH), POSES, shown) for k in range(12)]
    scores = score_sequence(exposures, "off", lambda p: truth(p.stamp_a_ns / 1e9, TRUTH).with_(stamp_a_ns=p.stamp_a_ns))
    assert scores["recall_2mm"] > 0.95
    assert scores["error_median_mm"] < 0.6
    assert score_sequence(exposures, "off", lambda _: None)["failed"] == 1


def test_curves_hold_every_level_of_every_alignment():
    rows = [
        {"kind": "angle", "align": align, "level": level, "scores": {"recall_2mm": level + seed}}
        for align in ("off", "full")
        for level in (2.0, 0.0)
        for seed in (0, 1)
    ]
    found = curves(rows)
    assert [e["level"] for e in found["angle"]["full"]] == [0.0, 2.0]
    assert found["angle"]["off"][1]["recall_2mm"]["mean"] == 2.5
    assert found["angle"]["off"][1]["recall_2mm"]["n"] == 2


def test_recognition_is_a_curve_of_sensitivity_and_false_alarms():
    rows = [
        {"kind": "artery", "align": "shift", "level": level, "scores": {"confidence": confidence}}
        for level, confidence in ((0.0, 0.9), (0.0, 0.5), (1.0, 0.2), (1.0, 0.7))
    ]
    curve = recognition(rows, Kind.ARTERY)
    assert curve[0] == {"threshold": 0.0, "sensitivity": 0.0, "false_alarms": 0.0}
    at = min(curve, key=lambda e: abs(e["threshold"] - 0.6))
    assert (at["sensitivity"], at["false_alarms"]) == (0.5, 0.5)
    assert recognition(rows[:2], Kind.ARTERY) == []
