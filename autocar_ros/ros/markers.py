"""A vessel graph as rviz markers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from autocar_ros.figures.overlay import branch_color
from autocar_ros.ros.conversions import length_to_msg, point_to_msg, points_to_msg
from autocar_ros.ros.stamps import header
from autocar_ros.types import GraphStatus, VesselGraph
from autocar_ros.vessels.stenosis import Stenosis

MarkerKey = tuple[str, int]  # namespace, id
_LABEL = 4.0  # mm, height of the letters at a stenosis
_FAINT = 0.3  # opacity of a graph that images do not confirm


def graph_markers(graph: VesselGraph, line_width: float) -> dict[MarkerKey, Marker]:
    """One LINE_LIST marker per branch, `line_width` in mm; namespace and id stay while the branch does."""
    opacity = 1.0 if graph.status in (GraphStatus.OK, GraphStatus.DEGRADED) else _FAINT
    branch_of_edge = graph.branch[graph.edges[:, 1]]
    markers = {}
    for branch in np.unique(branch_of_edge).tolist():
        ends = graph.position[graph.edges[branch_of_edge == branch].ravel()]
        marker = Marker(header=header(graph.stamp_a_ns), ns=branch_name(graph, branch), id=branch)
        marker.type, marker.action = Marker.LINE_LIST, Marker.ADD
        marker.scale.x = length_to_msg(line_width)
        marker.pose.orientation.w = 1.0
        marker.points = points_to_msg(ends)
        red, green, blue = branch_color(branch)
        marker.color = ColorRGBA(r=red, g=green, b=blue, a=opacity)
        markers[marker.ns, marker.id] = marker
    return markers


def stenosis_markers(stenoses: Sequence[Stenosis], graph: VesselGraph) -> dict[MarkerKey, Marker]:
    """Label with the percentage beside every stenosis of a graph."""
    markers = {}
    for s in stenoses:
        marker = Marker(header=header(graph.stamp_a_ns), ns="stenosis", id=s.node)
        marker.type, marker.action = Marker.TEXT_VIEW_FACING, Marker.ADD
        marker.text = f"{s.diameter_stenosis:.0%}"
        marker.scale.z = length_to_msg(_LABEL)
        marker.pose.position = point_to_msg(graph.position[s.node] + _LABEL)
        marker.pose.orientation.w = 1.0
        marker.color = ColorRGBA(r=1.0, g=0.2, b=0.2, a=1.0)
        markers[marker.ns, marker.id] = marker
    return markers


def deletions(gone: Iterable[MarkerKey], stamp_ns: int) -> list[Marker]:
    """Markers that delete others."""
    return [Marker(header=header(stamp_ns), ns=ns, id=number, action=Marker.DELETE) for ns, number in gone]


def branch_name(graph: VesselGraph, branch: int) -> str:
    """Label of a branch, or "branch N" where it has none."""
    label = graph.branch_label[branch] if branch < len(graph.branch_label) else ""
    return label or f"branch {branch}"
