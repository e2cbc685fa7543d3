"""The lean executor: what is made or destroyed while it runs, callbacks that fail, timers, services."""

import pytest
import rclpy
from rclpy.clock import Clock, ClockType
from ros.probe import BEST_EFFORT
from std_msgs.msg import String
from std_srvs.srv import Trigger

from autocar_ros.ros.executor import LeanExecutor

STEADY = Clock(clock_type=ClockType.STEADY_TIME)


@pytest.fixture
def speaker(bench):
    return bench.probe.create_publisher(String, "/words", 10)


def listen(bench, speaker, action):
    """Subscription that is connected when this returns."""
    before = speaker.get_subscription_count()
    subscription = bench.probe.create_subscription(String, "/words", action, BEST_EFFORT)
    bench.wait(lambda: speaker.get_subscription_count() > before, "not connected")
    return subscription


def test_the_bench_runs_on_it(bench):
    assert isinstance(bench.executor, LeanExecutor)


def test_every_message_of_a_queue_is_called_back_in_order(bench, speaker):
    got = []
    listen(bench, speaker, lambda m: got.append(m.data))
    for word in "abcde":
        speaker.publish(String(data=word))
    bench.wait(lambda: len(got) == 5, "lost")
    assert got == list("abcde")


def test_with_and_without_what_is_known_of_a_message(bench, speaker):
    got = []
    listen(bench, speaker, lambda m, info: got.append((m.data, info["publication_sequence_number"])))
    listen(bench, speaker, lambda m: got.append((m.data, None)))
    speaker.publish(String(data="x"))
    bench.wait(lambda: len(got) == 2, "lost")
    assert sorted(got, key=str) == [("x", 1), ("x", None)]


def test_a_callback_may_destroy_its_own_and_the_other_subscription(bench, speaker):
    got, made = [], []

    def destroy_all(message):
        got.append(message.data)
        while made:
            bench.probe.destroy_subscription(made.pop())

    made += [listen(bench, speaker, destroy_all) for _ in range(2)]
    speaker.publish(String(data="x"))
    bench.spin(0.3)
    speaker.publish(String(data="y"))
    bench.spin(0.2)
    assert got == ["x"]


def test_a_callback_may_make_what_is_called_back_next(bench, speaker):
    ticks = []
    made = []
    listen(bench, speaker, lambda _: made.append(bench.probe.create_timer(0.01, lambda: ticks.append(1), clock=STEADY)))
    speaker.publish(String(data="x"))
    bench.wait(lambda: len(ticks) >= 3, "no ticks")
    bench.probe.destroy_timer(made[0])
    seen = len(ticks)
    bench.spin(0.1)
    assert len(ticks) == seen


def test_an_error_of_a_callback_comes_out_and_the_executor_goes_on(bench, speaker):
    got = []

    def fail(message):
        got.append(message.data)
        raise ZeroDivisionError

    listen(bench, speaker, fail)
    speaker.publish(String(data="x"))
    with pytest.raises(ZeroDivisionError):
        bench.spin(5.0)
    speaker.publish(String(data="y"))
    with pytest.raises(ZeroDivisionError):
        bench.spin(5.0)
    assert got == ["x", "y"]


def test_services_are_answered_while_messages_keep_coming(bench, speaker):
    def answer(_, response):
        response.success = True
        return response

    bench.probe.create_service(Trigger, "/ask", answer)
    got = []
    listen(bench, speaker, got.append)
    bench.probe.create_timer(0.001, lambda: speaker.publish(String(data="x")), clock=STEADY)
    assert all(bench.call(Trigger, "/ask", Trigger.Request()).success for _ in range(3))
    bench.wait(lambda: len(got) > 10, "starves")


def test_it_ends_with_its_context():
    context = rclpy.context.Context()
    rclpy.init(context=context)
    executor = LeanExecutor(context=context)
    node = rclpy.create_node("short", context=context)
    executor.add_node(node)
    node.create_timer(0.01, context.try_shutdown, clock=STEADY)
    executor.spin()  # returns
    executor.shutdown()
    node.destroy_node()
