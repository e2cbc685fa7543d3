"""Node `tracking` alone, over DDS: the living graph, its services, and what happens when frames stop."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ros.probe import BEST_EFFORT
from ros.scenes import pair, tree
from std_srvs.srv import Trigger

from autocar_ros.msg import FramePair, StenosisArray, VesselGraph
from autocar_ros.ros import conversions as c
from autocar_ros.ros import qos
from autocar_ros.ros.nodes.tracking import TrackingNode
from autocar_ros.srv import GetVesselGraph, SaveVesselGraph
from autocar_ros.types import GraphStatus, ViewAlignment
from autocar_ros.vessels.tree import keep_nodes

SECOND = 10**9


@pytest.fixture
def tracking(bench):
    node = bench.start(TrackingNode)
    bench.graphs = bench.collect(VesselGraph, "/vessel_graph")
    bench.pairs = bench.sender(FramePair, "/frame_pair", BEST_EFFORT)
    bench.new = bench.sender(VesselGraph, "/reconstruction/graph")
    bench.wait_matched("/vessel_graph")
    return node


def send(bench, node, sender, message):
    before = sum(node.diagnostics.received.values())
    sender.publish(message)
    bench.wait(lambda: sum(node.diagnostics.received.values()) > before, f"{sender.topic_name} not received")


def track(bench, node, seconds, graph=None):
    send(bench, node, bench.pairs, c.pair_to_msg(pair(graph, round(seconds * SECOND))))


def start(bench, node, seconds=1.0):
    send(bench, node, bench.new, c.graph_to_msg(tree()))
    track(bench, node, seconds)
    bench.wait(lambda: bench.graphs, "no graph")


def test_pairs_of_mode_phase_are_used_though_plane_a_repeats_and_runs_back(bench, tracking):
    send(bench, tracking, bench.new, c.graph_to_msg(tree()))
    for a, b in ((9.0, 10.0), (9.0, 10.1), (7.0, 10.2), (7.1, 10.3)):
        one = replace(pair(), stamp_a_ns=round(a * SECOND), stamp_b_ns=round(b * SECOND))
        send(bench, tracking, bench.pairs, c.pair_to_msg(one))
    bench.wait(lambda: len(bench.graphs) >= 4, "pairs were dropped")
    assert len({g.graph_id for g in bench.graphs}) == 1
    assert not tracking.diagnostics.dropped


def test_stenoses_are_told_once_a_second_while_the_graph_is_to_be_trusted(bench, tracking):
    told = bench.collect(StenosisArray, "/stenoses")
    bench.wait_matched("/stenoses")
    narrowed = tree()
    narrowed.radius[40:60] *= 1 - 0.6 * np.exp(-(((np.arange(20) - 9) / 4) ** 2))
    send(bench, tracking, bench.new, c.graph_to_msg(narrowed))
    for seconds in (1.0, 1.1, 1.2, 2.1):
        track(bench, tracking, seconds)
    bench.wait(lambda: len(told) == 2, "not two messages on stenoses")
    assert [g.status for g in bench.graphs] == [GraphStatus.OK] * 4
    (found,) = c.stenoses_from_msg(told[0])
    assert (told[0].header.stamp, told[0].graph_id) == (bench.graphs[0].header.stamp, bench.graphs[0].graph_id)
    assert abs(found.node - 49) <= 1
    assert found.branch == 1
    assert found.diameter_stenosis == pytest.approx(0.6, abs=0.1)
    assert found.reference_diameter == pytest.approx(3.0, rel=0.1)
    assert 0.5 < found.confidence <= 1.0


def test_a_doubtful_alignment_makes_the_graph_degraded(bench, tracking):
    start(bench, tracking)
    doubt = ViewAlignment(confidence=0.2, reason="two shifts fit alike: 3 and 20 mm")
    for seconds, alignment in ((1.1, doubt), (1.2, replace(doubt, reason=""))):
        one = replace(pair(stamp_ns=round(seconds * SECOND)), alignment=alignment)
        send(bench, tracking, bench.pairs, c.pair_to_msg(one))
    bench.wait(lambda: len(bench.graphs) >= 3, "no third graph")
    assert [g.status for g in bench.graphs[:3]] == [GraphStatus.OK, GraphStatus.DEGRADED, GraphStatus.OK]
    assert "alignment of plane B: two shifts fit alike" in bench.graphs[1].status_reason


def test_no_graph_before_a_reconstruction(bench, tracking):
    track(bench, tracking, 1.0)
    bench.wait(lambda: bench.value(tracking, "received /frame_pair") == "1", "no diagnostics")
    assert not bench.graphs


def test_pairs_move_the_graph_and_nodes_keep_their_identity(bench, tracking):
    start(bench, tracking)
    track(bench, tracking, 1.1, tree(shift=(1.0, 0.5, -1.0)))
    bench.wait(lambda: len(bench.graphs) >= 2, "no second graph")
    first, second = (c.graph_from_msg(m) for m in bench.graphs[:2])
    assert first.graph_id == second.graph_id
    assert second.sequence == first.sequence + 1
    assert (first.stamp_a_ns, second.stamp_a_ns) == (SECOND, 1_100_000_000)
    moved = np.median(np.linalg.norm(second.position - tree(shift=(1.0, 0.5, -1.0)).position, axis=1))
    assert moved < 1.0  # mm


def test_the_reference_reaches_late_joiners(bench, tracking):
    start(bench, tracking)
    references = bench.collect(VesselGraph, "/vessel_graph/reference", qos.latched())
    bench.wait(lambda: references, "no latched reference")
    assert references[0].graph_id == bench.graphs[0].graph_id


def test_when_frames_stop_the_last_graph_is_published_once_more_as_stale(bench, tracking):
    start(bench, tracking)
    bench.wait(lambda: bench.graphs[-1].status == VesselGraph.STATUS_STALE, "never stale")
    stale = bench.graphs[-1]
    assert c.to_ns(stale.header.stamp) == SECOND  # its own exposure, not now
    assert "no frame pair" in stale.status_reason
    np.testing.assert_array_equal(stale.x, bench.graphs[-2].x)
    count = len(bench.graphs)
    bench.wait(lambda: "STALE" in bench.messages().get("/tracking", ""), "not in the diagnostics")
    bench.spin(1.2)
    assert len(bench.graphs) == count  # at most once
    track(bench, tracking, 3.0)
    bench.wait(lambda: bench.graphs[-1].status == VesselGraph.STATUS_OK, "does not recover")


def test_silence_is_noticed_while_simulated_time_stands_still(bench):
    node = bench.start(TrackingNode, use_sim_time=True)
    bench.graphs = bench.collect(VesselGraph, "/vessel_graph")
    bench.pairs = bench.sender(FramePair, "/frame_pair", BEST_EFFORT)
    bench.new = bench.sender(VesselGraph, "/reconstruction/graph")
    bench.wait_matched("/vessel_graph")
    start(bench, node)
    bench.wait(lambda: bench.graphs[-1].status == VesselGraph.STATUS_STALE, "never stale")


def test_a_reconstruction_after_the_last_frame_is_published_as_stale(bench, tracking):
    track(bench, tracking, 1.0)
    send(bench, tracking, bench.new, c.graph_to_msg(tree()))
    bench.wait(lambda: bench.graphs, "the short run is lost")
    graph = bench.graphs[-1]
    assert graph.status == VesselGraph.STATUS_STALE
    assert "no frame pair" in graph.status_reason
    assert len(graph.x) == len(tree())


def test_reset_starts_a_new_graph(bench, tracking):
    start(bench, tracking)
    old = bench.graphs[-1].graph_id
    assert bench.call(Trigger, "/tracking/reset", Trigger.Request()).success
    send(bench, tracking, bench.new, c.graph_to_msg(tree()))
    track(bench, tracking, 1.2)
    bench.wait(lambda: bench.graphs[-1].graph_id != old, "the id did not change")


def test_rebuild_takes_the_next_reconstruction(bench, tracking):
    start(bench, tracking)
    old = bench.graphs[-1].graph_id
    for seconds, expected in ((1.1, old), (1.2, old + 1), (1.3, old + 1)):
        if seconds == 1.2:
            answer = bench.call(Trigger, "/tracking/rebuild", Trigger.Request())
            assert (answer.success, answer.message) == (True, "the next reconstruction replaces the graph")
        send(bench, tracking, bench.new, c.graph_to_msg(tree()))
        track(bench, tracking, seconds)
        bench.wait(lambda t=seconds: c.to_ns(bench.graphs[-1].stamp_a) == round(t * SECOND), "no graph")
        assert bench.graphs[-1].graph_id == expected


def test_ids_go_on_after_cleanup(bench, tracking):
    start(bench, tracking)
    old = bench.graphs[-1].graph_id
    for transition in ("deactivate", "cleanup", "configure", "activate"):
        assert bench.change_state(tracking, transition)
    bench.wait(lambda: bench.pairs.get_subscription_count() and bench.new.get_subscription_count(), "not subscribed")
    bench.wait_matched("/vessel_graph")
    send(bench, tracking, bench.new, c.graph_to_msg(tree()))
    track(bench, tracking, 2.0)
    bench.wait(lambda: bench.graphs[-1].graph_id > old, "the id was used again")


def test_stamps_that_jump_back_start_over(bench, tracking):
    start(bench, tracking, 100.0)
    track(bench, tracking, 3.0)  # no graph any more
    send(bench, tracking, bench.new, c.graph_to_msg(tree()))
    track(bench, tracking, 3.1)
    bench.wait(lambda: c.to_ns(bench.graphs[-1].stamp_a) == 3_100_000_000, "wedged")


@pytest.mark.parametrize("value", [0, 255])
def test_empty_and_full_masks_never_pass_for_a_good_graph(bench, tracking, value):
    start(bench, tracking)
    message = c.pair_to_msg(pair(stamp_ns=1_100_000_000))
    for mask in (message.mask_a, message.mask_b):
        mask.data = bytes([value]) * len(mask.data)
    send(bench, tracking, bench.pairs, message)
    bench.spin(0.3)
    assert not [g for g in bench.graphs if c.to_ns(g.stamp_a) == 1_100_000_000 and g.status == VesselGraph.STATUS_OK]
    track(bench, tracking, 1.2)
    bench.wait(lambda: c.to_ns(bench.graphs[-1].stamp_a) == 1_200_000_000, "the node does not go on")


def test_torn_graphs_and_pairs_are_counted(bench, tracking):
    torn = c.graph_to_msg(tree())
    torn.branch = [1]
    send(bench, tracking, bench.new, torn)
    assert tracking.diagnostics.dropped["invalid input"] == 1
    message = c.pair_to_msg(pair())
    message.mask_a.encoding = "rgb8"
    send(bench, tracking, bench.pairs, message)
    assert tracking.diagnostics.dropped["invalid input"] == 2
    start(bench, tracking, 2.0)


def ask(bench, **fields):
    return bench.call(GetVesselGraph, "/get_vessel_graph", GetVesselGraph.Request(**fields))


def test_graphs_of_the_past_by_stamp_and_phase(bench, tracking):
    assert "no vessel graph yet" in ask(bench).message
    start(bench, tracking)
    track(bench, tracking, 1.1)
    bench.wait(lambda: len(bench.graphs) >= 2, "no second graph")
    assert c.to_ns(ask(bench, stamp=c.to_time(SECOND + 10)).graph.stamp_a) == SECOND
    assert c.to_ns(ask(bench).graph.stamp_a) == 1_100_000_000  # the newest
    assert "ECG" in ask(bench, by=GetVesselGraph.Request.BY_PHASE, phase=0.3).message
    assert not ask(bench, by=GetVesselGraph.Request.BY_PHASE, phase=1.5).success
    assert not ask(bench, by=9).success


def test_a_graph_of_the_near_future_is_predicted(bench, tracking):
    start(bench, tracking)
    track(bench, tracking, 1.1)
    bench.wait(lambda: len(bench.graphs) >= 2, "no second graph")
    answer = ask(bench, stamp=c.to_time(1_300_000_000))
    assert answer.success
    graph = answer.graph
    assert c.to_ns(graph.header.stamp) == c.to_ns(graph.stamp_b) == 1_300_000_000
    assert graph.status == VesselGraph.STATUS_STALE
    assert "predicted 0.20 s ahead" in graph.status_reason
    assert graph.graph_id == bench.graphs[-1].graph_id
    assert np.median(graph.sigma) > np.median(bench.graphs[-1].sigma)
    assert "up to 0.5 s" in ask(bench, stamp=c.to_time(2 * SECOND)).message


def test_a_covered_plane_is_told_in_the_same_pair(bench, tracking):
    start(bench, tracking)
    message = c.pair_to_msg(pair(stamp_ns=1_100_000_000))
    message.mask_b.data = bytes(len(message.mask_b.data))
    send(bench, tracking, bench.pairs, message)
    bench.wait(lambda: len(bench.graphs) >= 2, "no second graph")
    assert bench.graphs[-1].status == VesselGraph.STATUS_DEGRADED
    assert "plane B" in bench.graphs[-1].status_reason


def test_a_branch_is_added_under_the_same_id_and_the_reference_follows(bench, tracking):
    references = bench.collect(VesselGraph, "/vessel_graph/reference", qos.latched())
    whole = tree()
    keep = whole.branch != whole.branch.max()
    less = whole.with_(
        edges=keep_nodes(len(whole), whole.edges, keep),
        **{k: getattr(whole, k)[keep] for k in ("position", "radius", "branch", "confidence", "sigma", "seen_by")},
    )
    send(bench, tracking, bench.new, c.graph_to_msg(less))
    track(bench, tracking, 1.0)
    send(bench, tracking, bench.new, c.graph_to_msg(whole.with_(stamp_a_ns=SECOND, stamp_b_ns=SECOND)))
    track(bench, tracking, 1.1)
    bench.wait(lambda: len(references) >= 2, "no new reference")
    assert references[0].graph_id == references[-1].graph_id
    assert len(references[-1].x) == len(bench.graphs[-1].x) > len(less) + 5


def test_saving(bench, tracking, tmp_path):
    file = tmp_path / "graph.json"

    def save(path):
        return bench.call(SaveVesselGraph, "/save_vessel_graph", SaveVesselGraph.Request(path=path))

    assert "no vessel graph yet" in save(path=str(file)).message
    start(bench, tracking)
    assert save(path=str(file)).success
    assert len(json.loads(file.read_text())["nodes"]["x"]) == len(tree())
    assert not save(path=str(file / "graph.json")).success  # a file is no folder
    assert not save(path=str(tmp_path / "graph.doc")).success


def test_a_lost_graph_is_told(bench, tracking):
    start(bench, tracking)
    far = tree(shift=(60, 0, 60))
    for k in range(40):
        track(bench, tracking, 1.1 + k / 10, far)
        if bench.graphs[-1].status == GraphStatus.LOST:
            break
    bench.wait(lambda: bench.graphs[-1].status in (GraphStatus.LOST, GraphStatus.DEGRADED), "passes for good")
    assert bench.graphs[-1].status_reason
