"""Node `simulator` alone, over DDS."""

from itertools import pairwise

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from autocar_ros.msg import CArmPose, EcgSamples, VesselGraph
from autocar_ros.ros import conversions as c
from autocar_ros.ros.images import image_from_msg
from autocar_ros.ros.nodes.simulator import SimulatorNode

SECOND = 10**9
SMALL = {"image_size": 64, "frame_rate": 20.0}


def simulate(bench, **parameters):
    for plane in "ab":
        bench.collect(Image, f"/plane_{plane}/image_raw", 50)
        bench.collect(CArmPose, f"/plane_{plane}/carm_pose", 50)
    bench.collect(VesselGraph, "/ground_truth/vessel_graph", 50)
    bench.collect(EcgSamples, "/ecg", 50)
    bench.collect(PoseStamped, "/catheter/tip", 50)
    return bench.start(SimulatorNode, **{**SMALL, **parameters})


def stamps(messages):
    return np.array([c.to_ns(m.header.stamp) for m in messages])


def test_frames_poses_truth_and_ecg_fit_together(bench):
    simulate(bench, catheter_tip=True)
    truth = bench.got["/ground_truth/vessel_graph"]
    bench.wait(lambda: len(truth) >= 10 and len(bench.got["/catheter/tip"]) >= 5, "no truth")
    images, poses = bench.got["/plane_a/image_raw"], bench.got["/plane_a/carm_pose"]
    assert set(stamps(truth)) <= set(stamps(images))
    assert set(stamps(images)) <= set(stamps(poses))
    assert (np.diff(stamps(images)) % 50_000_000 == 0).all()
    np.testing.assert_array_equal(stamps(bench.got["/plane_b/image_raw"])[:5], stamps(images)[:5])
    assert image_from_msg(images[0]).shape == (64, 64)
    assert c.pose_from_msg(poses[0]).rows == 64
    first, last = c.graph_from_msg(truth[0]), c.graph_from_msg(truth[-1])
    assert first.graph_id == last.graph_id
    assert len(first) == len(last)
    assert np.abs(first.position - last.position).max() > 0.01  # mm: the heart beats
    tip = c.world_point(bench.got["/catheter/tip"][0])
    assert min(np.linalg.norm(c.graph_from_msg(m).position[0] - tip) for m in truth) < 1e-3


def test_ecg_pieces_join_without_a_gap(bench):
    simulate(bench)
    bench.wait(lambda: len(bench.got["/ecg"]) >= 8, "no ECG")
    pieces = [c.ecg_from_msg(m) for m in bench.got["/ecg"] if m.samples]
    for (stamp, rate, samples), (following, _, _) in pairwise(pieces):
        assert following - stamp == pytest.approx(len(samples) / rate * 1e9, abs=2)


def test_planes_may_expose_apart(bench):
    simulate(bench, plane_b_delay=0.02)
    truth = bench.got["/ground_truth/vessel_graph"]
    bench.wait(lambda: len(truth) >= 3 and len(bench.got["/plane_b/image_raw"]) >= 3, "no frames")
    np.testing.assert_array_equal(
        stamps(bench.got["/plane_b/image_raw"])[:3] - stamps(bench.got["/plane_a/image_raw"])[:3], 20_000_000
    )
    assert truth[0].skew == pytest.approx(0.02)


def test_a_table_move_changes_the_reported_pose_of_plane_b_in_mid_run(bench):
    node = simulate(bench, plane_b_shift=15.0, table_move=20.0, table_move_time=0.3)
    poses = {p: bench.got[f"/plane_{p}/carm_pose"] for p in "ab"}
    bench.wait(lambda: len({m.isocenter_offset.x for m in poses["b"]}) == 2, "the table does not move")
    true = node._scene.true_pose("b")
    first, last = c.pose_from_msg(poses["b"][0]), c.pose_from_msg(poses["b"][-1])
    assert np.linalg.norm(np.subtract(first.isocenter_offset, true.isocenter_offset)) == pytest.approx(15.0)
    assert np.linalg.norm(np.subtract(last.isocenter_offset, first.isocenter_offset)) == pytest.approx(20.0)
    assert len({m.isocenter_offset.x for m in poses["a"]}) == 1


def test_mono16(bench):
    simulate(bench, encoding="mono16")
    bench.wait(lambda: bench.got["/plane_a/image_raw"], "no frames")
    assert bench.got["/plane_a/image_raw"][0].encoding == "mono16"


def test_under_load_exposures_are_left_out_but_none_is_late(bench):
    node = simulate(bench, frame_rate=120.0, image_size=512)
    images = bench.got["/plane_a/image_raw"]
    bench.wait(lambda: len(images) >= 8, "no frames")
    bench.wait(lambda: bench.value(node, "dropped exposure left out"), "nothing left out")
    assert float(bench.value(node, "frame_rate_hz")) < 120
    assert "lower frame_rate" in bench.messages()["/simulator"]
    behind = bench.probe.get_clock().now().nanoseconds - stamps(images)[-1]
    assert behind < SECOND


def test_the_same_seed_shows_the_same_patient(bench):
    simulate(bench)
    truth = bench.got["/ground_truth/vessel_graph"]
    bench.wait(lambda: truth, "no truth")
    radius = truth[0].radius
    again = bench.start(SimulatorNode, namespace="/again", **SMALL)
    bench.collect(VesselGraph, "/again/ground_truth/vessel_graph")
    bench.wait(lambda: bench.got["/again/ground_truth/vessel_graph"], "no truth")
    assert bench.got["/again/ground_truth/vessel_graph"][0].radius == radius
    assert again.diagnostics.dropped["unexpected error"] == 0


def test_simulated_time_and_a_jump_back(bench):
    simulate(bench, use_sim_time=True)
    clock = bench.sender(Clock, "/clock")
    images = bench.got["/plane_a/image_raw"]
    for start in (50.0, 10.0):
        images.clear()
        seconds = start
        while len(images) < 3:
            assert seconds < start + 30, "no frames"
            clock.publish(Clock(clock=c.to_time(round(seconds * SECOND))))
            bench.executor.spin_once(timeout_sec=0.01)
            seconds += 0.005
        assert start <= stamps(images)[-1] / SECOND <= seconds
