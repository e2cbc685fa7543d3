"""A vessel graph as rviz markers and as lines over an X-ray image."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker

from autocar_ros.geometry.camera import Camera
from autocar_ros.ros.conversions import length_to_msg, points_to_msg
from autocar_ros.ros.stamps import header
from autocar_ros.types import FloatArray, GraphStatus, Image, VesselGraph

MarkerKey = tuple[str, int]  # namespace, id
_GOLDEN = 0.618034  # of the colour circle between two branches: neighbours differ, any number fits
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


def deletions(gone: Iterable[MarkerKey], stamp_ns: int) -> list[Marker]:
    """Markers that delete others."""
    return [Marker(header=header(stamp_ns), ns=ns, id=number, action=Marker.DELETE) for ns, number in gone]


def branch_name(graph: VesselGraph, branch: int) -> str:
    """Label of a branch, or "branch N" where it has none."""
    label = graph.branch_label[branch] if branch < len(graph.branch_label) else ""
    return label or f"branch {branch}"


def branch_color(branch: int) -> tuple[float, float, float]:
    """Red, green, blue in 0..1."""
    return colorsys.hsv_to_rgb(branch * _GOLDEN % 1.0, 0.75, 1.0)


def overlay(image: Image, camera: Camera, graph: VesselGraph) -> NDArray[np.uint8]:
    """X-ray frame (rows, columns) with the projected graph on it: (rows, columns, 3) rgb."""
    picture = cv2.cvtColor(_eight_bits(image), cv2.COLOR_GRAY2RGB)
    pixels, depth = camera.project(graph.position)
    width = 2 * graph.radius / camera.mm_per_pixel(np.maximum(depth, 1.0))
    for parent, child in graph.edges[(depth[graph.edges] > 0).all(1)]:
        color = [int(255 * c) for c in branch_color(int(graph.branch[child]))]
        thickness = int(np.clip(width[child] / 4, 1, 5))  # thin enough to see the vessel beside it
        cv2.line(picture, _point(pixels[parent]), _point(pixels[child]), color, thickness, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


def _eight_bits(image: Image) -> NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return np.asarray(image)
    return np.asarray(cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U))


def _point(pixel: FloatArray) -> tuple[int, int]:
    far = 1 << 14  # OpenCV's drawing overflows beyond
    column, row = np.clip(pixel, -far, far)
    return round(float(column)), round(float(row))
