"""Bags: writing, reading, damage, recording; and the node that plays them."""

import numpy as np
import pytest
from rclpy.clock import Clock as SteadyClock
from rclpy.clock import ClockType
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from ros.scenes import POSE_A, image, tree
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import String

from autocar_ros.errors import BagError
from autocar_ros.msg import VesselGraph
from autocar_ros.ros import conversions as c
from autocar_ros.ros import qos
from autocar_ros.ros.bag import BagReader, BagWriter, Recorder
from autocar_ros.ros.images import image_from_msg, image_to_msg
from autocar_ros.ros.nodes.bag_player import BagPlayerNode, is_played
from autocar_ros.ros.nodes.segmentation import SegmentationNode

SECOND = 10**9
START = 100 * SECOND


@pytest.fixture
def frames(tmp_path):
    """Bag of 5 frames of plane A, 0.1 s apart, and one graph."""
    path = tmp_path / "frames"
    with BagWriter(path) as writer:
        for k in range(5):
            stamp = START + k * SECOND // 10
            writer.write("/plane_a/image_raw", stamp, image_to_msg(image(tree(), POSE_A), stamp, "f"), qos.newest())
        writer.write("/vessel_graph", stamp, c.graph_to_msg(tree()), qos.latched())
    return path


def test_what_is_written_is_read(frames):
    with BagReader(frames) as reader:
        assert reader.topics == {
            "/plane_a/image_raw": "sensor_msgs/msg/Image",
            "/vessel_graph": "autocar_ros/msg/VesselGraph",
        }
        assert reader.counts == {"/plane_a/image_raw": 5, "/vessel_graph": 1}
        assert (reader.start_ns, reader.end_ns) == (START, START + 4 * SECOND // 10 + 1)
        assert reader.qos("/plane_a/image_raw").reliability == ReliabilityPolicy.BEST_EFFORT
        assert reader.qos("/vessel_graph").durability == DurabilityPolicy.TRANSIENT_LOCAL
        messages = list(reader.messages())
        assert [m.stamp_ns for m in messages] == sorted(m.stamp_ns for m in messages)
        (graph,) = reader.messages(["/vessel_graph"])
        np.testing.assert_allclose(c.graph_from_msg(graph.decode()).position, tree().position, atol=1e-4)
    with BagReader(next(frames.glob("*.mcap"))) as reader:  # the bare file does as well
        assert len(list(reader.messages())) == 6


def test_a_bag_is_never_overwritten(frames):
    with pytest.raises(BagError, match="exists already"):
        BagWriter(frames)


def test_unreadable_bags_are_refused_with_the_reason(tmp_path):
    with pytest.raises(BagError, match="no bag at"):
        BagReader(tmp_path / "none")
    text = tmp_path / "text.mcap"
    text.write_text("no bag")
    with pytest.raises(BagError, match=r"text\.mcap is not a readable bag"):
        BagReader(text)
    with pytest.raises(BagError):
        BagReader(tmp_path)


def damaged(data, seed):
    rng = np.random.default_rng(seed)
    if seed % 2:
        return data[: rng.integers(len(data))]
    data = bytearray(data)
    for place in (rng.integers(len(data)), len(data) - rng.integers(1, 500)):
        data[place] ^= 0xFF
    return data


def test_damage_anywhere_is_a_bag_error_or_harmless(frames, tmp_path):
    data, broken, refused = next(frames.glob("*.mcap")).read_bytes(), tmp_path / "broken.mcap", 0
    for seed in range(60):
        broken.write_bytes(damaged(data, seed))
        try:
            with BagReader(broken) as reader:
                for message in reader.messages():
                    message.decode()
        except BagError:
            refused += 1
    assert refused >= 30  # every cut file


def test_recording_a_running_system(bench, tmp_path):
    sender = bench.probe.create_publisher(String, "/words", qos.latched())
    with BagWriter(tmp_path / "bag") as writer:
        recorder = Recorder(bench.probe, writer, lambda topic: topic == "/words")
        bench.probe.create_timer(0.02, lambda: sender.publish(String(data="x")))
        bench.wait(lambda: writer.counts.get("/words", 0) >= 3, "nothing recorded")
        recorder.close()
    with BagReader(tmp_path / "bag") as reader:
        assert all(m.decode().data == "x" for m in reader.messages())
        assert reader.qos("/words").durability == DurabilityPolicy.TRANSIENT_LOCAL


def test_is_played():
    assert is_played("/cathlab/plane_a/image_raw", "inputs")
    assert not is_played("/plane_a/mask", "inputs")
    assert is_played("/plane_a/mask", "all")
    assert not is_played("/clock", "all")


def start_player(bench, bag, **parameters):
    parameters = {"bag": str(bag), "delay": 0.5, "clock_rate": 200.0, **parameters}
    return bench.start(BagPlayerNode, **parameters)


def test_playing_publishes_the_messages_and_the_clock_in_step(bench, frames):
    images = bench.collect(Image, "/plane_a/image_raw")
    clock = bench.collect(Clock, "/clock")
    start_player(bench, frames, rate=2.0)
    bench.wait(lambda: len(images) == 5 and len(clock) >= 2, "frames or clock missing")
    stamps = [c.to_ns(m.header.stamp) for m in images]
    assert stamps == [START + k * SECOND // 10 for k in range(5)]
    np.testing.assert_array_equal(image_from_msg(images[0]), image(tree(), POSE_A))
    times = [c.to_ns(m.clock) for m in clock]
    assert times == sorted(times)
    assert times[0] >= START


def test_only_inputs(bench, frames):
    images = bench.collect(Image, "/plane_a/image_raw")
    graphs = bench.collect(VesselGraph, "/vessel_graph")
    player = start_player(bench, frames, topics="inputs")
    bench.wait(lambda: len(images) == 5, "frames missing")
    assert not graphs
    assert player.count_publishers("/vessel_graph") == 0


def test_a_looped_bag_starts_the_nodes_over_and_wedges_none(bench, frames):
    masks = bench.collect(Image, "/plane_a/mask")
    node = bench.start(SegmentationNode, namespace="/plane_a", use_sim_time=True)
    start_player(bench, frames, loop=True)
    bench.wait(lambda: len(masks) >= 12, "the node does not live through two loops")
    stamps = [c.to_ns(m.header.stamp) for m in masks]
    loops = np.flatnonzero(np.diff(stamps) < 0)
    assert len(loops) >= 2
    assert set(stamps) <= {START + k * SECOND // 10 for k in range(5)}  # nothing is re-stamped
    # the first frame of a loop follows upon the last one of the loop before: one of them may be overwritten
    assert set(node.diagnostics.dropped) <= {"never arrived on /plane_a/image_raw"}


@pytest.mark.parametrize("bag", ["/no/such/bag", ""])
def test_a_missing_bag_leaves_the_node_unconfigured_and_says_why(bench, bag):
    node = start_player(bench, bag)
    bench.wait(lambda: "cannot configure" in bench.messages().get("/bag_player", ""), "no reason given")
    assert bench.state(node) == "unconfigured"


def test_a_bag_without_inputs_says_what_it_has(bench, tmp_path):
    with BagWriter(tmp_path / "words") as writer:
        writer.write("/words", 1, String(data="x"))
    start_player(bench, tmp_path / "words", topics="inputs")
    bench.wait(lambda: "topics: /words" in bench.messages().get("/bag_player", ""), "no reason given")


def test_a_recording_leaves_out_what_it_cannot_hold(tmp_path, bench):
    """Types that are not known here, and messages before the first tick of a simulated clock."""
    words, odd = (bench.probe.create_publisher(t, name, 10) for t, name in ((String, "/words"), (Clock, "/odd")))
    bench.probe.set_parameters([Parameter("use_sim_time", value=True)])
    with BagWriter(tmp_path / "bag") as writer:
        del writer._store.types["rosgraph_msgs/msg/Clock"]
        recorder = Recorder(bench.probe, writer, lambda topic: topic in ("/words", "/odd"))
        steady = SteadyClock(clock_type=ClockType.STEADY_TIME)
        bench.probe.create_timer(0.02, lambda: (words.publish(String(data="x")), odd.publish(Clock())), clock=steady)
        bench.spin(1.0)
        assert writer.counts == {}
        bench.probe.set_parameters([Parameter("use_sim_time", value=False)])
        bench.wait(lambda: writer.counts.get("/words", 0) >= 3, "nothing recorded")
        recorder.close()
        assert list(writer.counts) == ["/words"]
    with BagReader(tmp_path / "bag") as reader:
        assert reader.start_ns > 0
