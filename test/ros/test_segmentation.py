"""Node `segmentation` alone, over DDS: frames good and bad, life cycle, parameters."""

from functools import cache

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import DescribeParameters, SetParameters
from ros.probe import BEST_EFFORT
from sensor_msgs.msg import Image

from autocar_ros.config import SimulationConfig
from autocar_ros.ros.images import image_from_msg, image_to_msg
from autocar_ros.ros.nodes.segmentation import SegmentationNode
from autocar_ros.synthetic.scene import Scene
from autocar_ros.types import ABSORPTION_STEP

NS = "/plane_a"


MOMENT = 3.0  # s, full of contrast


@cache
def scene():
    """Simulated patient."""
    return Scene(SimulationConfig(seed=900001))


@cache
def frame(bits=8):
    """Simulated X-ray frame."""
    picture = scene().image("a", MOMENT)
    return picture if bits == 8 else picture.astype(np.uint16) << (bits - 8)


def overlap(mask_message):
    """Share of the found vessels that are vessels, and of the vessels that were found."""
    found, true = image_from_msg(mask_message) >= 128, scene().mask("a", MOMENT) > 0
    both = (found & true).sum()
    return both / max(found.sum(), 1), both / true.sum()


def send(bench, sender, image, stamp):
    message = image if isinstance(image, Image) else image_to_msg(image, stamp, "plane_a_optical_frame")
    sender.publish(message)


@pytest.fixture
def segmentation(bench):
    node = bench.start(SegmentationNode, namespace=NS)
    masks = bench.collect(Image, f"{NS}/mask")
    sender = bench.sender(Image, f"{NS}/image_raw", BEST_EFFORT)
    bench.wait_matched(f"{NS}/mask")
    return node, masks, sender


def test_best_effort_frame_gives_a_mask_with_the_same_header(bench, segmentation):
    _, masks, sender = segmentation
    send(bench, sender, frame(), 7_000_000_001)
    bench.wait(lambda: masks, "no mask")
    assert (masks[0].header.stamp.sec, masks[0].header.stamp.nanosec) == (7, 1)
    assert masks[0].header.frame_id == "plane_a_optical_frame"
    assert masks[0].encoding == "mono8"
    assert min(overlap(masks[0])) > 0.6


def test_the_catheter_is_told_apart(bench, segmentation):
    _, masks, sender = segmentation
    catheters = bench.collect(Image, f"{NS}/catheter_mask")
    bench.wait_matched(f"{NS}/catheter_mask")
    send(bench, sender, frame(), 7_000_000_001)
    bench.wait(lambda: masks and catheters, "no masks")
    assert catheters[0].header == masks[0].header
    catheter, vessels = image_from_msg(catheters[0]) >= 128, scene().mask("a", MOMENT) > 0
    assert catheter.any()
    assert (catheter & vessels).sum() < 0.3 * catheter.sum()


def test_what_the_vessels_absorb_is_told_where_somebody_listens(bench, segmentation):
    _, masks, sender = segmentation
    told = bench.collect(Image, f"{NS}/absorption")
    bench.wait_matched(f"{NS}/absorption")
    send(bench, sender, frame(), 7_000_000_001)
    bench.wait(lambda: masks and told, "no mask or absorption")
    assert told[0].header == masks[0].header
    absorption, found = image_from_msg(told[0]), image_from_msg(masks[0]) >= 128
    assert not absorption[~found].any()
    assert np.median(absorption[found]) * ABSORPTION_STEP > 0.1


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_mono16_with_few_used_bits(bench, segmentation, bits):
    _, masks, sender = segmentation
    send(bench, sender, frame(bits), 1)
    bench.wait(lambda: masks, "no mask")
    assert min(overlap(masks[0])) > 0.6


