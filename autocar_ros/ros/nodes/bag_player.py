"""Node `bag_player`: replays a bag with its clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from rclpy.clock import Clock, ClockType
from rosgraph_msgs.msg import Clock as ClockMsg

from autocar_ros.config import BagPlayerConfig
from autocar_ros.errors import BagError, InvalidInputError
from autocar_ros.ros.bag import PLUMBING, BagMessage, BagReader
from autocar_ros.ros.lifecycle import StageNode, main
from autocar_ros.ros.message_types import message_class
from autocar_ros.ros.stamps import to_time
from autocar_ros.types import NANOSECONDS

# what a C-arm and a user send: the last parts of the names in docs/interfaces.md
INPUTS = ("image_raw", "carm_pose", "camera_info", "ecg", "catheter/tip", "clicked_point", "/tf", "/tf_static")


class BagPlayerNode(StageNode):
    """A bag to its topics and ``/clock``; run the other nodes with `use_sim_time`.

    Messages are passed on undecoded, with the QoS they were recorded with. Its own time is the machine's: it is the
    clock of the others. When it loops, ``/clock`` jumps back and every other node starts over.
    """

    configs = (BagPlayerConfig,)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("bag_player", **kwargs)

    def prepare(self) -> None:
        """Open the bag and make a publisher for every topic."""
        config = self.parameters[BagPlayerConfig]
        self._reader = BagReader(config.bag)
        played = {t: k for t, k in self._reader.topics.items() if is_played(t, config.topics)}
        if not sum(self._reader.counts[t] for t in played):
            there = ", ".join(self._reader.topics) or "none"
            self._reader.close()
            raise BagError(f"bag {config.bag} has nothing to play; topics: {there}")
        self._clock_out = self.output(ClockMsg, "/clock")
        self._topics = {t: out for t, k in played.items() if (out := self._output(t, k)) is not None}

    def begin(self) -> None:
        """Start from the beginning."""
        self._start_pass(self.parameters[BagPlayerConfig].delay)
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._tick = self.every(1.0 / self.parameters[BagPlayerConfig].clock_rate, self._play, clock)

    def release(self) -> None:
        """Close the bag."""
        self._reader.close()

    def _output(self, topic: str, type_name: str) -> Any:
        """Publisher of a topic; None, with a warning, when its type is not installed here."""
        try:
            return self.output(message_class(type_name), topic, self._reader.qos(topic))
        except InvalidInputError as e:
            self.get_logger().warning(f"{topic} is not played: {e}")
            return None

    def _start_pass(self, delay: float) -> None:
        self._messages: Iterator[BagMessage] = self._reader.messages(self._topics)
        self._next: BagMessage | None = self._read()
        self._begin = time.monotonic_ns() + int(delay * NANOSECONDS)

    def _play(self) -> None:
        elapsed = time.monotonic_ns() - self._begin
        if elapsed < 0 or self._next is None:
            return
        now = self._reader.start_ns + int(elapsed * self.parameters[BagPlayerConfig].rate)
        self.publish(self._clock_out, ClockMsg(clock=to_time(now)))
        while self._next is not None and self._next.stamp_ns <= now:
            self.publish(self._topics[self._next.topic], self._next.data)
            self._next = self._read()
        if self._next is None:
            self._finish()

    def _read(self) -> BagMessage | None:
        try:
            return next(self._messages, None)
        except BagError as e:  # what is readable up to here is played
            self.diagnostics.trouble("bag", str(e))
            return None

    def _finish(self) -> None:
        if self.parameters[BagPlayerConfig].loop:
            self._start_pass(0.0)
        else:
            self.get_logger().info("the bag is at its end")


def is_played(topic: str, selection: str) -> bool:
    """Whether a topic of a bag is played, for option `topics` = "all" or "inputs"."""
    return topic not in PLUMBING and (selection == "all" or topic.endswith(INPUTS))


if __name__ == "__main__":
    raise SystemExit(main(BagPlayerNode))
