"""Node `synchronization` alone, over DDS."""

from dataclasses import replace

import numpy as np
import pytest
from rclpy.parameter import Parameter
from ros.probe import BEST_EFFORT
from ros.scenes import POSE_A, POSE_B, SIZE, mask, tree
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from autocar_ros.geometry.carm import mm_per_pixel, shift_image
from autocar_ros.geometry.consistency import epipolar_fan
from autocar_ros.msg import CArmPose, EcgSamples, FramePair, ViewAlignment
from autocar_ros.ros import conversions as c
from autocar_ros.ros import qos
from autocar_ros.ros.images import image_to_msg
from autocar_ros.ros.nodes.synchronization import SynchronizationNode
from autocar_ros.types import ViewAlignment as AlignmentResult

POSES = {"a": POSE_A, "b": POSE_B}


class Planes:
    """Sends masks and poses of both planes and knows what came out."""

    def __init__(self, bench, with_poses=True, **parameters):
        self.bench = bench
        self.node = bench.start(SynchronizationNode, **parameters)
        self.pairs = bench.collect(FramePair, "/frame_pair")
        self.masks = {p: bench.sender(Image, f"/plane_{p}/mask", BEST_EFFORT) for p in "ab"}
        self.poses = (
            {p: bench.sender(CArmPose, f"/plane_{p}/carm_pose", BEST_EFFORT) for p in "ab"} if with_poses else {}
        )
        bench.wait_matched("/frame_pair")

    def send_pose(self, plane, seconds, pose=None, message=None):
        stamp = round(seconds * 1e9)
        message = message or c.pose_to_msg(pose or POSES[plane], stamp, c.optical_frame(plane))
        self._send(self.poses[plane], message)

    def send_mask(self, plane, seconds, picture=None):
        picture = mask(tree(), POSES[plane]) if picture is None else picture
        self._send(self.masks[plane], image_to_msg(picture, round(seconds * 1e9), c.optical_frame(plane)))

    def send_both(self, seconds):
        for plane in "ab":
            self.send_pose(plane, seconds)
            self.send_mask(plane, seconds)

    def _send(self, sender, message):
        before = self._received()
        sender.publish(message)
        self.bench.wait(lambda: self._received() > before, f"{sender.topic_name} was not received")

    def _received(self):
        return sum(self.node.diagnostics.received.values())

    def expect_pairs(self, count):
        self.bench.wait(lambda: len(self.pairs) >= count, f"{len(self.pairs)} pairs instead of {count}")
        assert len(self.pairs) == count

    def expect_message(self, text):
        name = self.node.get_fully_qualified_name()
        self.bench.wait(lambda: text in self.bench.messages().get(name, ""), f"no {text!r} in the diagnostics")


@pytest.fixture
def planes(bench):
    return Planes(bench)


def test_masks_and_poses_give_a_pair_with_the_exposure_stamps(planes):
    planes.send_pose("a", 1.0)
    planes.send_pose("b", 1.0)
    planes.send_mask("a", 1.0)
    planes.send_mask("b", 1.01)
    planes.expect_pairs(1)
    pair = c.pair_from_msg(planes.pairs[0])
    assert (pair.stamp_a_ns, pair.stamp_b_ns) == (1_000_000_000, 1_010_000_000)
    assert pair.pose_b.primary_angle == pytest.approx(POSE_B.primary_angle)
    np.testing.assert_array_equal(pair.mask_a, mask(tree(), POSE_A))