def bad_messages():
    good = image_to_msg(frame(), 1, "")
    wrong_encoding = image_to_msg(frame(), 1, "")
    wrong_encoding.encoding = "bgr8"
    short = image_to_msg(frame(), 1, "")
    short.height = good.height + 1
    return {"encoding": wrong_encoding, "size": short, "empty": Image(encoding="mono8")}


@pytest.mark.parametrize("case", ["encoding", "size", "empty"])
def test_a_bad_frame_is_dropped_counted_and_the_next_one_works(bench, segmentation, case):
    node, masks, sender = segmentation
    send(bench, sender, bad_messages()[case], 1)
    bench.wait(lambda: node.diagnostics.dropped["invalid input"] == 1, "bad frame not counted")
    bench.wait(lambda: bench.value(node, "dropped invalid input") == "1", "not in the diagnostics")
    assert bench.status[node.get_fully_qualified_name()].level == DiagnosticStatus.WARN
    send(bench, sender, frame(), 2_000_000_000)
    bench.wait(lambda: masks, "the node does not go on")


def test_duplicates_and_late_frames_are_dropped_and_a_jump_back_starts_over(bench, segmentation):
    node, masks, sender = segmentation
    seconds = [10.0, 10.0, 9.9, 10.1, 3.0, 3.1]
    for n, t in enumerate(seconds):
        send(bench, sender, frame(), int(t * 1e9))
        bench.wait(lambda n=n: sum(node.diagnostics.received.values()) == n + 1, "frame lost")
    bench.wait(lambda: len(masks) == 4, "masks missing")
    assert [m.header.stamp.sec + m.header.stamp.nanosec / 1e9 for m in masks] == [10.0, 10.1, 3.0, 3.1]
    assert node.diagnostics.dropped == {"duplicate stamp": 1, "out of order": 1}


def test_a_largest_rate_chooses_frames_by_their_stamps_alone(bench):
    node = bench.start(SegmentationNode, namespace=NS, largest_rate=5.0)
    masks = bench.collect(Image, f"{NS}/mask")
    sender = bench.sender(Image, f"{NS}/image_raw", BEST_EFFORT)
    bench.wait_matched(f"{NS}/mask")
    for k in (1, 2, 3, 4, 5, 7, 8, 9):  # of 15 Hz; frame 6, the first of its slot, is lost
        send(bench, sender, frame(), round(k / 15 * 1e9) + 1)
        bench.wait(lambda k=k: node._newest.get(f"{NS}/image_raw", 0) > k / 15 * 1e9, "frame lost")
    bench.wait(lambda: len(masks) == 4, "masks missing")
    assert [round((m.header.stamp.sec + m.header.stamp.nanosec / 1e9) * 15) for m in masks] == [1, 3, 7, 9]
    assert node.diagnostics.dropped == {"left out: more frames than largest_rate": 4}
    assert node.diagnostics.status().level == DiagnosticStatus.OK  # it was asked for


def test_both_planes_leave_out_what_the_slower_one_must(bench):
    nodes = [bench.start(SegmentationNode, namespace=f"/plane_{p}") for p in "ab"]
    slow, other = (node._shedding for node in nodes)
    slow.level = 2
    bench.wait(lambda: other.share == slow.share == 4, "the other plane was not told")
    masks = bench.collect(Image, "/plane_b/mask")
    sender = bench.sender(Image, "/plane_b/image_raw", BEST_EFFORT)
    bench.wait_matched("/plane_b/mask")
    for k in range(16):
        send(bench, sender, np.full((64, 64), 90, np.uint8), round((k + 1) / 15 * 1e9))
        bench.wait(lambda k=k: nodes[1].diagnostics.received["/plane_b/image_raw"] == k + 1, "frame lost")
    bench.wait(lambda: len(masks) == 16 - nodes[1].diagnostics.dropped["left out"], "masks missing")
    assert nodes[1].diagnostics.dropped["left out"] == 2  # 12 and 16; the rate is known from the tenth frame on
    assert bench.change_state(nodes[0], "deactivate")
    bench.wait(lambda: other.share == 0, "a partner that is gone is still followed")


