"""Bifurcations on the way, in words for the operator and directions of the patient (LPS)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autocar_ros.navigation.curvature import arc_length
from autocar_ros.types import FloatArray, IntArray, VesselGraph

LOOK = 4.0  # mm before and after a bifurcation over which a direction is taken
STRAIGHT = np.radians(10.0)
DIRECTIONS = (("left", "right"), ("posterior", "anterior"), ("cranial", "caudal"))  # of +, - x, y, z
MARKED = 0.5  # of a turn: smaller components are not named


class Turn(NamedTuple):
    """What to do at a bifurcation."""

    node: int
    angle: float  # rad, 0..pi, between arriving and leaving direction
    instruction: str


def turns(graph: VesselGraph, nodes: IntArray, points: FloatArray) -> list[Turn]:
    """Turns at the bifurcations of a route.

    Parameters
    ----------
    graph : VesselGraph
    nodes : (K,) nodes on the way
    points : (K + 2, 3) mm, start, nodes and goal
    """
    degree = np.bincount(graph.edges.ravel(), minlength=len(graph))
    along = arc_length(points)
    found = []
    for k, node in enumerate(nodes.tolist(), start=1):
        before, after = along[k], along[-1] - along[k]
        if degree[node] < 3 or before <= 0 or after <= 0:
            continue
        arriving = points[k] - _point_at(points, along, along[k] - min(LOOK, before))
        leaving = _point_at(points, along, along[k] + min(LOOK, after)) - points[k]
        angle = _angle(arriving, leaving)
        target = _name(graph, int(nodes[k]) if k < len(nodes) else node)
        found.append(Turn(node, angle, _instruction(along[k], angle, arriving, leaving, target)))
    return found


def patient_direction(vector: FloatArray) -> str:
    """Name a direction (3,) in LPS, such as "right-anterior"; "" for a zero vector."""
    norm = float(np.linalg.norm(vector))
    if norm == 0:
        return ""
    words = [w[0] if v > 0 else w[1] for v, w in zip(vector, DIRECTIONS, strict=True) if abs(v) >= MARKED * norm]
    return "-".join(words)


def _instruction(at: float, angle: float, arriving: FloatArray, leaving: FloatArray, target: str) -> str:
    if angle < STRAIGHT:
        return f"at {at:.0f} mm: straight on into {target}"
    arriving = arriving / np.linalg.norm(arriving)
    sideways = leaving - (leaving @ arriving) * arriving
    return f"at {at:.0f} mm: turn {np.degrees(angle):.0f} degrees towards {target} ({patient_direction(sideways)})"


def _name(graph: VesselGraph, node: int) -> str:
    branch = int(graph.branch[node])
    label = graph.branch_label[branch] if branch < len(graph.branch_label) else ""
    return label or f"branch {branch}"


def _point_at(points: FloatArray, along: FloatArray, where: float) -> FloatArray:
    return np.array([np.interp(where, along, points[:, k]) for k in range(3)])


def _angle(a: FloatArray, b: FloatArray) -> float:
    return float(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))
