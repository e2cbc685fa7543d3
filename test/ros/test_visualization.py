"""Node `visualization` alone, over DDS, and its markers."""

import pytest
from ros.probe import BEST_EFFORT
from ros.scenes import POSE_A, POSE_B, image, pair, tree
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from autocar_ros.geometry.carm import shift_image
from autocar_ros.msg import CArmPose, FramePair, VesselGraph
from autocar_ros.ros import conversions as c
from autocar_ros.ros.clouds import unpack_cloud
from autocar_ros.ros.images import image_to_msg
from autocar_ros.ros.markers import deletions, graph_markers, stenosis_markers
from autocar_ros.ros.nodes.visualization import VisualizationNode
from autocar_ros.types import GraphStatus
from autocar_ros.vessels.stenosis import Stenosis


def test_one_marker_per_branch_with_all_its_edges():
    markers = graph_markers(tree(), 0.8)
    assert set(markers) == {("LM", 0), ("LAD", 1), ("LCx", 2)}
    assert [len(m.points) for m in markers.values()] == [2 * 30, 2 * 35, 2 * 35]
    assert markers["LM", 0].points[0].z == pytest.approx(0.025)  # metres
    assert markers["LM", 0].scale.x == pytest.approx(0.0008)
    assert all(m.type == Marker.LINE_LIST and m.color.a == 1 for m in markers.values())


def test_markers_of_a_graph_that_is_not_confirmed_are_faint():
    markers = graph_markers(tree().with_(status=GraphStatus.STALE), 0.8)
    assert all(m.color.a < 0.5 for m in markers.values())


def test_a_stenosis_is_labelled_beside_its_node():
    ((key, label),) = stenosis_markers([Stenosis(30, 0, 0.654, 1.0, 2.9, 8.0, 0.9)], tree()).items()
    assert key == ("stenosis", 30)
    assert label.type == Marker.TEXT_VIEW_FACING
    assert label.text == "65%"
    assert abs(label.pose.position.x) < 0.01  # node 30 is the bifurcation, at the origin


def test_deletions_name_the_marker():
    (gone,) = deletions([("LAD", 1)], 5)
    assert (gone.ns, gone.id, gone.action) == ("LAD", 1, Marker.DELETE)


@pytest.fixture
def shown(bench):
    node = bench.start(VisualizationNode, rate=60.0)
    for kind, topic in (
        (MarkerArray, "/vessel_graph/markers"),
        (PointCloud2, "/vessel_graph/points"),
        (Image, "/plane_a/overlay"),
        (Image, "/plane_b/overlay"),
        (CameraInfo, "/plane_a/camera_info"),
        (TFMessage, "/tf"),
    ):
        bench.collect(kind, topic)
        bench.wait_matched(topic)
    bench.graphs = bench.sender(VesselGraph, "/vessel_graph", BEST_EFFORT)
    return node


def send(bench, node, sender, message):
    before = sum(node.diagnostics.received.values())
    sender.publish(message)
    bench.wait(lambda: sum(node.diagnostics.received.values()) > before, f"{sender.topic_name} not received")


def test_graph_to_markers_points_and_overlays_of_its_own_frames(bench, shown):
    images = {p: bench.sender(Image, f"/plane_{p}/image_raw", BEST_EFFORT) for p in "ab"}
    pairs = bench.sender(FramePair, "/frame_pair", BEST_EFFORT)
    for stamp in (10**9, 2 * 10**9):
        for p, pose in (("a", POSE_A), ("b", POSE_B)):
            send(bench, shown, images[p], image_to_msg(image(tree(), pose), stamp, c.optical_frame(p)))
        send(bench, shown, pairs, c.pair_to_msg(pair(stamp_ns=stamp)))
    send(bench, shown, bench.graphs, c.graph_to_msg(tree()))
    bench.wait(lambda: bench.got["/plane_a/overlay"] and bench.got["/plane_b/overlay"], "no overlays")
    drawn = bench.got["/plane_a/overlay"][0]
    assert (c.to_ns(drawn.header.stamp), drawn.encoding) == (10**9, "rgb8")
    bench.wait(lambda: bench.got["/vessel_graph/points"] and bench.got["/vessel_graph/markers"], "no points")
    assert len(unpack_cloud(bench.got["/vessel_graph/points"][0])) == len(tree())