def test_what_vessels_absorb_goes_with_key_frames(planes):
    """Told before the mask of its stamp; of another stamp, or of another encoding, it is left out."""
    senders = {p: planes.bench.sender(Image, f"/plane_{p}/absorption", BEST_EFFORT) for p in "ab"}
    planes.bench.wait(lambda: all(s.get_subscription_count() for s in senders.values()), "no one listens")
    told = {p: mask(tree(), POSES[p]) // 3 for p in "ab"}
    for k in range(12):
        seconds = 1.0 + k / 15
        for p in "ab":
            planes.send_pose(p, seconds)
            late = 0.001 if p == "b" else 0.0
            planes._send(senders[p], image_to_msg(told[p], round((seconds + late) * 1e9), c.optical_frame(p)))
            planes.send_mask(p, seconds)
    planes.expect_pairs(12)
    keys = [c.pair_from_msg(m) for m in planes.pairs if m.key_frame]
    assert keys
    for pair in keys:
        np.testing.assert_array_equal(pair.absorption_a, told["a"])
        assert pair.absorption_b is None
    assert not any(m.absorption_a.height for m in planes.pairs if not m.key_frame)
    wrong = image_to_msg(told["a"], 3 * 10**9, "")
    wrong.encoding = "bgr8"
    planes._send(senders["a"], wrong)
    planes.send_both(3.0)
    planes.expect_pairs(13)
    assert planes.node.diagnostics.dropped["invalid input"] == 1


def test_camera_info_and_tf_are_accepted_instead_of_poses(bench):
    planes = Planes(bench, with_poses=False)
    transforms = bench.sender(TFMessage, "/tf")
    infos = {p: bench.sender(CameraInfo, f"/plane_{p}/camera_info") for p in "ab"}
    stamp = 10**9
    infos["a"].publish(c.camera_info(POSE_A, stamp, "plane_a_optical_frame"))
    planes.expect_message("needs a transform carm_isocenter")
    frames = [c.camera_transform(POSES[p], stamp, c.optical_frame(p)) for p in "ab"]
    planes._send(transforms, TFMessage(transforms=frames))
    for p in "ab":
        planes._send(infos[p], c.camera_info(POSES[p], stamp, c.optical_frame(p)))
        planes.send_mask(p, 1.0)
    planes.expect_pairs(1)
    found = c.pair_from_msg(planes.pairs[0])
    points = tree().position
    for pose, expected in ((found.pose_a, POSE_A), (found.pose_b, POSE_B)):
        from autocar_ros.geometry.carm import camera_from_pose

        np.testing.assert_allclose(
            camera_from_pose(pose).project(points)[0], camera_from_pose(expected).project(points)[0], atol=1e-6
        )


def test_static_transforms_are_kept_when_a_parameter_changes(bench):
    """Every broadcaster latches its own message before the node starts, and sends it once."""
    for p in "ab":
        frame = c.camera_transform(POSES[p], 10**9, c.optical_frame(p))
        bench.probe.create_publisher(TFMessage, "/tf_static", qos.latched()).publish(TFMessage(transforms=[frame]))
    planes = Planes(bench, with_poses=False)
    bench.wait(lambda: len(planes.node._transforms) == 2, "static transforms lost")
    assert planes.node.set_parameters([Parameter("max_pair_skew", value=0.05)])[0].successful
    infos = {p: bench.sender(CameraInfo, f"/plane_{p}/camera_info") for p in "ab"}
    for p in "ab":
        planes._send(infos[p], c.camera_info(POSES[p], 10**9, c.optical_frame(p)))
        planes.send_mask(p, 1.0)
    planes.expect_pairs(1)


def test_own_camera_info_does_not_replace_a_pose(planes, bench):
    planes.send_pose("a", 1.0)
    info = bench.sender(CameraInfo, "/plane_a/camera_info")
    planes._send(info, c.camera_info(replace(POSE_A, primary_angle=0.0), 1_001_000_000, "anything"))
    assert not planes.node.diagnostics.dropped


def test_a_missing_pose_is_reported_and_frames_flow_once_it_is_there(planes):
    planes.send_pose("a", 1.0)
    for k in range(8):
        for plane in "ab":
            planes.send_mask(plane, 1.0 + k / 10)
    planes.expect_message("plane B has no pose")
    assert not planes.pairs
    planes.send_pose("b", 1.8)
    planes.send_both(1.8)
    planes.expect_pairs(1)


def test_a_pose_with_nan_is_refused_and_the_node_goes_on(planes):
    bad = c.pose_to_msg(POSE_A, 10**9, "")
    bad.primary_angle = float("nan")
    planes.send_pose("a", 1.0, message=bad)
    planes.expect_message("primary_angle is not finite")
    assert planes.node.diagnostics.dropped["pose"] == 1
    planes.send_both(1.1)
    planes.expect_pairs(1)


def test_an_old_pose_is_refused_after_pose_timeout(planes):
    planes.send_both(1.0)
    planes.expect_pairs(1)
    planes.send_pose("a", 5.0)
    for k in range(8):
        for plane in "ab":
            planes.send_mask(plane, 5.0 + k / 10)
    planes.expect_message("the pose of plane B is older than pose_timeout")
    assert len(planes.pairs) == 1


def test_a_mask_of_another_size_is_refused(planes):
    planes.send_pose("a", 1.0)
    planes.send_pose("b", 1.0)
    for k in range(8):
        planes.send_mask("a", 1.0 + k / 10, np.zeros((64, 64), np.uint8))
        planes.send_mask("b", 1.0 + k / 10)
    planes.expect_message("another size than its pose")
    planes.send_both(2.0)
    planes.expect_pairs(1)


def test_one_living_plane_alone_is_reported(planes):
    for k in range(15):
        planes.send_pose("a", 1 + k / 10)
        planes.send_mask("a", 1 + k / 10)
    planes.expect_message("plane B sends no frames while plane A does")
    planes.send_both(2.5)
    planes.expect_pairs(1)


def test_reports_do_not_wait_for_simulated_time(bench):
    planes = Planes(bench, use_sim_time=True)
    for k in range(15):
        planes.send_mask("a", 1 + k / 10)
    planes.expect_message("plane B sends no frames")


def test_out_of_order_and_repeated_frames_give_no_second_pair(planes):
    for t in (1.0, 1.2, 1.1, 1.2):
        planes.send_both(t)
    planes.send_both(1.3)
    planes.expect_pairs(3)
    assert [round(c.to_ns(m.header.stamp) / 1e8) for m in planes.pairs] == [10, 12, 13]


def test_dropped_frames_are_told_with_a_remedy(planes):
    for t in (1.0, 1.0):
        planes.send_both(t)
    planes.expect_message("plane A repeated a stamp: stamp each frame with its own exposure")


def test_stamps_that_jump_back_start_over(planes):
    for t in (100.0, 100.1, 3.0, 3.1):
        planes.send_both(t)
    planes.expect_pairs(4)


def test_ecg_gives_phases(planes, bench):
    ecg = bench.sender(EcgSamples, "/ecg", BEST_EFFORT)
    rate, seconds = 250.0, 5.0
    t = np.arange(0, seconds, 1 / rate)
    samples = np.exp(-(((t % 0.8) - 0.4) ** 2) / (2 * 0.012**2))  # R waves at 0.4, 1.2, 2.0 ... s
    for first in range(0, len(t), 25):
        planes._send(ecg, c.ecg_to_msg(samples[first : first + 25], rate, 10**9 + round(first / rate * 1e9)))
    planes.send_both(1 + 3.0)  # R waves at 2.8 and 3.6 s
    planes.expect_pairs(1)
    assert planes.pairs[0].phase_source == FramePair.PHASE_SOURCE_ECG
    assert planes.pairs[0].phase_a == pytest.approx(0.25, abs=0.03)


def test_bad_ecg_is_counted(planes, bench):
    ecg = bench.sender(EcgSamples, "/ecg", BEST_EFFORT)
    planes._send(ecg, EcgSamples())
    planes.expect_message("sampling_rate")
    planes.send_both(1.0)
    planes.expect_pairs(1)
    assert np.isnan(planes.pairs[0].phase_a)


def aligned(planes, bench, **poses):
    """Pairs of three seconds with the poses given for both planes."""
    corrected = bench.collect(CArmPose, "/plane_b/carm_pose_corrected")
    bench.wait_matched("/plane_b/carm_pose_corrected")
    for k in range(8):
        for plane in "ab":
            planes.send_pose(plane, 1 + k / 4, poses.get(plane))
            planes.send_mask(plane, 1 + k / 4)
    planes.expect_pairs(8)
    bench.wait(lambda: len(corrected) >= 8, "no corrected pose")
    return [c.pair_from_msg(m) for m in planes.pairs], [c.pose_from_msg(m) for m in corrected]


def test_the_pose_of_plane_b_is_corrected(planes, bench):
    fan = epipolar_fan(POSE_A, POSE_B)
    off = 15.0 * fan.across  # px, of 15 mm of table shift
    pairs, corrected = aligned(planes, bench, b=shift_image(POSE_B, *-off))
    for pair, pose in zip(pairs, corrected, strict=True):
        left = (np.array(pair.pose_b.center) - POSE_B.center) @ fan.across * mm_per_pixel(POSE_B) ** 2
        assert abs(left) < 1.5  # mm
        assert pose == pair.pose_b
        assert pair.alignment.residual_after < 0.2 < pair.alignment.residual_before
        assert pair.pose_a == c.pose_from_msg(c.pose_to_msg(POSE_A, 0, ""))
    bench.wait(lambda: bench.value(planes.node, "plane_b_shift_px"), "the diagnostics do not tell the shift")


def test_align_off_leaves_poses_alone(bench):
    wrong = shift_image(POSE_B, 20, 10)
    pairs, corrected = aligned(Planes(bench, align="off"), bench, b=wrong)
    assert {pair.alignment for pair in pairs} == {None}
    assert all(pose.center == pytest.approx(wrong.center) for pose in corrected)


def test_views_that_do_not_fit_are_told(planes, bench):
    other = (np.random.default_rng(0).random((SIZE, SIZE)) < 0.05).astype(np.uint8) * 255
    for k in range(4):
        planes.send_pose("a", 1 + k / 4)
        planes.send_pose("b", 1 + k / 4)
        planes.send_mask("a", 1 + k / 4)
        planes.send_mask("b", 1 + k / 4, other)
    planes.expect_pairs(4)
    assert all(pair.alignment.reason for pair in planes.pairs)
    planes.expect_message("plane B: ")


def test_a_refined_correction_is_adopted_and_a_stale_one_is_not(bench):
    planes = Planes(bench, align="full")
    refined = bench.sender(ViewAlignment, "/plane_b/alignment_refined")
    planes.send_both(1.0)
    planes.send_both(2.0)
    planes.expect_pairs(2)
    stale, fitting = (AlignmentResult(shift=shift, primary=0.002) for shift in ((90.0, -70.0), (0.2, 0.1)))
    for k, found in enumerate((stale, fitting)):
        planes._send(refined, c.alignment_to_msg(found))
        planes.send_both(2.1 + k / 10)
        planes.expect_pairs(3 + k)
    before, after = (c.pair_from_msg(m) for m in planes.pairs[2:])
    assert before.alignment.primary != pytest.approx(0.002, abs=1e-6)
    assert after.alignment.primary == pytest.approx(0.002, abs=1e-6)
    assert after.alignment.shift == pytest.approx((0.2, 0.1), abs=1e-6)
    bench.wait(lambda: bench.value(planes.node, "plane_b_refinements") == "1", "the diagnostics do not tell it")


def test_refined_corrections_are_asked_for_with_full_alignment_only(planes, bench):
    sender = bench.probe.create_publisher(ViewAlignment, "/plane_b/alignment_refined", 10)
    bench.spin(0.5)
    assert sender.get_subscription_count() == 0
    assert planes.node.set_parameters([Parameter("align", value="full")])[0].successful
    bench.wait(lambda: sender.get_subscription_count() == 1, "does not listen")
