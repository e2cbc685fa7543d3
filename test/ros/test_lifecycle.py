"""The base of all nodes: guarded callbacks, failures, clock jumps, parameters, diagnostics."""

import time
from dataclasses import dataclass

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.exceptions import ParameterException
from rclpy.parameter import Parameter
from ros.probe import BEST_EFFORT
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from autocar_ros.config import SegmentationConfig, _Checked, option
from autocar_ros.errors import BagError, ConfigError, InvalidInputError, PoseError, ReconstructionError
from autocar_ros.ros.diagnostics import Diagnostics
from autocar_ros.ros.lifecycle import StageNode, main, reason_of
from autocar_ros.ros.parameters import descriptor
from autocar_ros.ros.schedule import Schedule
from autocar_ros.ros.stamps import to_time

SECOND = 10**9


@dataclass(frozen=True)
class Options(_Checked):
    """Options of the node below."""

    gain: float = option(1.0, "what it multiplies", "mm", 0.0, 10.0)
    scales: tuple[float, ...] = option((1.0, 2.0), "sizes", "px", 0.5)
    mode: str = option("soft", "how", choices=("soft", "hard"))
    model: str = option("", "file", fixed=True)


class Echo(StageNode):
    """Repeats words; does what its class attributes say."""

    configs = (Options,)
    failure: Exception | None = None
    where = ""

    def __init__(self, **kwargs):
        super().__init__("echo", **kwargs)
        self.cleared = 0
        self.freed = 0

    def fail(self, where):
        if self.failure and self.where == where:
            raise self.failure

    def prepare(self):
        self.out = self.output(String, "out")
        self.service(Trigger, "~/ask", self.on_ask)
        self.fail("prepare")

    def begin(self):
        self.input(String, "in", self.on_word, 10)
        self.input(Image, "image", lambda m: self.publish(self.out, String(data="image")), ordered=True)
        self.fail("begin")

    def clear(self):
        self.cleared += 1
        self.fail("clear")

    def release(self):
        self.freed += 1

    def on_word(self, message):
        if message.data == "bad":
            raise PoseError("the pose is bad: send another")
        if message.data == "bug":
            raise ZeroDivisionError("a bug")
        self.publish(self.out, message)

    def on_ask(self, request, response):
        self.fail("ask")
        response.success = True
        return response


def failing(failure, where):
    return type("Echo", (Echo,), {"failure": failure, "where": where})


@pytest.fixture
def echo(bench):
    node = bench.start(Echo)
    bench.words = bench.collect(String, "/out")
    bench.say = bench.sender(String, "/in")
    bench.wait_matched("/out")
    return node


def level(bench, name="/echo"):
    return bench.status[name].level if name in bench.status else None


def test_errors_and_bugs_cost_one_message_each(bench, echo):
    for word in ("bad", "bug", "bad", "good"):
        bench.say.publish(String(data=word))
    bench.wait(lambda: bench.words, "the node does not go on")
    assert [m.data for m in bench.words] == ["good"]
    assert echo.diagnostics.dropped == {"pose": 2, "unexpected error": 1}
    bench.wait(lambda: level(bench) == DiagnosticStatus.ERROR, "no error reported")
    assert "ZeroDivisionError: a bug" in bench.messages()["/echo"]
    assert "send another" in bench.messages()["/echo"]
    bench.wait(lambda: level(bench) == DiagnosticStatus.OK, "stays in error")
    assert bench.value(echo, "dropped pose") == "2"  # the count stays
    assert bench.value(echo, "published /out") == "1"


@pytest.mark.parametrize("where", ["prepare", "begin"])
@pytest.mark.parametrize(
    "failure", [BagError("no bag: give one"), ZeroDivisionError("a bug"), FileNotFoundError("gone")]
)
def test_a_failing_transition_is_reported_and_can_be_repeated(bench, where, failure):
    node = bench.start(failing(failure, where))
    step = "configure" if where == "prepare" else "activate"
    bench.wait(lambda: f"cannot {step}" in bench.messages().get("/echo", ""), "not reported")
    assert str(failure) in bench.messages()["/echo"]
    assert level(bench) == DiagnosticStatus.ERROR
    assert bench.state(node) == ("unconfigured" if where == "prepare" else "inactive")
    assert bench.probe.count_subscribers("/in") == 0
    type(node).failure = None
    if where == "prepare":
        assert bench.change_state(node, "configure")
    assert bench.change_state(node, "activate")
    bench.wait(lambda: level(bench) == DiagnosticStatus.OK, "still in error")


def test_services_answer_with_the_reason(bench):
    bench.start(failing(InvalidInputError("no graph yet"), "ask"))
    answer = bench.call(Trigger, "/echo/ask", Trigger.Request())
    assert (answer.success, answer.message) == (False, "no graph yet")