def test_graphs_of_mode_phase_whose_plane_a_runs_back_are_shown(bench, shown):
    for a, b in ((9, 10), (7, 11)):
        graph = tree().with_(stamp_a_ns=a * 10**9, stamp_b_ns=b * 10**9)
        send(bench, shown, bench.graphs, c.graph_to_msg(graph))
        bench.spin(0.05)  # beyond the rate limit
    bench.wait(lambda: len(bench.got["/vessel_graph/markers"]) == 2, "not shown")
    assert set(shown._newest.values()) == {11 * 10**9}


def test_markers_of_branches_that_are_gone_are_deleted(bench, shown):
    send(bench, shown, bench.graphs, c.graph_to_msg(tree()))
    bench.wait(lambda: len(bench.got["/vessel_graph/markers"]) == 1, "no markers")
    bench.spin(0.05)  # beyond the rate limit
    renamed = tree().with_(branch_label=("LM", "LAD", "LCX"), stamp_a_ns=2 * 10**9)
    send(bench, shown, bench.graphs, c.graph_to_msg(renamed))
    bench.wait(lambda: len(bench.got["/vessel_graph/markers"]) == 2, "no second markers")
    actions = {(m.ns, m.action) for m in bench.got["/vessel_graph/markers"][1].markers}
    assert actions == {("LM", Marker.ADD), ("LAD", Marker.ADD), ("LCX", Marker.ADD), ("LCx", Marker.DELETE)}


def test_poses_give_camera_info_and_tf(bench, shown):
    poses = bench.sender(CArmPose, "/plane_a/carm_pose", BEST_EFFORT)
    send(bench, shown, poses, c.pose_to_msg(POSE_A, 5, "whatever"))
    bench.wait(lambda: bench.got["/plane_a/camera_info"] and bench.got["/tf"], "no camera_info or tf")
    (transform,) = bench.got["/tf"][0].transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ("carm_isocenter", "plane_a_optical_frame")
    back = c.pose_from_camera_info(bench.got["/plane_a/camera_info"][0], transform.transform)
    assert back.primary_angle == pytest.approx(POSE_A.primary_angle)


def test_the_corrected_plane_has_its_own_frame(bench, shown):
    infos = bench.collect(CameraInfo, "/plane_b/camera_info_corrected")
    bench.wait_matched("/plane_b/camera_info_corrected")
    poses = bench.sender(CArmPose, "/plane_b/carm_pose_corrected", BEST_EFFORT)
    send(bench, shown, poses, c.pose_to_msg(shift_image(POSE_B, 20, -10), 5, "whatever"))
    bench.wait(lambda: infos and bench.got["/tf"], "no camera_info or tf")
    assert bench.got["/tf"][0].transforms[0].child_frame_id == "plane_b_corrected_optical_frame"
    assert infos[0].k[2] == pytest.approx(POSE_B.center[0] + 20)


def test_bad_pose_and_torn_graph_are_counted(bench, shown):
    poses = bench.sender(CArmPose, "/plane_a/carm_pose", BEST_EFFORT)
    send(bench, shown, poses, CArmPose())
    torn = c.graph_to_msg(tree())
    torn.sigma = [0.1]
    send(bench, shown, bench.graphs, torn)
    assert shown.diagnostics.dropped == {"pose": 1, "invalid input": 1}
    bench.spin(0.05)
    send(bench, shown, bench.graphs, c.graph_to_msg(tree().with_(stamp_a_ns=2 * 10**9)))
    bench.wait(lambda: bench.got["/vessel_graph/markers"], "the node does not go on")
