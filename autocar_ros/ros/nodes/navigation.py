"""Node `navigation`: paths for the catheter on the living graph."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import PointStamped, PoseStamped
from nav_msgs.msg import Path
from rclpy.action import ActionServer
from rclpy.action.server import ServerGoalHandle
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration

from autocar_ros import msg as ros
from autocar_ros.action import ComputeCatheterPath
from autocar_ros.config import NavigationConfig
from autocar_ros.errors import AutocarError, InvalidInputError, PlanningError
from autocar_ros.msg import PathSuggestions
from autocar_ros.navigation.goals import Goal, GoalBranch, GoalNode, GoalPoint
from autocar_ros.navigation.planner import path_valid, plan_paths
from autocar_ros.ros import conversions, qos
from autocar_ros.ros.lifecycle import StageNode, main
from autocar_ros.ros.stamps import graph_stamp, stamp_of
from autocar_ros.srv import IsPathValid
from autocar_ros.types import NANOSECONDS, CatheterPath, FloatArray, GraphStatus, VesselGraph

_TOO_OLD = 2.0  # s without a graph, or of a tip against the graph


class NavigationNode(StageNode):
    """``vessel_graph``, ``catheter/tip`` and ``clicked_point`` to ``catheter/path_suggestions`` and ``catheter/path``.

    A clicked goal moves with the heart: it stays at its node while the graph keeps its identity. When no path can be
    planned, graphs stop coming or the node is stopped an empty path is published, so that nobody follows an old one.
    Action ``compute_catheter_path``, service ``is_path_valid``.
    """

    configs = (NavigationConfig,)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("navigation", **kwargs)
        self._goal: FloatArray | None = None  # (3,) mm

    def prepare(self) -> None:
        """Make outputs, service and action."""
        self._suggestions = self.output(PathSuggestions, "catheter/path_suggestions")
        self._path = self.output(Path, "catheter/path")
        self.clear()
        self.service(IsPathValid, "is_path_valid", self._on_is_valid)
        self._action = ActionServer(self, ComputeCatheterPath, "compute_catheter_path", self._on_action)

    def begin(self) -> None:
        """Subscribe to graph, tip and goal."""
        self.input(ros.VesselGraph, "vessel_graph", self._on_graph, ordered=False, needed=True, stamp=graph_stamp)
        self._watch = self.every(_TOO_OLD, self._on_silence, Clock(clock_type=ClockType.STEADY_TIME))
        self.input(PoseStamped, "catheter/tip", self._on_tip)
        self.input(PointStamped, "clicked_point", self._on_click, qos.event(), ordered=False)

    def clear(self) -> None:
        """Forget graph, tip and goal, and withdraw the path."""
        if self._goal is not None:
            self._send((), self._graph.stamp_a_ns if self._graph else 0)
        self._graph: VesselGraph | None = None
        self._tip: FloatArray | None = None
        self._tip_ns = 0
        self.diagnostics.trouble("tip", None)
        self._goal = None
        self._goal_node = (-1, -1)  # graph_id, node

    def release(self) -> None:
        """Withdraw the action."""
        self._action.destroy()

    def _on_tip(self, message: PoseStamped) -> None:
        self._tip, self._tip_ns = conversions.world_point(message), stamp_of(message)

    def _on_click(self, message: PointStamped) -> None:
        self._goal, self._goal_node = conversions.world_point(message), (-1, -1)
        if self._graph is not None:
            self._suggest(self._graph)

    def _on_graph(self, message: ros.VesselGraph) -> None:
        self._graph = conversions.graph_from_msg(message)
        self._watch.reset()
        if self._goal is not None:
            self._suggest(self._graph)

    def _on_silence(self) -> None:
        """No graph for too long: the last one is stale, and so is the path on it."""
        if self._graph is None or self._graph.status in (GraphStatus.STALE, GraphStatus.LOST):
            return
        reason = f"no graph for {_TOO_OLD:g} s: does tracking run?"
        self._graph = self._graph.with_(status=GraphStatus.STALE, status_reason=reason)
        if self._goal is not None:
            self._suggest(self._graph)

    def _suggest(self, graph: VesselGraph) -> None:
        paths: Sequence[CatheterPath] = ()
        try:
            paths = plan_paths(graph, self._moving_goal(graph), self._start(), self.parameters[NavigationConfig])
        finally:
            self._send(paths, graph.stamp_a_ns)

    def _send(self, paths: Sequence[CatheterPath], stamp_ns: int) -> None:
        best = conversions.path_to_msg(paths[0], stamp_ns) if paths and paths[0].feasible else Path()
        best.header = conversions.header(stamp_ns)
        self.publish(self._suggestions, conversions.suggestions_to_msg(paths, stamp_ns), stamp_ns if paths else None)
        self.publish(self._path, best)

    def _start(self) -> FloatArray | None:
        """Tip of the catheter; None, which is the ostium, when it is unknown or too old for the graph."""
        graph_ns = max(self._graph.stamp_a_ns, self._graph.stamp_b_ns) if self._graph else 0
        too_old = self._tip is not None and graph_ns - self._tip_ns > _TOO_OLD * NANOSECONDS
        text = f"the catheter tip is over {_TOO_OLD:g} s older than the vessel graph, so paths start at the ostium: "
        remedy = "does its publisher run, and stamp it with the exposure?"
        self.diagnostics.trouble("tip", text + remedy if too_old else None, error=False)
        return None if too_old else self._tip

    def _moving_goal(self, graph: VesselGraph) -> GoalPoint:
        """Goal on this graph: where its node is now, or the node nearest to where it was."""
        assert self._goal is not None
        if self._goal_node[0] == graph.graph_id and self._goal_node[1] < len(graph):
            self._goal = graph.position[self._goal_node[1]]
        elif len(graph):
            distance = np.linalg.norm(graph.position - self._goal, axis=1)
            if distance.min() <= self.parameters[NavigationConfig].snap_distance:
                self._goal_node = (graph.graph_id, int(distance.argmin()))
                self._goal = graph.position[self._goal_node[1]]
        return GoalPoint(self._goal)

    def _on_action(self, handle: ServerGoalHandle) -> ComputeCatheterPath.Result:
        result, begin = ComputeCatheterPath.Result(), time.monotonic()
        try:
            paths = self._plan(handle.request)
            elapsed = Duration(seconds=time.monotonic() - begin).to_msg()
            found, wanted = (min(n, 255) for n in (len(paths), 1 + handle.request.alternatives))
            handle.publish_feedback(ComputeCatheterPath.Feedback(found=found, wanted=wanted, elapsed=elapsed))
            result.suggestions = conversions.suggestions_to_msg(paths, self._graph.stamp_a_ns if self._graph else 0)
            if not paths[0].feasible:
                raise PlanningError("NO_FEASIBLE_PATH", paths[0].reason)
            handle.succeed()
        except AutocarError as e:
            code = e.code if isinstance(e, PlanningError) else "INVALID_REQUEST"
            result.error_code, result.error_msg = getattr(ComputeCatheterPath.Result, code), str(e)
            self.diagnostics.drop(f"action {code}", str(e))
            handle.abort()
        except Exception as e:
            result.error_code, result.error_msg = ComputeCatheterPath.Result.UNKNOWN, f"{type(e).__name__}: {e}"
            self.diagnostics.drop("unexpected error", result.error_msg, unexpected=True)
            handle.abort()
        result.planning_time = Duration(seconds=time.monotonic() - begin).to_msg()
        return result

    def _plan(self, request: ComputeCatheterPath.Goal) -> list[CatheterPath]:
        return plan_paths(
            self._graph,
            requested_goal(request),
            conversions.world_point(request.start) if request.use_start else self._start(),
            self.parameters[NavigationConfig],
            conversions.millimetres(request.device_radius) or None,
            conversions.per_millimetre(request.max_curvature) or None,
            request.alternatives,
        )

    def _on_is_valid(self, request: IsPathValid.Request, response: IsPathValid.Response) -> IsPathValid.Response:
        path = conversions.suggestion_from_msg(request.path)
        radius = conversions.millimetres(request.device_radius) or None
        found = path_valid(path, self._graph, radius, self.parameters[NavigationConfig])
        response.valid, response.message = found.valid, found.message
        response.invalid_nodes = found.invalid_nodes.tolist()
        return response


def requested_goal(request: ComputeCatheterPath.Goal) -> Goal:
    """Goal of an action request; `InvalidInputError` for an unknown goal_type."""
    if request.goal_type == ComputeCatheterPath.Goal.GOAL_POSE:
        return GoalPoint(conversions.world_point(request.goal_pose))
    if request.goal_type == ComputeCatheterPath.Goal.GOAL_NODE:
        return GoalNode(request.goal_node)
    if request.goal_type == ComputeCatheterPath.Goal.GOAL_BRANCH:
        return GoalBranch(request.goal_branch)
    raise InvalidInputError(f"unknown goal_type {request.goal_type}: use one of GOAL_*")


if __name__ == "__main__":
    raise SystemExit(main(NavigationNode))