def test_services_survive_bugs(bench):
    bench.start(failing(ZeroDivisionError("a bug"), "ask"))
    answer = bench.call(Trigger, "/echo/ask", Trigger.Request())
    assert not answer.success
    assert "a bug" in answer.message


def test_every_way_through_the_life_cycle_frees_once(bench, echo):
    for _ in range(2):
        assert bench.change_state(echo, "deactivate")
        assert bench.change_state(echo, "activate")
    assert echo.freed == 0
    assert bench.change_state(echo, "shutdown")
    assert (echo.cleared, echo.freed) == (3, 1)
    assert bench.probe.count_publishers("/out") == 0


def test_inactive_nodes_say_nothing(bench, echo):
    assert bench.change_state(echo, "deactivate")
    echo.publish(echo.out, String(data="x"))
    assert bench.change_state(echo, "activate")
    bench.wait(lambda: bench.say.get_subscription_count() > 0, "not subscribed")
    bench.say.publish(String(data="y"))
    bench.wait(lambda: bench.words, "no word")
    assert [m.data for m in bench.words] == ["y"]


def test_a_clock_that_jumps_back_clears(bench):
    node = bench.start(Echo, use_sim_time=True)
    clock = bench.sender(Clock, "/clock")
    for seconds in (100.0, 100.5, 101.0):
        clock.publish(Clock(clock=to_time(round(seconds * SECOND))))
    bench.wait(lambda: node.get_clock().now().nanoseconds == 101 * SECOND, "no time")
    assert node.cleared == 0
    clock.publish(Clock(clock=to_time(5 * SECOND)))
    bench.wait(lambda: node.cleared == 1, "not cleared")


def test_a_clock_that_jumps_back_does_no_harm_before_configuration(bench):
    node = bench.start(failing(AttributeError("not prepared"), "clear"), autostart=False, use_sim_time=True)
    clock = bench.sender(Clock, "/clock")
    for seconds in (100, 5):
        clock.publish(Clock(clock=to_time(seconds * SECOND)))
        bench.wait(lambda s=seconds: node.get_clock().now().nanoseconds == s * SECOND, "no time")
    assert not node.diagnostics.dropped


def test_simulated_time_without_a_clock_is_told(bench):
    bench.start(Echo, use_sim_time=True)
    bench.wait(lambda: "nobody publishes /clock: start bag_player" in bench.messages().get("/echo", ""), "silent")
    bench.sender(Clock, "/clock").publish(Clock(clock=to_time(SECOND)))
    bench.wait(lambda: level(bench) == DiagnosticStatus.OK, "still told")


def image(seconds):
    message = Image()
    message.header.stamp = to_time(round(seconds * SECOND))
    return message


def test_a_stamp_from_the_future_does_not_wedge(bench, echo):
    images = bench.sender(Image, "/image", BEST_EFFORT)
    for n, seconds in enumerate((1.0, 1e6, 1.1, 1.2)):
        images.publish(image(seconds))
        bench.wait(lambda n=n: echo.diagnostics.received["/image"] == n + 1, "lost")
    bench.wait(lambda: len(bench.words) == 4, "wedged")
    assert echo.cleared == 1


@pytest.mark.parametrize("complete", [False, True])
def test_messages_that_never_arrived_are_counted(bench, complete):
    class Picky(Echo):
        def begin(self):
            self.input(Image, "image", lambda m: None, complete=complete)

    node = bench.start(Picky)
    images = bench.sender(Image, "/image", BEST_EFFORT)
    images.publish(image(1.0))
    bench.wait(lambda: node.diagnostics.received["/image"] == 1, "lost")
    for seconds in (2.0, 50.0, 50.1, 60.0):  # what is counted is messages, not time
        images.publish(image(seconds))
    time.sleep(0.2)  # all in the queue of one
    bench.wait(lambda: node.diagnostics.received["/image"] == 2, "lost")
    key = "dropped never arrived on /image" if complete else "missed /image"
    bench.wait(lambda: bench.value(node, key) == "3", "not counted")
    warned = "never arrived on /image" in bench.messages()["/echo"]
    assert warned == complete
    assert node.diagnostics.missed == {"/image": 3}
    assert complete or not node.diagnostics.dropped


def test_two_publishers_are_not_taken_for_lost_messages(bench):
    class Picky(Echo):
        def begin(self):
            self.input(Image, "image", lambda m: None, complete=True, ordered=False)

    node = bench.start(Picky)
    first, second = (bench.sender(Image, "/image", BEST_EFFORT) for _ in range(2))
    bench.wait(lambda: node._inputs[0].get_publisher_count() == 2, "not matched")
    senders = [first] * 5 + [second, first, second]
    for n, sender in enumerate(senders):
        sender.publish(image(1.0))
        bench.wait(lambda n=n: node.diagnostics.received["/image"] == n + 1, "lost")
    assert not node.diagnostics.dropped


