"""Base of all nodes: life cycle, guarded callbacks, order of stamps, clock jumps, diagnostics, start-up.

One node is one process with a single-threaded executor, and the work is done in the callback: inputs have a queue of
one, so while a node works newer frames replace older ones in the middleware and no backlog can arise; the publishers'
sequence numbers tell how many were replaced. (A multi-threaded executor loses most frames to the GIL; a worker thread
adds a second queue and its locks for nothing.)
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.clock import Clock, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import QoSPolicyKind, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

from autocar_ros.errors import AutocarError, ConfigError
from autocar_ros.ros import qos
from autocar_ros.ros.diagnostics import Diagnostics
from autocar_ros.ros.executor import LeanExecutor
from autocar_ros.ros.middleware import use_middleware_environment
from autocar_ros.ros.parameters import Parameters
from autocar_ros.ros.sequence import SequenceNumbers
from autocar_ros.ros.stamps import stamp_of
from autocar_ros.runtime import keep_memory, pin_threads
from autocar_ros.types import NANOSECONDS

_JUMP_BACK = NANOSECONDS  # stamps that run back further mean another recording or a looped bag, not disorder
_SILENCE = 5.0  # s without a needed input before diagnostics warn


class StageNode(LifecycleNode):
    """A node around one stage.

    A subclass names its config dataclasses and fills in what it needs of: `prepare` (configure: outputs, load and warm
    models), `begin` (activate: inputs, timers), `clear` (forget everything that was received), `release` (cleanup).
    What these raise as `AutocarError` makes the transition fail with its reason in the diagnostics.
    """

    configs: tuple[type, ...] = ()
    niceness = 0  # of the node's process: work that no frame waits for gives way to work that does

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.declare_parameter("autostart", True)
        self.parameters = Parameters(self, self.configs, self._on_parameters)
        self.diagnostics = Diagnostics(self)
        self._active = False
        self._inputs: list[Any] = []
        self._clocks: list[Any] = []
        self._outputs: list[Any] = []
        self._services_made: list[Any] = []
        self._newest: dict[str, int] = {}  # stamp in ns by topic
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1))
        self._jump = self.get_clock().create_jump_callback(threshold, post_callback=self._on_clock_jump)

    # --- for subclasses to fill in

    def prepare(self) -> None:
        """Configure: create outputs, load and warm what the stage needs."""

    def begin(self) -> None:
        """Activate: create inputs and timers."""

    def clear(self) -> None:
        """Forget everything received (deactivation, clock jump, reset)."""

    def release(self) -> None:
        """Cleanup: free what `prepare` made."""

    def reconfigure(self) -> None:
        """Take over changed parameters while configured."""

    # --- for subclasses to use

    def output(self, kind: type, topic: str, profile: QoSProfile | None = None) -> Any:
        """Create a publisher that is silent unless the node is active."""
        events = PublisherEventCallbacks(incompatible_qos=lambda e: self._on_incompatible(topic, e))
        publisher = self.create_lifecycle_publisher(
            kind,
            topic,
            profile or qos.output(),
            event_callbacks=events,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._outputs.append(publisher)
        return publisher

    def publish(self, publisher: Any, message: Any, exposure_ns: int | None = None) -> None:
        """Publish and count; `exposure_ns` enters the latency."""
        publisher.publish(message)
        if publisher.is_activated:
            self.diagnostics.sent(publisher.topic_name, exposure_ns)

    def input(
        self,
        kind: type,
        topic: str,
        handler: Callable[[Any], None],
        profile: QoSProfile | None = None,
        ordered: bool = True,
        needed: bool = False,
        complete: bool = False,
        stamp: Callable[[Any], int] = stamp_of,
    ) -> None:
        """Subscribe until deactivation.

        `ordered` drops messages with a repeated or older stamp; `needed` warns while nothing arrives; of a `complete`
        input every message is wanted, so that one that never arrived is a drop. `stamp` tells the time in ns of a
        message that has a header.
        """
        numbers = SequenceNumbers()

        def receive(message: Any, info: Mapping[str, Any]) -> None:
            self.diagnostics.heard(subscription.topic_name)
            if missed := numbers.missed_before(info, subscription):
                self.diagnostics.miss(subscription.topic_name, missed, complete)
            with self.guard():
                has_stamp = hasattr(message, "header")
                if not has_stamp or self._in_order(subscription.topic_name, stamp(message), ordered):
                    handler(message)

        subscription = self.create_subscription(
            kind,
            topic,
            receive,
            profile or qos.newest(),
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=lambda e: self._on_incompatible(topic, e)),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._inputs.append(subscription)
        if needed:
            self.diagnostics.expect(subscription.topic_name, _SILENCE)

    def every(self, seconds: float, action: Callable[[], None], clock: Clock | None = None) -> Any:
        """Call `action` every so many seconds of `clock` (default: the node's) until deactivation."""

        def guarded() -> None:
            with self.guard():
                action()

        timer = self.create_timer(seconds, guarded, clock=clock)
        self._clocks.append(timer)
        return timer

    def service(self, kind: Any, name: str, handler: Callable[[Any, Any], Any]) -> None:
        """Offer a service until cleanup; a request that fails is answered with its flag false and the reason."""

        def guarded(request: Any, response: Any) -> Any:
            try:
                return handler(request, response)
            except AutocarError as e:
                response.message = str(e)
            except Exception as e:
                self.get_logger().error(traceback.format_exc())
                response.message = f"unexpected {type(e).__name__}: {e}"
            return response  # its flag (success or valid) is false by default

        self._services_made.append(self.create_service(kind, name, guarded))

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Count, report and log what goes wrong inside; the node goes on."""
        try:
            yield
        except AutocarError as e:
            self.diagnostics.drop(reason_of(e), str(e))
        except Exception as e:
            self.get_logger().error(traceback.format_exc())
            self.diagnostics.drop("unexpected error", f"{type(e).__name__}: {e}", unexpected=True)

    def start_over(self, why: str) -> None:
        """Clear every buffer, because time has jumped back or the user asks."""
        self.get_logger().warning(f"starting over: {why}")
        self._newest.clear()
        if self._active:  # otherwise there is nothing to forget
            with self.guard():
                self.clear()

    # --- what happens inside

    def _in_order(self, topic: str, stamp: int, ordered: bool) -> bool:
        newest = self._newest.get(topic)
        if newest is not None and stamp < newest - _JUMP_BACK:
            self.start_over(f"stamps on {topic} jumped back by {(newest - stamp) / NANOSECONDS:.3f} s")
        elif newest is not None and ordered and stamp <= newest:
            reason = "duplicate stamp" if stamp == newest else "out of order"
            late = (newest - stamp) / NANOSECONDS
            self.diagnostics.drop(reason, f"a message on {topic} is {late:.3f} s older than the newest one: ignored")
            return False
        self._newest[topic] = max(stamp, self._newest.get(topic, stamp))
        return True

    def _on_clock_jump(self, jump: TimeJump) -> None:
        self.start_over(f"the clock jumped back by {-jump.delta.nanoseconds / NANOSECONDS:.3f} s")

    def _on_incompatible(self, topic: str, event: Any) -> None:
        policy = QoSPolicyKind(int(event.last_policy_kind)).name.lower()
        self.diagnostics.trouble(
            f"qos {topic}",
            f"a partner on {topic} has an incompatible QoS ({policy}) and gets or gives nothing: "
            f"change its profile or this node's qos_overrides.{self.resolve_topic_name(topic)}",
            error=False,
        )

    def _on_parameters(self) -> None:
        if self.parameters.locked:
            with self.guard():
                self.reconfigure()

    # --- lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make the outputs, load and warm up."""
        if not self._attempt("configure", self.prepare):
            self._free()
            return TransitionCallbackReturn.FAILURE
        self.parameters.locked = True
        pin_threads()
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open outputs, then inputs."""
        result = super().on_activate(state)
        if not self._attempt("activate", self.begin):
            self._close_inputs()
            super().on_deactivate(state)
            return TransitionCallbackReturn.FAILURE
        self._active = True
        self.get_logger().info("active")
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close inputs, forget what was received."""
        self._close_inputs()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything."""
        result = super().on_cleanup(state)
        self._free()
        return result

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything, from any state."""
        self._close_inputs()
        result = super().on_shutdown(state)
        self._free()
        return result

    def autostart(self) -> None:
        """Walk to active if parameter `autostart` says so; a failure stays in the diagnostics."""
        if self.get_parameter("autostart").value and self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    def _attempt(self, what: str, action: Callable[[], None]) -> bool:
        try:
            action()
        except (AutocarError, OSError) as e:
            self.diagnostics.trouble(what, f"cannot {what}: {e}")
            return False
        except Exception as e:
            self.get_logger().error(traceback.format_exc())
            self.diagnostics.trouble(what, f"cannot {what}: unexpected {type(e).__name__}: {e}")
            return False
        self.diagnostics.trouble(what, None)
        return True

    def _close_inputs(self) -> None:
        if self._active:
            with self.guard():
                self.clear()
        self._active = False
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        for timer in self._clocks:
            self.destroy_timer(timer)
        self._inputs.clear()
        self._clocks.clear()
        self._newest.clear()
        self.diagnostics.forget_inputs()

    def _free(self) -> None:
        if self.parameters.locked:
            with self.guard():
                self.release()
        for publisher in self._outputs:
            self.destroy_lifecycle_publisher(publisher)
        for service in self._services_made:
            self.destroy_service(service)
        self._outputs.clear()
        self._services_made.clear()
        self.parameters.locked = False


def reason_of(error: AutocarError) -> str:
    """Short name under which an error is counted: `PoseError` -> "pose", `InvalidInputError` -> "invalid input"."""
    name = type(error).__name__.removesuffix("Error")
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def main(node_class: type[StageNode], args: list[str] | None = None) -> int:
    """Run one node until Ctrl-C or SIGTERM; the exit code is 0, or 2 when a parameter is wrong."""
    use_middleware_environment()
    keep_memory()
    rclpy.init(args=args)
    try:
        node = node_class()  # type: ignore[call-arg]
    except (ConfigError, ParameterException) as e:
        rclpy.logging.get_logger(node_class.__name__).fatal(f"wrong parameter: {e}")
        rclpy.try_shutdown()
        return 2
    executor = LeanExecutor()
    executor.add_node(node)
    try:
        node.autostart()
        os.nice(node_class.niceness)  # of this thread, which does the work; loading and warming up is not put off
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass  # asked to stop
    except Exception:
        if rclpy.ok():
            raise
        # asked to stop inside a callback, which then could not publish
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
