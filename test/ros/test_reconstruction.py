"""Node `reconstruction` alone, over DDS."""

import numpy as np
import pytest
from ros.probe import BEST_EFFORT
from ros.scenes import pair, tree
from scipy.spatial import KDTree
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from autocar_ros.config import AlignmentConfig, SimulationConfig
from autocar_ros.msg import FramePair, VesselGraph, ViewAlignment
from autocar_ros.ros import conversions as c
from autocar_ros.ros.clouds import unpack_cloud
from autocar_ros.ros.nodes.reconstruction import ReconstructionNode
from autocar_ros.sbp.refiner import MOMENTS
from autocar_ros.sync.alignment import Aligner
from autocar_ros.synthetic.poses import mistaken
from autocar_ros.synthetic.scene import Scene
from autocar_ros.types import FramePair as Pair


@pytest.fixture
def reconstruction(bench):
    node = bench.start(ReconstructionNode)
    graphs = bench.collect(VesselGraph, "/reconstruction/graph")
    bench.collect(PointCloud2, "/reconstruction/points")
    sender = bench.sender(FramePair, "/frame_pair", BEST_EFFORT)
    bench.wait_matched("/reconstruction/graph")
    bench.wait_matched("/reconstruction/points")
    return node, graphs, sender


def received(node, count):
    return lambda: sum(node.diagnostics.received.values()) == count


def test_a_key_frame_gives_graph_and_points_with_its_stamp(bench, reconstruction):
    _, graphs, sender = reconstruction
    sender.publish(c.pair_to_msg(pair(stamp_ns=3_000_000_007)))
    bench.wait(lambda: graphs and bench.got["/reconstruction/points"], "no reconstruction")
    graph = c.graph_from_msg(graphs[0])
    assert graph.stamp_a_ns == 3_000_000_007
    assert np.quantile(KDTree(tree().position).query(graph.position)[0], 0.9) < 3  # mm
    cloud = bench.got["/reconstruction/points"][0]
    assert c.to_ns(cloud.header.stamp) == 3_000_000_007
    points = unpack_cloud(cloud)
    assert np.abs(points["x"]).max() < 0.2  # metres


def test_other_frames_wait_for_a_request(bench, reconstruction):
    node, graphs, sender = reconstruction
    sender.publish(c.pair_to_msg(pair(stamp_ns=10**9, key_frame=False)))
    bench.wait(received(node, 1), "not received")
    assert bench.call(Trigger, "/reconstruction/reconstruct", Trigger.Request()).success
    sender.publish(c.pair_to_msg(pair(stamp_ns=2 * 10**9, key_frame=False)))
    bench.wait(lambda: graphs, "no reconstruction on request")
    assert c.to_ns(graphs[0].header.stamp) == 2 * 10**9


def test_a_request_stays_open_until_a_pair_was_reconstructed(bench, reconstruction):
    node, graphs, sender = reconstruction
    assert bench.call(Trigger, "/reconstruction/reconstruct", Trigger.Request()).success
    empty = c.pair_to_msg(pair(stamp_ns=10**9, key_frame=False))
    empty.mask_a.data = bytes(len(empty.mask_a.data))
    sender.publish(empty)
    bench.wait(lambda: node.diagnostics.dropped["reconstruction"] == 1, "not counted")
    for seconds in (2, 3):
        sender.publish(c.pair_to_msg(pair(stamp_ns=seconds * 10**9, key_frame=False)))
        bench.wait(received(node, seconds), "not received")
    bench.wait(lambda: graphs, "the request was forgotten")
    assert [c.to_ns(g.header.stamp) for g in graphs] == [2 * 10**9]


@pytest.mark.parametrize("value", [0, 255])
def test_empty_and_full_masks_are_dropped_with_the_reason_and_the_node_goes_on(bench, reconstruction, value):
    node, graphs, sender = reconstruction
    message = c.pair_to_msg(pair())
    message.mask_b.data = bytes([value]) * len(message.mask_b.data)
    sender.publish(message)
    bench.wait(lambda: node.diagnostics.dropped["reconstruction"] == 1, "not counted")
    bench.wait(lambda: "B" in bench.messages().get("/reconstruction", ""), "the plane is not named")
    sender.publish(c.pair_to_msg(pair(stamp_ns=2 * 10**9)))
    bench.wait(lambda: graphs, "the node does not go on")


def test_a_torn_pair_is_dropped(bench, reconstruction):
    node, _, sender = reconstruction
    message = c.pair_to_msg(pair())
    message.pose_a.source_to_detector = float("nan")
    sender.publish(message)
    bench.wait(lambda: node.diagnostics.dropped["pose"] == 1, "not counted")
    bench.wait(lambda: "source_to_detector" in bench.messages().get("/reconstruction", ""), "field not named")


def test_the_pose_of_plane_b_is_refined_where_somebody_listens(bench, reconstruction):
    _, graphs, sender = reconstruction
    refined = bench.collect(ViewAlignment, "/plane_b/alignment_refined")
    bench.wait_matched("/plane_b/alignment_refined")
    bench.spin(0.5)  # until the node knows, too
    scene = Scene(SimulationConfig(seed=7, contrast="full", background=False, catheter=False, image_size=256))
    aligner = Aligner(AlignmentConfig(align="full"))
    believed = mistaken(np.random.default_rng(9), scene.true_pose("b"), 3.0, 20.0)
    for k in range(MOMENTS):
        masks, stamp = [scene.mask(plane, 0.83 * k) for plane in "ab"], round((1 + 0.83 * k) * 1e9)
        given = aligner.correct(Pair(stamp, stamp, *masks, scene.true_pose("a"), believed, key_frame=True))
        sender.publish(c.pair_to_msg(given))
        bench.wait(lambda n=k + 1: len(graphs) == n, "no reconstruction", 60.0)
    bench.wait(lambda: refined, "not refined", 60.0)
    found = c.alignment_from_msg(refined[0])
    assert aligner.adopt(found)
    assert found.primary != given.alignment.primary