def test_empty_frames_give_an_empty_mask(bench, segmentation):
    _, masks, sender = segmentation
    send(bench, sender, np.full((128, 128), 90, np.uint8), 1)
    bench.wait(lambda: masks, "no mask")
    assert not (image_from_msg(masks[0]) >= 128).any()


def test_life_cycle_by_service_and_again(bench):
    node = bench.start(SegmentationNode, namespace=NS, autostart=False)
    masks = bench.collect(Image, f"{NS}/mask")
    for k in range(2):
        assert bench.state(node) == "unconfigured"
        assert bench.change_state(node, "configure")
        assert bench.change_state(node, "activate")
        sender = bench.sender(Image, f"{NS}/image_raw", BEST_EFFORT)
        bench.wait_matched(f"{NS}/mask")
        send(bench, sender, frame(), 5)  # the same stamp again is new after a restart
        bench.wait(lambda k=k: len(masks) == k + 1, "no mask")
        assert bench.change_state(node, "deactivate")
        bench.wait(lambda sender=sender: sender.get_subscription_count() == 0, "still subscribed while inactive")
        assert bench.change_state(node, "cleanup")
        bench.probe.destroy_publisher(sender)
    assert not bench.change_state(node, "activate")  # not from unconfigured
    assert bench.state(node) == "unconfigured"
    assert bench.change_state(node, "shutdown")
    assert bench.state(node) == "finalized"


def set_parameter(bench, node, name, value):
    kind = {float: ParameterType.PARAMETER_DOUBLE, int: ParameterType.PARAMETER_INTEGER}[type(value)]
    field = {float: "double_value", int: "integer_value"}[type(value)]
    request = SetParameters.Request(
        parameters=[Parameter(name=name, value=ParameterValue(type=kind, **{field: value}))]
    )
    return bench.call(SetParameters, f"{node.get_fully_qualified_name()}/set_parameters", request).results[0]


def test_wrong_parameter_values_are_refused_with_the_reason(bench, segmentation):
    node, _, _ = segmentation
    too_small = set_parameter(bench, node, "max_width", 1)
    assert not too_small.successful
    assert "max_width" in too_small.reason
    nan = set_parameter(bench, node, "min_length", float("nan"))
    assert not nan.successful
    assert "min_length" in nan.reason
    before = node._segmenter
    assert set_parameter(bench, node, "largest_rate", 20.0).successful
    assert node._segmenter is before  # no weights are loaded for that
    assert set_parameter(bench, node, "min_length", 20.0).successful
    assert node._segmenter is not before
    request = DescribeParameters.Request(names=["max_width"])
    found = bench.call(DescribeParameters, f"{NS}/segmentation/describe_parameters", request).descriptors[0]
    assert "[px]" in found.description
    assert (found.integer_range[0].from_value, found.integer_range[0].to_value) == (8, 200)


def test_silence_is_reported_with_topic_and_remedy(bench, segmentation):
    node, _, _ = segmentation
    node.diagnostics.expect(f"{NS}/image_raw", 0.1)
    name = node.get_fully_qualified_name()
    bench.wait(lambda: "no messages received on /plane_a/image_raw" in bench.messages().get(name, ""), "no warning")
    assert "QoS" in bench.status[name].message  # the probe publishes the topic, it is only silent


def test_incompatible_qos_is_reported(bench):
    from rclpy.qos import DurabilityPolicy, QoSProfile

    node = bench.start(SegmentationNode, namespace=NS)
    qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    bench.probe.create_subscription(Image, f"{NS}/mask", lambda _: None, qos)
    name = node.get_fully_qualified_name()
    bench.wait(lambda: "incompatible QoS (durability)" in bench.messages().get(name, ""), "no report")
    assert bench.status[name].level == DiagnosticStatus.WARN
    assert "qos_overrides./plane_a/mask" in bench.status[name].message
