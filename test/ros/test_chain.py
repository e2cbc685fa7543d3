"""The whole chain as processes over DDS: simulator to graph and path, recorded, then replayed in a loop."""

import numpy as np
import pytest
from geometry_msgs.msg import PointStamped
from nav_msgs.msg import Path
from ros.probe import Bench
from scipy.spatial import KDTree
from sensor_msgs.msg import Image

from autocar_ros.msg import VesselGraph
from autocar_ros.ros import conversions as c
from autocar_ros.ros.bag import BagReader, BagWriter, Recorder
from autocar_ros.ros.chain import processing_nodes
from autocar_ros.ros.processes import NodeProcesses, NodeSpec
from autocar_ros.types import GraphStatus

OUTPUTS = ("/vessel_graph", "/catheter/path")
PATIENCE = 60.0  # s, for a busy machine
SIMULATOR = NodeSpec("simulator", parameters={"contrast": "full", "frame_rate": 4.0})


@pytest.fixture(scope="module")
def session(middleware, tmp_path_factory):
    """Bag of some seconds of the running chain, with a goal clicked on the true tree."""
    folder = tmp_path_factory.mktemp("session")
    with NodeProcesses([SIMULATOR, *processing_nodes()], folder / "logs") as nodes, Bench() as bench:
        nodes.wait_active(PATIENCE)
        with BagWriter(folder / "bag") as writer:
            recorder = Recorder(bench.probe, writer, lambda t: t not in ("/rosout", "/parameter_events"))
            truth = bench.collect(VesselGraph, "/ground_truth/vessel_graph")
            graphs = bench.collect(VesselGraph, "/vessel_graph")
            paths = bench.collect(Path, "/catheter/path")
            bench.wait(lambda: truth and graphs, "no graph", PATIENCE)
            click = bench.sender(PointStamped, "/clicked_point")
            goal = PointStamped(header=truth[-1].header, point=c.point_to_msg(far_end(graphs[-1])))
            click.publish(goal)
            bench.wait(lambda: len(graphs) >= 12 and any(p.poses for p in paths), "no path", PATIENCE)
            recorder.close()
        nodes.check()
        assert set(nodes.stop().values()) == {0}
    with BagReader(folder / "bag") as reader:
        return folder / "bag", [(m.topic, m.stamp_ns, m.decode()) for m in reader.messages()]


def far_end(message):
    position = c.graph_from_msg(message).position
    return position[np.linalg.norm(position - position[0], axis=1).argmax()]


def of(session, topic):
    return [m for t, _, m in session[1] if t == topic]


def stamps(messages):
    return [c.to_ns(m.header.stamp) for m in messages]


def test_every_topic_of_the_interfaces_flows(session):
    topics = {t for t, _, _ in session[1]}
    per_plane = ("image_raw", "carm_pose", "mask", "overlay", "camera_info")
    assert {f"/plane_{p}/{n}" for p in "ab" for n in per_plane} <= topics
    assert {
        "/ecg", "/frame_pair", "/reconstruction/graph", "/reconstruction/points", "/vessel_graph", "/tf",
        "/vessel_graph/reference", "/vessel_graph/markers", "/vessel_graph/points", "/catheter/path_suggestions",
        "/catheter/path", "/diagnostics", "/ground_truth/vessel_graph",
    } <= topics  # fmt: skip


def test_nothing_is_stamped_anew(session):
    told = ("/ground_truth/vessel_graph", "/plane_a/image_raw", "/plane_b/image_raw")  # a busy recorder may miss one
    exposures = {s for topic in told for s in stamps(of(session, topic))}
    for topic in ("/plane_a/mask", "/frame_pair", "/reconstruction/graph", "/vessel_graph", "/catheter/path"):
        since = {s for s in stamps(of(session, topic)) if s >= min(exposures)}  # not exposed before the recording began
        assert since, topic
        assert since <= exposures, topic


def test_the_graph_lies_on_the_true_tree(session):
    truth = {g.stamp_a_ns: g for g in map(c.graph_from_msg, of(session, "/ground_truth/vessel_graph"))}
    graphs = [g for g in map(c.graph_from_msg, of(session, "/vessel_graph")) if g.stamp_a_ns in truth]
    graph = [g for g in graphs if g.status == GraphStatus.OK][-1]
    distance = KDTree(truth[graph.stamp_a_ns].position).query(graph.position)[0]
    assert np.median(distance) < 3  # mm; how good it is belongs to the evaluation


def test_graphs_count_up_and_keep_their_identity(session):
    graphs = of(session, "/vessel_graph")
    assert (np.diff([g.sequence for g in graphs]) == 1).all()
    sizes = {}
    for graph in graphs:
        assert sizes.get(graph.graph_id, 0) <= len(graph.x)  # nodes are added at the end, never taken away
        sizes[graph.graph_id] = len(graph.x)


def test_the_path_leads_to_the_goal(session):
    path = [m for m in of(session, "/catheter/path") if m.poses][-1]
    assert len(path.poses) > 10
    assert path.header.frame_id == "carm_isocenter"


def test_diagnostics_tell_latency_and_counts(session):
    newest = {s.name: {v.key: v.value for v in s.values} for m in of(session, "/diagnostics") for s in m.status}
    assert float(newest["/tracking"]["latency_median_ms"]) > 0
    assert int(newest["/plane_a/segmentation"]["received /plane_a/image_raw"]) > 0


def test_a_replayed_and_looped_session_gives_graphs_in_every_loop(session, tmp_path):
    player = NodeSpec("bag_player", parameters={"bag": str(session[0]), "topics": "inputs", "loop": True, "delay": 3.0})
    nodes = [s for s in processing_nodes(use_sim_time=True) if s.executable not in ("navigation", "visualization")]
    recorded = set(stamps(of(session, "/plane_a/image_raw")))
    with NodeProcesses([*nodes, player], tmp_path) as processes, Bench() as bench:
        graphs = bench.collect(VesselGraph, "/vessel_graph")
        bench.collect(Image, "/plane_a/mask")
        processes.wait_active(PATIENCE)

        def loops():
            return int((np.diff(stamps(graphs)) < 0).sum())

        bench.wait(lambda: loops() >= 2, "the chain does not live through two loops", PATIENCE)
        processes.check()
        assert set(stamps(graphs)) <= recorded
        ids = [g.graph_id for g in graphs]
        assert (np.diff(ids) >= 0).all()
        assert len(set(ids)) >= 3  # a new graph after each jump
