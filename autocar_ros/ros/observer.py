"""Part in a running session: record it, watch its diagnostics, ask for catheter paths."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PointStamped, PoseStamped
from rclpy.action import ActionClient
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message

from autocar_ros import msg as ros
from autocar_ros.action import ComputeCatheterPath
from autocar_ros.errors import AutocarError
from autocar_ros.ros import qos
from autocar_ros.ros.bag import PLUMBING, BagWriter, Recorder
from autocar_ros.ros.conversions import graph_from_msg, point_to_msg, suggestion_from_msg
from autocar_ros.ros.executor import LeanExecutor
from autocar_ros.ros.middleware import use_middleware_environment
from autocar_ros.ros.stamps import WORLD_FRAME
from autocar_ros.types import CatheterPath, FloatArray, VesselGraph

_CALM = 3  # diagnostics of a node, one a second, after which what it had to do is done
_LEVELS = {b"\x00": "ok", b"\x01": "warning", b"\x02": "error", b"\x03": "stale"}


@dataclass(frozen=True)
class NodeStatus:
    """Newest word of a node on /diagnostics."""

    level: str  # ok, warning, error
    message: str
    figures: dict[str, str]


@dataclass(frozen=True)
class PathAnswer:
    """Result of the action ComputeCatheterPath."""

    error: str  # name of the error code, "NONE" for success
    message: str
    planning_time: float  # s
    paths: tuple[CatheterPath, ...]


class Observer:
    """A node beside the session's nodes, with a context of its own; a context manager. It works while `spin` runs.

    Parameters
    ----------
    bag : folder to record every topic to, undecoded; None records nothing
    use_sim_time : take the time of a record from /clock
    without : topics with these last parts are not recorded
    """

    def __init__(self, bag: Path | None = None, use_sim_time: bool = False, without: tuple[str, ...] = ()) -> None:
        use_middleware_environment()
        self._context = Context()
        rclpy.init(context=self._context, domain_id=int(os.environ.get("ROS_DOMAIN_ID", "0")))
        self._node = Node(
            "autocar_observer",
            context=self._context,
            use_global_arguments=False,
            parameter_overrides=[Parameter("use_sim_time", value=use_sim_time)],
        )
        self._executor = LeanExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._writer = BagWriter(bag) if bag else None
        wanted = partial(_is_recorded, without=without)
        self._recorder = Recorder(self._node, self._writer, wanted) if self._writer else None
        self.status: dict[str, NodeStatus] = {}  # by node
        self._heard: Counter[str] = Counter()  # diagnostics by node
        self._truth: bytes | None = None
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.event())
        self._node.create_subscription(
            ros.VesselGraph, "ground_truth/vessel_graph", self._on_truth, qos.newest(), raw=True
        )
        self._goal = self._node.create_publisher(PointStamped, "clicked_point", qos.output())
        self._planner = ActionClient(self._node, ComputeCatheterPath, "compute_catheter_path")

    @property
    def counts(self) -> dict[str, int]:
        """Recorded messages per topic."""
        return dict(self._writer.counts) if self._writer else {}

    @property
    def missed(self) -> dict[str, int]:
        """Messages that a topic's publisher sent and that never arrived to be recorded."""
        return dict(self._recorder.missed) if self._recorder else {}

    @property
    def truth(self) -> VesselGraph | None:
        """Newest true graph of a simulation."""
        return None if self._truth is None else graph_from_msg(deserialize_message(self._truth, ros.VesselGraph))

    def spin(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Work for so many seconds, or until a condition holds; return whether it does."""
        end = time.monotonic() + seconds
        while not until() and (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, 0.1))
        return until()

    def settle(self, timeout: float = 30.0) -> bool:
        """Work until no node is busy any more, at most so many s: a busy one does not send its diagnostics."""
        before = Counter(self._heard)
        return self.spin(timeout, lambda: all(self._heard[name] >= before[name] + _CALM for name in before))

    def set_goal(self, position: FloatArray) -> None:
        """Set the goal of the path suggestions, (3,) mm, as a click in rviz does."""
        goal = PointStamped(point=point_to_msg(position))
        goal.header.frame_id = WORLD_FRAME
        goal.header.stamp = self._node.get_clock().now().to_msg()
        self._goal.publish(goal)

    def ask_path(self, position: FloatArray, timeout: float = 5.0) -> PathAnswer:
        """Ask the navigation for paths to a position (3,) mm; raises `AutocarError` when it does not answer."""
        request = ComputeCatheterPath.Goal(goal_type=ComputeCatheterPath.Goal.GOAL_POSE, goal_pose=PoseStamped())
        request.goal_pose.header.frame_id = WORLD_FRAME
        request.goal_pose.pose.position = point_to_msg(position)
        if not self.spin(timeout, self._planner.server_is_ready):
            raise AutocarError("nobody offers the action compute_catheter_path: is the navigation node active?")
        handle = self._wait(self._planner.send_goal_async(request), timeout)
        if not handle.accepted:
            raise AutocarError("the navigation refused the request for a path")
        return _answer(self._wait(handle.get_result_async(), timeout).result)

    def close(self) -> None:
        """Finish the bag and leave."""
        if self._recorder and self._writer:
            self._recorder.close()
            self._writer.close()
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def _wait(self, future: Any, timeout: float) -> Any:
        if not self.spin(timeout, future.done):
            raise AutocarError(f"the navigation did not answer within {timeout:g} s")
        return future.result()

    def _on_truth(self, data: bytes) -> None:
        self._truth = data

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            figures = {v.key: v.value for v in status.values}
            self._heard[status.name] += 1
            self.status[status.name] = NodeStatus(_LEVELS.get(status.level, "unknown"), status.message, figures)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _is_recorded(topic: str, without: tuple[str, ...]) -> bool:
    return topic not in PLUMBING and "/_action/" not in topic and not topic.endswith(("/transition_event", *without))


def _answer(result: ComputeCatheterPath.Result) -> PathAnswer:
    codes = ("NONE", "UNKNOWN", "INVALID_REQUEST", "NO_GRAPH", "STALE_GRAPH", "START_OFF_GRAPH", "GOAL_OFF_GRAPH",
             "NO_FEASIBLE_PATH", "CANCELED")  # fmt: skip
    names = {getattr(ComputeCatheterPath.Result, code): code for code in codes}
    spent = result.planning_time
    return PathAnswer(
        error=names.get(result.error_code, str(result.error_code)),
        message=result.error_msg,
        planning_time=spent.sec + spent.nanosec * 1e-9,
        paths=tuple(suggestion_from_msg(s) for s in result.suggestions.suggestions),
    )
