"""Executor that spends little on a message.

rclpy's own builds its wait set anew for every message: it enters and leaves some forty handles, makes a task for the
callback and wakes itself once more afterwards, about a millisecond of processor time for each tick of a clock. (Its
EventsExecutor, of version 7.1.5, deadlocks between the interpreter's lock and that of its timers.)
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from rclpy.event_handler import EventHandler
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.subscription import Subscription
from rclpy.utilities import timeout_sec_to_nsec
from rclpy.waitable import NumberOfEntities

_OTHERS = ("guard_condition", "client", "service")  # kinds that are left to rclpy
_EVENTS = 0.5  # s


class LeanExecutor(SingleThreadedExecutor):  # type: ignore[misc]
    """Single-threaded executor that calls subscriptions and timers back at once, and leaves all else to rclpy.

    Callbacks of subscriptions and timers are plain functions, no coroutines. Events of quality of service are told at
    the first message or timer after half a second. Which entities there are is looked up only after `wake`, which
    rclpy calls when one is made or destroyed.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._held = ExitStack()  # keeps entities alive while they are waited for
        self._changed = True
        self._events_due = 0.0  # monotonic time, s

    def wake(self) -> None:
        """Look the entities up again."""
        self._changed = True
        super().wake()

    def add_node(self, node: Any) -> bool:
        """Take over a node's callbacks."""
        self._changed = True
        return bool(super().add_node(node))

    def remove_node(self, node: Any) -> None:
        """Leave a node's callbacks alone."""
        self._changed = True
        super().remove_node(node)

    def shutdown(self, timeout_sec: float | None = None) -> bool:
        """Let every entity go."""
        self._held.close()
        return bool(super().shutdown(timeout_sec))

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Wait for something to do, at most so many s (None: for ever), and do it."""
        if self._changed:
            self._look_up()
        self._wait_set.clear_entities()
        for add, handle in self._additions:
            add(handle)
        waitables = self._due_waitables()
        for waitable in waitables:
            waitable.add_to_wait_set(self._wait_set)
        pending = bool(self._tasks)  # of actions and services, which rclpy works off one a time
        self._wait_set.wait(0 if pending else timeout_sec_to_nsec(timeout_sec))
        ready = {kind: self._wait_set.get_ready_entities(kind) for kind in ("timer", "subscription", *_OTHERS)}
        others = pending or any(ready[kind] for kind in _OTHERS) or any(w.is_ready(self._wait_set) for w in waitables)
        mine = [self._entities[p] for p in ready["timer"] + ready["subscription"] if p in self._entities]
        for entity in mine:  # the others are parts of waitables
            if self._context.ok() and not self._is_shutdown:
                self._call(entity)
        if others and self._context.ok() and not self._is_shutdown:
            super().spin_once(0.0)

    def _due_waitables(self) -> list[Any]:
        """All waitables once in `_EVENTS` s, without the events of quality of service at other times.

        They are most of the entities and cost as much as all else, happen when a partner appears, and stay until taken.
        """
        now = time.monotonic()
        if now < self._events_due:
            return self._prompt
        self._events_due = now + _EVENTS
        return self._waitables

    def _call(self, entity: Any) -> None:
        """Call a timer or subscription back, unless another callback has destroyed it meanwhile."""
        if self._changed and not any(entity in (*node.timers, *node.subscriptions) for node in self.get_nodes()):
            return
        if not isinstance(entity, Subscription):
            if entity.handle.is_timer_ready():
                entity.handle.call_timer()
                entity.callback()
            return
        taken = entity.handle.take_message(entity.msg_type, entity.raw)
        if taken is not None:
            informed = entity._callback_type is Subscription.CallbackType.WithMessageInfo
            entity.callback(*taken) if informed else entity.callback(taken[0])

    def _look_up(self) -> None:
        """Gather what there is to wait for, and make a wait set of its size."""
        self._changed = False
        self._held.close()
        kinds = ("subscriptions", "guards", "timers", "clients", "services")  # as a wait set counts them
        found = [[e for node in self.get_nodes() for e in getattr(node, kind)] for kind in kinds]
        found[1] += [self._guard, self._sigint_gc]
        self._waitables = [w for node in self.get_nodes() for w in node.waitables]
        self._prompt = [w for w in self._waitables if not isinstance(w, EventHandler)]
        size = NumberOfEntities(*map(len, found))
        for waitable in self._waitables:
            self._held.enter_context(waitable)
            size += waitable.get_num_entities()
        sizes = (getattr(size, name) for name in NumberOfEntities.__slots__)
        self._held.enter_context(self._context.handle)
        self._wait_set = made = rclpy_implementation.WaitSet(*sizes, self._context.handle)
        adders = (made.add_subscription, made.add_guard_condition, made.add_timer, made.add_client, made.add_service)
        self._additions = []
        for add, entities in zip(adders, found, strict=True):
            for entity in entities:
                self._held.enter_context(entity.handle)
                self._additions.append((add, entity.handle))
        self._entities = {e.handle.pointer: e for e in (*found[0], *found[2])}
