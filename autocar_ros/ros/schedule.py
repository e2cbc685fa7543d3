"""Actions at given times of a node's clock: what simulator and players run on."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

from autocar_ros.ros.lifecycle import StageNode

_SOON = 1_000  # ns; a period of zero is not a timer


class Schedule:
    """Runs actions when they are due; of the node's active time only (make it in `begin`)."""

    def __init__(self, node: StageNode) -> None:
        self._node = node
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()  # equal times keep the order they were asked in
        self._timer = node.every(3600.0, self._run)

    def at(self, due_ns: int, action: Callable[[], None]) -> None:
        """Run `action` when the node's clock reads `due_ns`."""
        heapq.heappush(self._heap, (due_ns, next(self._order), action))
        self._set_timer()

    def soon(self, action: Callable[[], None]) -> None:
        """Run `action` now, or as soon as there is a time: simulated time begins with the first message on /clock."""
        self.at(self._node.get_clock().now().nanoseconds, action)

    def clear(self) -> None:
        """Forget all actions."""
        self._heap.clear()

    def _run(self) -> None:
        try:
            while self._heap and self._heap[0][0] <= self._node.get_clock().now().nanoseconds:
                heapq.heappop(self._heap)[2]()
        finally:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._heap:
            wait = self._heap[0][0] - self._node.get_clock().now().nanoseconds
            self._timer.timer_period_ns = max(wait, _SOON)
            self._timer.reset()
