"""Figures of a recorded session, against a session made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.session import Session, exposed_pairs, latencies, summarize
from autocar_ros.types import CArmPose, CatheterPath, GraphStatus

MS = 1_000_000
POSE = CArmPose(0.0, 0.0, 1200.0, 800.0, (0.3, 0.3), 512, 512)
LATERAL = CArmPose(math.pi / 2, 0.0, 1200.0, 800.0, (0.3, 0.3), 512, 512)


@pytest.fixture
def session(fork):
    """Five pairs 200 ms apart, then 1.2 s of nothing; graphs for all but the third, 60 ms after exposure."""
    stamps = [k * 200 * MS for k in range(5)]
    made = Session({"vessel_graph": 4}, start_ns=0, end_ns=2000 * MS)
    tilted = fork.with_(position=fork.position[:, [0, 2, 1]])
    for stamp in stamps:
        for plane, pose in (("a", POSE), ("b", LATERAL)):
            made.exposures[plane].append(stamp)
            made.poses[plane][stamp] = pose
        made.truths[stamp] = tilted.with_(stamp_a_ns=stamp, stamp_b_ns=stamp)
        if stamp != 400 * MS:
            made.graphs.append(tilted.with_(stamp_a_ns=stamp, stamp_b_ns=stamp, graph_id=1))
            made.arrivals["vessel_graph"][stamp] = stamp + 60 * MS
    return made


def test_share_of_pairs_with_a_graph(session):
    pairs = summarize(session)["frame_pairs"]
    assert (pairs["offered"], pairs["graphs_published"], pairs["published_share"]) == (5, 4, 0.8)
    assert pairs["rate_hz"] == pytest.approx(5.0)
    assert pairs["graph_status"] == {"OK": 4}
    assert sum(pairs["lost"].values()) == pairs["offered"] - pairs["graphs_published"]


def test_pairs_before_the_first_graph_are_told_apart(session):
    session.graphs = session.graphs[1:]  # without that of the first pair
    pairs = summarize(session)["frame_pairs"]
    assert (pairs["exposed"], pairs["before_first_graph"], pairs["offered"]) == (5, 1, 4)
    assert pairs["published_share"] == 3 / 4
    assert pairs["published_share_of_exposed"] == 3 / 5


def test_without_any_graph_all_pairs_were_offered(session):
    session.graphs = []
    pairs = summarize(session)["frame_pairs"]
    assert (pairs["offered"], pairs["graphs_published"], pairs["published_share"]) == (5, 0, 0.0)


def test_pairs_of_the_last_second_do_not_count(session):
    session.end_ns = 1500 * MS
    assert exposed_pairs(session) == [0, 200 * MS, 400 * MS]


def test_a_repeated_graph_counts_once_and_one_for_no_pair_not_at_all(session):
    again = session.graphs[0].with_(status=GraphStatus.STALE)
    session.graphs += [again, session.graphs[0].with_(stamp_a_ns=123)]
    result = summarize(session)
    assert result["frame_pairs"]["graph_status"] == {"OK": 4}
    assert result["graph"]["recall_2mm"]["n"] == 4


def test_without_truth_pairs_are_exposures_near_in_time(session):
    session.truths.clear()
    session.exposures["b"] = [s + 10 * MS for s in session.exposures["b"][:3]] + [720 * MS + 1]
    assert exposed_pairs(session) == [0, 200 * MS, 400 * MS]
    assert "graph" not in summarize(session)
    session.exposures["b"] = [5 * MS]
    assert exposed_pairs(session) == [0]
    session.exposures["b"] = []
    assert exposed_pairs(session) == []
    assert summarize(session)["frame_pairs"]["published_share"] is None


def test_latency_is_from_exposure_to_arrival(session):
    time_s, ms = latencies(session)["vessel_graph"]
    assert time_s == pytest.approx([0.0, 0.2, 0.6, 0.8])
    assert ms == pytest.approx([60.0] * 4)
    assert summarize(session)["latency_ms"]["vessel_graph"]["p99"] == pytest.approx(60.0)
    assert summarize(session)["latency_ms"]["plane_a/mask"]["n"] == 0


def test_perfect_graphs(session):
    graph = summarize(session)["graph"]
    assert graph["recall_2mm"] == {"mean": 1.0, "std": 0.0, "n": 4}
    assert graph["precision_2mm"]["mean"] == graph["coverage"]["mean"] == 1.0
    assert graph["error_median_mm"]["mean"] == 0.0
    assert graph["epe_mm"]["mean"] < 0.2
    assert summarize(session)["identity"]["whole_sequence"] == 1.0


def test_recall_asks_only_for_what_can_be_seen(session):
    # Contrast has reached the stem and one arm; at the first exposure nothing yet.
    seen = np.array([3, 3, 3, 0], np.uint8)
    session.truths = {s: t.with_(seen_by=seen if s else seen * 0) for s, t in session.truths.items()}
    session.graphs = [g.with_(edges=g.edges[:2]) for g in session.graphs]
    graph = summarize(session)["graph"]
    assert graph["recall_2mm"] == {"mean": 1.0, "std": 0.0, "n": 3}


def test_lost_graphs_count_as_published_with_recall_0(session):
    empty = np.zeros((0, 2), np.int64)
    session.graphs = [g.with_(edges=empty, status=GraphStatus.LOST) for g in session.graphs]
    result = summarize(session)
    assert result["frame_pairs"]["graph_status"] == {"LOST": 4}
    assert result["graph"]["recall_2mm"]["mean"] == 0.0
    assert result["graph"]["precision_2mm"]["n"] == 0


def test_drops_and_troubles_by_node(session):
    session.drops = {"/tracking": {"pose": 2}, "/navigation": {}}
    session.complaints = [(at * MS, "/tracking", "no pose") for at in (-5, 0, 400, 800, 801)]
    session.complaints.append((300 * MS, "/tracking", "late"))
    result = summarize(session)
    assert result["drops"] == {"/tracking": {"pose": 2}}
    assert result["troubles"] == {"/tracking": {"no pose": 3, "late": 1}}


def test_paths_are_told_in_mm(session):
    zeros = np.zeros((2, 3))
    path = CatheterPath(1, np.arange(2), zeros, zeros, np.ones(2), 35.0, 1.0, 0.1, 0.5, 0.9, np.zeros(0, int),
                        np.zeros(0), ("turn left",), True, "")  # fmt: skip
    session.paths = (path,)
    told = summarize(session)["paths"][0]
    assert (told["length"], told["unit"], told["instructions"]) == (35.0, "mm", ["turn left"])


def test_pose_is_the_newest_not_after_the_exposure(session):
    session.poses["a"] = {100: POSE, 300: LATERAL}
    assert session.pose_at("a", 299) is POSE
    assert session.pose_at("a", 300) is LATERAL
    assert session.pose_at("a", 50) is POSE
    session.poses["a"] = {}
    with pytest.raises(InvalidInputError, match="no pose of plane A"):
        session.pose_at("a", 300)
