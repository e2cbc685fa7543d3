"""What a node says about itself: counters, latency, and for every trouble its cause and remedy."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from autocar_ros.types import NANOSECONDS

_WINDOW = 300  # newest latencies that the percentiles are taken of
_PERIOD = 1.0  # s
_NO_CLOCK = "use_sim_time is set but nobody publishes /clock: start bag_player or set use_sim_time to false"
_LOG_EVERY = 5.0  # s, the same reason is logged at most this often


class Diagnostics:
    """Counts and reports on ``/diagnostics`` once a second.

    `level` is ERROR after a fault or an unexpected exception, WARN when something was dropped since the last report,
    a needed input or /clock is silent, or a partner's QoS does not fit; the message names cause and remedy.
    """

    def __init__(self, node: Node, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._node = node
        self._monotonic = monotonic
        self.received: Counter[str] = Counter()  # by topic
        self.published: Counter[str] = Counter()  # by topic
        self.dropped: Counter[str] = Counter()  # by reason
        self.missed: Counter[str] = Counter()  # by topic: replaced by newer ones before the node took them, or lost
        self.values: dict[str, str] = {}  # further figures of the node
        self._latency: deque[float] = deque(maxlen=_WINDOW)  # s
        self._began = (0, 0.0)  # the node's clock in ns and the monotonic one in s when the last message was heard
        self._last_heard: dict[str, float] = {}
        self._expected: dict[str, float] = {}  # silence that is too long, s
        self._lasting: dict[str, tuple[bool, str]] = {}  # lasting troubles by their name: error?, text
        self._recent: dict[str, tuple[bool, str]] = {}  # since the last report: reason -> unexpected?, text
        self._logged: dict[str, float] = {}
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = node.create_timer(_PERIOD, self.report, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def heard(self, topic: str) -> None:
        """Count a message that arrived."""
        self.received[topic] += 1
        self._last_heard[topic] = self._monotonic()
        self._began = self._node.get_clock().now().nanoseconds, self._last_heard[topic]

    def sent(self, topic: str, exposure_ns: int | None = None) -> None:
        """Count a message that was published; with its exposure stamp it enters the latency.

        The work on a message counts by the monotonic clock: a simulated one stands still for the node meanwhile.
        """
        self.published[topic] += 1
        if exposure_ns is not None:
            began, monotonic = self._began
            worked = began + round((self._monotonic() - monotonic) * NANOSECONDS)
            now = max(self._node.get_clock().now().nanoseconds, worked)
            self._latency.append((now - exposure_ns) / NANOSECONDS)

    def drop(self, reason: str, text: str, unexpected: bool = False, count: int = 1) -> None:
        """Count inputs that were not used, and log why (each reason at most every few seconds)."""
        self.dropped[reason] += count
        self._recent[reason] = (unexpected, text)
        now = self._monotonic()
        if unexpected or now - self._logged.get(reason, -np.inf) > _LOG_EVERY:
            self._logged[reason] = now
            self._log(unexpected, _sentence(reason, text))

    def leave_out(self, reason: str) -> None:
        """Count an input that is not used because the user wants it so: no cause for a warning."""
        self.dropped[reason] += 1

    def miss(self, topic: str, count: int, complete: bool) -> None:
        """Count messages that were published and never reached the node; with `complete` they are drops."""
        self.missed[topic] += count
        if complete:
            why = "the node was still at work on an older one, or the middleware lost them"
            self.drop(f"never arrived on {topic}", why, count=count)

    def trouble(self, name: str, text: str | None, error: bool = True) -> None:
        """Set (or with None clear) a trouble that lasts."""
        if text is None:
            self._lasting.pop(name, None)
        elif self._lasting.get(name) != (error, text):
            self._lasting[name] = (error, text)
            self._log(error, text)

    def expect(self, topic: str, silence: float) -> None:
        """Warn when nothing was heard on an input for `silence` s."""
        self._expected[topic] = silence
        self._last_heard[topic] = self._monotonic()

    def forget_inputs(self) -> None:
        """Expect nothing any more (the node is not active)."""
        self._expected.clear()
        self._latency.clear()

    def status(self) -> DiagnosticStatus:
        """Present state; starts the next interval of "since the last report"."""
        silent = [(False, text) for t, limit in self._expected.items() if (text := self._silence(t, limit))]
        recent = [(bad, _sentence(reason, text)) for reason, (bad, text) in self._recent.items()]
        clockless = [(False, _NO_CLOCK)] if self._waits_for_clock() else []
        found = sorted([*self._lasting.values(), *recent, *clockless, *silent], key=lambda t: not t[0])  # errors first
        self._recent.clear()
        level = DiagnosticStatus.ERROR if found and found[0][0] else DiagnosticStatus.WARN
        return DiagnosticStatus(
            level=level if found else DiagnosticStatus.OK,
            name=self._node.get_fully_qualified_name(),
            hardware_id="autocar_ros",
            message="; ".join(text for _, text in found) or "running",
            values=[KeyValue(key=k, value=v) for k, v in self._figures().items()],
        )

    def report(self) -> None:
        """Publish the present state."""
        message = DiagnosticArray(status=[self.status()])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _log(self, error: bool, text: str) -> None:
        if error:  # two statements: rclpy ties a severity to the line that logs
            self._node.get_logger().error(text)
        else:
            self._node.get_logger().warning(text)

    def _waits_for_clock(self) -> bool:
        simulated = bool(self._node.get_parameter("use_sim_time").value)
        return simulated and self._node.get_clock().now().nanoseconds == 0

    def _silence(self, topic: str, limit: float) -> str:
        seconds = self._monotonic() - self._last_heard[topic]
        if seconds <= limit:
            return ""
        publishers = self._node.count_publishers(topic)
        why = (
            f"{publishers} publish it: does their QoS fit, do they run?"
            if publishers
            else "nobody publishes it: is the name or the namespace right?"
        )
        return f"no messages received on {topic} since {seconds:.0f} s; {why}"

    def _figures(self) -> dict[str, str]:
        figures = {f"received {t}": str(n) for t, n in sorted(self.received.items())}
        figures |= {f"missed {t}": str(n) for t, n in sorted(self.missed.items())}
        figures |= {f"published {t}": str(n) for t, n in sorted(self.published.items())}
        figures |= {f"dropped {r}": str(n) for r, n in sorted(self.dropped.items())}
        if self._latency:
            quantiles = np.quantile(np.array(self._latency) * 1e3, (0.5, 0.95, 0.99))
            names = ("median", "p95", "p99")
            figures |= {f"latency_{n}_ms": f"{q:.2f}" for n, q in zip(names, quantiles, strict=True)}
        return figures | self.values


def _sentence(reason: str, text: str) -> str:
    return f"{reason}: {text}" if text else reason
