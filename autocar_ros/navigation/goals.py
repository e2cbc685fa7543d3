"""Where to: places on the graph for a request's start and goal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autocar_ros.config import NavigationConfig
from autocar_ros.errors import PlanningError
from autocar_ros.navigation.network import Network, Place, at_node, nearest_places
from autocar_ros.types import FloatArray, VesselGraph


@dataclass(frozen=True)
class GoalPoint:
    """The place on the graph nearest to a position (3,) mm."""

    position: FloatArray


@dataclass(frozen=True)
class GoalNode:
    """A node of the graph."""

    node: int


@dataclass(frozen=True)
class GoalBranch:
    """The far end of a branch."""

    label: str


Goal = GoalPoint | GoalNode | GoalBranch


def start_place(graph: VesselGraph, network: Network, start: FloatArray | None, config: NavigationConfig) -> Place:
    """Place of the catheter's tip (3,) mm, or the ostium of the largest part of the graph."""
    if start is None:
        roots = np.flatnonzero(graph.parent < 0).tolist()
        main = network.main_component()
        return at_node(graph, next((r for r in roots if r in main), 0))
    place = nearest_places(graph, _position(start, "start"))[0]
    if place.distance > config.snap_distance:
        raise PlanningError(
            "START_OFF_GRAPH",
            f"the start is {place.distance:.1f} mm from the nearest vessel, more than snap_distance "
            f"{config.snap_distance:g} mm",
        )
    return place


def goal_places(graph: VesselGraph, goal: Goal, config: NavigationConfig) -> list[Place]:
    """Places to go to: first what was asked for, then what lies near."""
    if isinstance(goal, GoalBranch):
        return _branch_ends(graph, goal.label)
    if isinstance(goal, GoalNode):
        if not 0 <= goal.node < len(graph):
            raise PlanningError("GOAL_OFF_GRAPH", f"there is no node {goal.node}: the graph has {len(graph)}")
        asked = at_node(graph, goal.node)
        return [asked, *(p for p in nearest_places(graph, asked.position) if p.distance <= config.snap_distance)]
    places = nearest_places(graph, _position(goal.position, "goal"))
    if places[0].distance > config.snap_distance:
        raise PlanningError(
            "GOAL_OFF_GRAPH",
            f"the goal is {places[0].distance:.1f} mm from the nearest vessel, more than snap_distance "
            f"{config.snap_distance:g} mm",
        )
    return [p for p in places if p.distance <= config.snap_distance]


def _branch_ends(graph: VesselGraph, label: str) -> list[Place]:
    """Far end of a branch, then the other vessels' ends, nearest first."""
    if label not in graph.branch_label:
        known = ", ".join(name for name in graph.branch_label if name) or "none"
        raise PlanningError("GOAL_OFF_GRAPH", f"there is no branch {label!r}; labels: {known}")
    inside = graph.branch == graph.branch_label.index(label)
    if not inside.any():
        raise PlanningError("GOAL_OFF_GRAPH", f"branch {label!r} has no nodes")
    depth = _depth(graph)
    end = int(np.argmax(np.where(inside, depth, -np.inf)))
    leaf = np.bincount(graph.edges[:, 0], minlength=len(graph)) == 0
    distance = np.linalg.norm(graph.position - graph.position[end], axis=1)
    others = [n for n in np.argsort(distance).tolist() if leaf[n] and n != end]
    return [at_node(graph, end), *(at_node(graph, n)._replace(distance=float(distance[n])) for n in others)]


def _depth(graph: VesselGraph) -> FloatArray:
    """Distance (N,) mm of every node from its root along the edges from parent to child."""
    parent = graph.parent
    step = np.linalg.norm(graph.position - graph.position[parent], axis=1) * (parent >= 0)
    depth, above = step.copy(), parent.copy()
    for _ in range(int(np.ceil(np.log2(max(len(graph), 2)))) + 1):  # pointer jumping: doubles the reach every time
        depth = depth + np.where(above >= 0, depth[above], 0.0)
        above = np.where(above >= 0, above[above], -1)
    return np.asarray(depth)


def _position(point: FloatArray, name: str) -> FloatArray:
    position = np.asarray(point, np.float64)
    if position.shape != (3,) or not np.isfinite(position).all():
        raise PlanningError("INVALID_REQUEST", f"the {name} must be three finite coordinates in mm, got {point}")
    return position
