"""Node `dicom_player` alone, over DDS, on small written runs."""

import numpy as np
import pytest
from imaging.dicom_files import add_curve, frames, write_run
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from autocar_ros.msg import CArmPose, EcgSamples
from autocar_ros.ros import conversions as c
from autocar_ros.ros.images import image_from_msg
from autocar_ros.ros.nodes.dicom_player import DicomPlayerNode, pass_length

SECOND = 10**9


@pytest.fixture
def runs(tmp_path):
    """Two runs of 4 frames at 50 Hz, the first with an ECG."""
    paths = {p: tmp_path / f"{p}.dcm" for p in "ab"}
    for path in paths.values():
        write_run(path, frames(4), FrameTime="20")
    add_curve(paths["a"], np.arange(80, dtype=np.uint16), units="DPPS", step=1)
    return {f"run_{p}": str(path) for p, path in paths.items()}


def play(bench, runs, **parameters):
    for plane in "ab":
        bench.collect(Image, f"/plane_{plane}/image_raw", 50)
        bench.collect(CArmPose, f"/plane_{plane}/carm_pose", 50)
    bench.collect(EcgSamples, "/ecg", 50)
    return bench.start(DicomPlayerNode, **runs, **parameters)


def stamps(messages):
    return np.array([c.to_ns(m.header.stamp) for m in messages])


def test_both_runs_play_with_poses_at_their_frame_rate(bench, runs):
    play(bench, runs, loop=False)
    images = {p: bench.got[f"/plane_{p}/image_raw"] for p in "ab"}
    bench.wait(lambda: len(images["a"]) == len(images["b"]) == 4, "frames missing")
    for plane in "ab":
        np.testing.assert_array_equal(np.diff(stamps(images[plane])), 20_000_000)
        for message, expected in zip(images[plane], frames(4), strict=True):
            np.testing.assert_array_equal(image_from_msg(message), expected)
        poses = bench.got[f"/plane_{plane}/carm_pose"]
        bench.wait(lambda poses=poses: len(poses) == 4, "poses missing")
        np.testing.assert_array_equal(stamps(poses), stamps(images[plane]))
        assert c.pose_from_msg(poses[0]).rows == 24
    np.testing.assert_array_equal(stamps(images["a"]), stamps(images["b"]))
    now = bench.probe.get_clock().now().nanoseconds
    assert 0 <= now - stamps(images["a"])[-1] < 5 * SECOND  # the machine's time, not the recording's


def test_loops_go_on_with_increasing_stamps_at_the_given_rate(bench, runs):
    play(bench, runs, rate=2.0)
    images = bench.got["/plane_a/image_raw"]
    bench.wait(lambda: len(images) >= 12, "does not loop")
    np.testing.assert_array_equal(np.diff(stamps(images)), 10_000_000)


def test_the_ecg_plays_in_step(bench, runs):
    play(bench, runs, loop=False)
    bench.wait(lambda: bench.got["/ecg"] and len(bench.got["/plane_a/image_raw"]) == 4, "no ECG")
    stamp, rate, samples = c.ecg_from_msg(bench.got["/ecg"][0])
    assert stamp == stamps(bench.got["/plane_a/image_raw"])[0]
    assert rate > 0
    assert len(samples)


def test_the_ecg_of_plane_b_plays_where_a_has_none(bench, runs):
    play(bench, {"run_a": runs["run_b"], "run_b": runs["run_a"]}, loop=False)
    bench.wait(lambda: bench.got["/ecg"], "no ECG")


def test_runs_of_one_arm_play_in_turn(bench, runs):
    play(bench, runs, order="in turn", loop=False)
    images = {p: bench.got[f"/plane_{p}/image_raw"] for p in "ab"}
    bench.wait(lambda: len(images["a"]) == len(images["b"]) == 4, "frames missing")
    assert stamps(images["b"])[0] == stamps(images["a"])[-1] + 20_000_000


def test_simulated_time_paces_it_and_a_jump_back_starts_again(bench, runs):
    play(bench, runs, loop=False, use_sim_time=True)
    clock = bench.sender(Clock, "/clock")
    images = bench.got["/plane_a/image_raw"]
    for start in (50.0, 10.0):
        images.clear()
        seconds = start
        while len(images) < 4:
            assert seconds < start + 30, "frames missing"
            clock.publish(Clock(clock=c.to_time(round(seconds * SECOND))))
            bench.executor.spin_once(timeout_sec=0.01)
            seconds += 0.01
        assert start <= stamps(images)[0] / SECOND < start + 2
        np.testing.assert_array_equal(np.diff(stamps(images)), 20_000_000)


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"run_b": ""}, "run_a and run_b"), ({"run_b": "/no/such/file.dcm"}, "/no/such/file.dcm")],
)
def test_unreadable_runs_leave_the_node_unconfigured_and_say_why(bench, runs, change, reason):
    node = play(bench, {**runs, **change})
    bench.wait(lambda: reason in bench.messages().get("/dicom_player", ""), "no reason given")
    assert bench.state(node) == "unconfigured"


def test_missing_spacing_names_the_tag_and_can_be_given(bench, tmp_path):
    path = tmp_path / "run.dcm"
    write_run(path, frames(2), ImagerPixelSpacing=None, FrameTime="20")
    runs = {"run_a": str(path), "run_b": str(path)}
    play(bench, runs)
    bench.wait(lambda: "0018,1164" in bench.messages().get("/dicom_player", ""), "the tag is not named")
    play(bench, runs, pixel_spacing=0.4)
    bench.wait(lambda: bench.got["/plane_a/carm_pose"], "no pose with given spacing")
    assert bench.got["/plane_a/carm_pose"][0].pixel_spacing[0] == pytest.approx(0.0004)


def test_length_of_a_run():
    assert pass_length(np.array([0, 20, 40])) == 60
    assert pass_length(np.array([0])) == SECOND