def test_parameters_are_described_checked_and_fixed(bench, echo):
    assert echo.describe_parameter("gain").description == "what it multiplies [mm]"
    assert "soft, hard" in echo.describe_parameter("mode").additional_constraints
    for name, value, reason in (
        ("gain", 11.0, "gain"),
        ("gain", float("nan"), "gain"),
        ("mode", "loud", "one of soft, hard"),
        ("scales", [1.0, 0.1], ">= 0.5 px"),
        ("model", "x.safetensors", "unconfigured"),
    ):
        (result,) = echo.set_parameters([Parameter(name, value=value)])
        assert not result.successful
        assert reason in result.reason
    assert echo.parameters[Options] == Options()
    assert echo.set_parameters([Parameter("scales", value=[3.0])])[0].successful
    assert echo.parameters[Options].scales == (3.0,)
    assert bench.change_state(echo, "deactivate")
    assert bench.change_state(echo, "cleanup")
    assert echo.set_parameters([Parameter("model", value="x")])[0].successful


@pytest.mark.parametrize("wrong", [{"gain": 99.0}, {"gain": "much"}, {"mode": "loud"}, {"scales": [0.1]}])
def test_a_wrong_start_value_ends_with_its_name(bench, wrong):
    with pytest.raises((ConfigError, ParameterException), match=next(iter(wrong))):
        bench.start(Echo, **wrong)


def test_main_tells_a_wrong_parameter_and_returns_2(capfd):
    assert main(Echo, ["--ros-args", "-p", "gain:=99.0"]) == 2
    assert "gain" in capfd.readouterr().err


def test_main_ends_well_when_stopped_in_the_middle_of_a_callback():
    class Stopped(Echo):
        def begin(self):
            self.create_timer(0.01, self.stop)

        def stop(self):
            rclpy.shutdown()
            self.diagnostics.report()  # cannot publish any more

    assert main(Stopped, []) == 0


def test_descriptors_carry_open_ranges():
    from dataclasses import fields

    scales, width = (next(f for f in fields(SegmentationConfig) if f.name == n) for n in ("scales", "max_width"))
    assert not descriptor(scales).floating_point_range  # ROS has ranges for numbers only; the callback checks
    assert descriptor(width).integer_range[0].to_value == 200


def test_reasons_are_readable():
    assert reason_of(InvalidInputError("")) == "invalid input"
    assert reason_of(ReconstructionError("")) == "reconstruction"


def test_latency_counts_the_work_while_a_simulated_clock_stands_still(bench, echo):
    now = [0.0]
    found = Diagnostics(echo, lambda: now[0])
    found.heard("/in")
    now[0] = 2.0
    found.sent("/out", echo.get_clock().now().nanoseconds)
    (median,) = (float(v.value) for v in found.status().values if v.key == "latency_median_ms")
    assert median == pytest.approx(2000, abs=50)


def test_latency_percentiles_and_silence(bench, echo):
    now = [0.0]
    found = Diagnostics(echo, lambda: now[0])
    stamp = echo.get_clock().now().nanoseconds
    for k in range(100):
        found.sent("/out", stamp - k * 1_000_000)
    found.expect("/in", 5.0)
    found.expect("/nobody", 5.0)
    assert found.status().level == DiagnosticStatus.OK
    now[0] = 7.0
    status = found.status()
    values = {v.key: float(v.value) for v in status.values if v.key.startswith("latency")}
    assert values["latency_median_ms"] == pytest.approx(50, abs=15)
    assert values["latency_median_ms"] < values["latency_p95_ms"] < values["latency_p99_ms"]
    assert "no messages received on /in since 7 s; 1 publish it: does their QoS fit" in status.message
    assert "on /nobody since 7 s; nobody publishes it: is the name" in status.message
    found.heard("/in")
    assert "/in since" not in found.status().message


def test_scheduled_actions_run_in_order_and_again_after_an_error(bench):
    done = []

    class Timed(Echo):
        def begin(self):
            self.schedule = Schedule(self)
            now = self.get_clock().now().nanoseconds
            self.schedule.at(now + 40_000_000, lambda: done.append(("b", self.get_clock().now().nanoseconds - now)))
            self.schedule.at(now + 20_000_000, lambda: done.append(("a", self.get_clock().now().nanoseconds - now)))
            self.schedule.at(now + 30_000_000, lambda: 1 // 0)

    node = bench.start(Timed)
    bench.wait(lambda: len(done) == 2, "not run")
    assert [name for name, _ in done] == ["a", "b"]
    assert np.all(np.array([t for _, t in done]) >= [20_000_000, 40_000_000])
    assert node.diagnostics.dropped["unexpected error"] == 1
