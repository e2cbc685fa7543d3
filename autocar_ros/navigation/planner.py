"""Catheter paths: the cheapest way on the vessel graph from the ostium or the catheter's tip to a goal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autocar_ros.config import NavigationConfig
from autocar_ros.errors import PlanningError
from autocar_ros.navigation.curvature import arc_length, smooth_curve
from autocar_ros.navigation.goals import Goal, goal_places, start_place
from autocar_ros.navigation.guidance import turns
from autocar_ros.navigation.network import Network, Place, Route
from autocar_ros.types import CatheterPath, FloatArray, GraphStatus, IntArray, VesselGraph

SAME_WAY = 2.0  # mm: a goal as near as this to a suggested path is no alternative
SECOND_CHOICE = 0.5  # score of a goal that was not asked for but lies near
INFEASIBLE = 0.01  # score factor
STANDING = 1e-3  # mm: no way to go


class PathValidity(NamedTuple):
    """Whether a path can still be taken; if not, where and why."""

    valid: bool
    invalid_nodes: IntArray  # (M,)
    message: str


class _Limits(NamedTuple):
    device_radius: float  # mm
    max_curvature: float  # 1/mm, 0 = any


def plan_paths(
    graph: VesselGraph | None,
    goal: Goal,
    start: FloatArray | None = None,
    config: NavigationConfig | None = None,
    device_radius: float | None = None,
    max_curvature: float | None = None,
    alternatives: int = 1,
) -> list[CatheterPath]:
    """Suggest paths to a goal, best first.

    A path that breaks a limit is suggested too, with `feasible` False and the reason, so that a caller can show why.
    Alternatives are other ways round a cycle and, since a click or a label is ambiguous in a projection, other
    branches near the goal or beyond the end of the branch.

    Parameters
    ----------
    graph : VesselGraph or None
    goal : GoalPoint, GoalNode or GoalBranch
    start : (3,) mm, the catheter's tip; None = the ostium
    config : NavigationConfig
    device_radius, max_curvature : mm, 1/mm (0 = any); None = from `config`
    alternatives : further suggestions wanted beside the best one

    Raises
    ------
    PlanningError
        With code NO_GRAPH, STALE_GRAPH, INVALID_REQUEST, START_OFF_GRAPH, GOAL_OFF_GRAPH, or NO_FEASIBLE_PATH when
        start and goal are not connected.
    """
    config = config or NavigationConfig()
    graph = _usable(graph)
    limits = _limits(config, device_radius, max_curvature, alternatives)
    network = Network(graph, limits.device_radius, config)
    origin = start_place(graph, network, start, config)
    goals = goal_places(graph, goal, config)
    reachable = [g for g in goals if network.connected(origin, g)]
    if not reachable or reachable[0] is not goals[0]:
        raise PlanningError("NO_FEASIBLE_PATH", "the goal lies on a part of the graph that is not joined to the start")
    paths: list[CatheterPath] = []
    for rank, place in enumerate(reachable):
        if len(paths) > alternatives:
            break
        if any(_distance(path, place.position) < SAME_WAY for path in paths):
            continue
        routes = network.routes(origin, place, 1 + alternatives - len(paths))
        wish = SECOND_CHOICE * float(np.exp(-place.distance / config.snap_distance)) if rank else 1.0
        shortest = min(route.length for route in routes)
        for route in routes:
            score = wish * (shortest / route.cost if route.cost > 0 else 1.0)
            paths.append(_path(graph, origin, place, route, limits, config, score))
    return sorted(paths, key=lambda path: -path.score)


def path_valid(
    path: CatheterPath,
    graph: VesselGraph | None,
    device_radius: float | None = None,
    config: NavigationConfig | None = None,
) -> PathValidity:
    """Check a path against the present graph: same nodes, wide enough, every node still seen.

    `device_radius` in mm; None = from `config`.
    """
    config = config or NavigationConfig()
    radius = config.device_radius if device_radius is None else device_radius
    nodes = np.unique(path.nodes)
    if graph is None or len(graph) == 0:
        return PathValidity(False, nodes, "there is no vessel graph")
    if graph.graph_id != path.graph_id or (len(nodes) and nodes[-1] >= len(graph)):
        return PathValidity(False, nodes, "the vessel graph was rebuilt since: plan again")
    if graph.status in (GraphStatus.STALE, GraphStatus.LOST):
        return PathValidity(False, nodes, f"the vessel graph is {graph.status.name}: {graph.status_reason}")
    narrow = nodes[graph.radius[nodes] < radius]
    lost = nodes[graph.confidence[nodes] < config.min_confidence]
    messages = []
    if len(narrow):
        messages.append(f"{len(narrow)} nodes are narrower than the device of {radius:.2f} mm radius")
    if len(lost):
        messages.append(f"{len(lost)} nodes are below confidence {config.min_confidence:g}")
    return PathValidity(not messages, np.union1d(narrow, lost), "; ".join(messages))


def _usable(graph: VesselGraph | None) -> VesselGraph:
    if graph is None or len(graph) == 0:
        raise PlanningError("NO_GRAPH", "no vessel graph has been received yet")
    if graph.status in (GraphStatus.STALE, GraphStatus.LOST):
        raise PlanningError("STALE_GRAPH", f"the vessel graph is {graph.status.name}: {graph.status_reason}")
    return graph


def _limits(
    config: NavigationConfig, device_radius: float | None, max_curvature: float | None, alternatives: int
) -> _Limits:
    limits = _Limits(
        config.device_radius if device_radius is None else device_radius,
        config.max_curvature if max_curvature is None else max_curvature,
    )
    for name, value in limits._asdict().items():
        if not (np.isfinite(value) and value >= 0):
            raise PlanningError("INVALID_REQUEST", f"{name} must be a number >= 0, got {value}")
    if alternatives < 0:
        raise PlanningError("INVALID_REQUEST", f"alternatives must be >= 0, got {alternatives}")
    return limits


def _distance(path: CatheterPath, point: FloatArray) -> float:
    return float(np.linalg.norm(path.position - point, axis=1).min())


def _path(
    graph: VesselGraph, start: Place, goal: Place, route: Route, limits: _Limits, config: NavigationConfig, score: float
) -> CatheterPath:
    """Smooth a route and measure it."""
    near = np.array([start.nearest_node, *route.nodes, goal.nearest_node])
    points = np.vstack([start.position, graph.position[route.nodes], goal.position])
    radius = np.array([start.mix(graph.radius), *graph.radius[route.nodes], goal.mix(graph.radius)])
    along = arc_length(points)
    if along[-1] < STANDING:
        raise PlanningError("INVALID_REQUEST", "start and goal are the same place: there is no way to go")
    curve = smooth_curve(points, config.spacing, config.smoothing)
    bends = turns(graph, route.nodes, points)
    clearance = float(radius.min()) - limits.device_radius
    bend = float(curve.curvature.max())
    reason = _reason(clearance, bend, limits)
    nearest = np.abs(along[None, :] - curve.station[:, None]).argmin(1)
    return CatheterPath(
        graph_id=graph.graph_id,
        nodes=near[nearest].astype(np.int64),
        position=curve.position,
        tangent=curve.tangent,
        radius=np.interp(curve.station, along, radius),
        length=curve.length,
        min_radius=float(radius.min()),
        max_curvature=bend,
        clearance=clearance,
        score=score * (INFEASIBLE if reason else 1.0),
        bifurcations=np.array([turn.node for turn in bends], np.int64),
        turn_angle=np.array([turn.angle for turn in bends]),
        instruction=tuple(turn.instruction for turn in bends),
        feasible=not reason,
        reason=reason,
    )


def _reason(clearance: float, curvature: float, limits: _Limits) -> str:
    """Why a path is not feasible, or ""."""
    reasons = []
    if clearance < 0:
        reasons.append(
            f"the lumen is {-clearance:.2f} mm narrower than the device (radius {limits.device_radius:.2f} mm)"
        )
    if 0 < limits.max_curvature < curvature:
        reasons.append(f"a bend of {curvature:.3f} per mm exceeds the device's {limits.max_curvature:.3f} per mm")
    return "; ".join(reasons)
