"""Node `synchronization` in mode `phase` over DDS: two planes one after the other, no ECG, masks that beat."""

import cv2
import numpy as np
from ros.probe import BEST_EFFORT
from sensor_msgs.msg import Image
from sync.beating import pictures

from autocar_ros.msg import CArmPose, FramePair
from autocar_ros.ros import conversions as c
from autocar_ros.ros.images import image_to_msg
from autocar_ros.ros.nodes.synchronization import SynchronizationNode
from autocar_ros.types import CArmPose as Pose
from autocar_ros.types import PhaseSource

SECOND = 1_000_000_000
BEAT = {"a": 0.80, "b": 0.86}  # s, of a run: the heart is faster in the first one
START = {"a": 0.3, "b": 6.5}  # s, of an R wave in it
TIMES = {"a": np.arange(75) / 15, "b": 6.0 + np.arange(75) / 15}
SIZE = 96  # px, of the pictures
POSES = {
    "a": Pose(0.0, 0.0, 1100.0, 750.0, (1.6, 1.6), SIZE, SIZE),
    "b": Pose(1.2, 0.1, 1100.0, 750.0, (1.6, 1.6), SIZE, SIZE),
}


def test_planes_one_after_the_other_without_ecg_give_pairs_of_one_phase(bench):
    node = bench.start(SynchronizationNode, mode="phase", align="off", pose_timeout=20.0)
    pairs = bench.collect(FramePair, "/frame_pair")
    for plane in "ab":
        pose = bench.sender(CArmPose, f"/plane_{plane}/carm_pose", BEST_EFFORT)
        pose.publish(c.pose_to_msg(POSES[plane], stamp(TIMES[plane][0]), c.optical_frame(plane)))
    bench.wait_matched("/frame_pair")
    bench.wait(lambda: received(node) == 2, "the poses were not received")
    send_runs(bench, node)
    bench.wait(lambda: len(pairs) > 25, "too few pairs")
    found = [c.pair_from_msg(message) for message in pairs]
    assert {pair.phase_source for pair in found} == {PhaseSource.IMAGE}
    skews = [true_phase("b", pair.stamp_b_ns) - true_phase("a", pair.stamp_a_ns) for pair in found]
    away = np.abs((np.array(skews) + 0.5) % 1.0 - 0.5)
    assert (away <= 0.05).mean() >= 0.8
    assert away.max() < 0.15
    assert len({pair.stamp_b_ns for pair in found}) == len(found)


def send_runs(bench, node):
    """Plane A's frames, then those of plane B; each is waited for, as no frame may be lost."""
    for plane in "ab":
        sender = bench.sender(Image, f"/plane_{plane}/mask", BEST_EFFORT)
        for moment, picture in zip(TIMES[plane], pictures(TIMES[plane], BEAT[plane], START[plane]), strict=True):
            before = received(node)
            mask = cv2.convertScaleAbs(picture)
            sender.publish(image_to_msg(mask, stamp(moment), c.optical_frame(plane)))
            bench.wait(lambda n=before: received(node) > n, "a mask was not received")


def received(node):
    return sum(node.diagnostics.received.values())


def stamp(seconds):
    return round(seconds * SECOND)


def true_phase(plane, stamp_ns):
    return (stamp_ns / SECOND - START[plane]) / BEAT[plane] % 1.0
