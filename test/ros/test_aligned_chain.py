"""Simulator, segmentation and synchronization together, with a table shift that nobody reports."""

import numpy as np
from sensor_msgs.msg import Image

from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.geometry.consistency import _values, epipolar_fan
from autocar_ros.msg import FramePair
from autocar_ros.ros import conversions as c
from autocar_ros.ros.nodes.segmentation import SegmentationNode
from autocar_ros.ros.nodes.simulator import SimulatorNode
from autocar_ros.ros.nodes.synchronization import SynchronizationNode

PATIENCE = 60.0  # s, for a busy machine


def mismatch(scene, pair, pose_b, points):
    """Median distance in mm by which points miss their epipolar plane under a pose of plane B."""
    fan = epipolar_fan(pair.pose_a, pose_b)
    cameras: list[Camera] = [camera_from_pose(scene.true_pose(p)) for p in "ab"]
    tangents = [
        np.divide(*_values(form, camera.project(points)[0]))
        for form, camera in zip((fan.first, fan.second), cameras, strict=True)
    ]
    return float(np.median(np.abs(tangents[0] - tangents[1]))) * pair.pose_a.source_to_isocenter


def test_a_table_shift_is_found_on_the_way(bench):
    simulator = bench.start(SimulatorNode, contrast="full", frame_rate=4.0, plane_b_shift=15.0, seed=3)
    for plane in "ab":
        bench.start(SegmentationNode, namespace=f"plane_{plane}")
    bench.start(SynchronizationNode)
    bench.collect(Image, "/plane_b/mask")
    pairs = bench.collect(FramePair, "/frame_pair")
    bench.wait(lambda: any(p.key_frame for p in pairs) and pairs[-1].alignment.estimated, "no pair", PATIENCE)
    pair, scene = c.pair_from_msg(pairs[-1]), simulator._scene
    points = scene.truth(0.0).position
    assert mismatch(scene, pair, scene.pose("b"), points) > 4.0
    assert mismatch(scene, pair, pair.pose_b, points) < 2.0
    assert pair.alignment.reason == ""
