"""How well a vessel graph explains the masks of both views: residual, coverage, visibility."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from autocar_ros.geometry.camera import Camera
from autocar_ros.types import DistanceMap, FloatArray, IntArray, SeenBy, VesselGraph
from autocar_ros.vessels.skeleton import Centreline

COVERAGE_DISTANCE = 3.0  # mm at the isocentre: eps_v of the paper's equation 22
SAMPLE = 0.5  # mm between the points that stand for an edge


def sample_edges(position: FloatArray, edges: IntArray, step: float = SAMPLE) -> FloatArray:
    """Points (M, 3) mm on all edges, not more than `step` mm apart, ends included."""
    if len(edges) == 0:
        return position
    start, vector = position[edges[:, 0]], position[edges[:, 1]] - position[edges[:, 0]]
    count = np.maximum(np.ceil(np.linalg.norm(vector, axis=1) / step).astype(int), 1) + 1
    which = np.repeat(np.arange(len(edges)), count)
    along = (np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)) / (count[which] - 1)
    return np.asarray(start[which] + along[:, None] * vector[which])


def residual(graph: VesselGraph, line: Centreline, camera: Camera) -> float:
    """Median distance in px from the projected nodes that lie in the image to the mask's centreline; NaN for none."""
    pixels, _ = camera.project(graph.position)
    pixels = pixels[camera.contains(pixels)]
    return float(np.median(line.query(pixels)[0])) if len(pixels) else np.nan


def coverage(graph: VesselGraph, line: Centreline, camera: Camera, within: float = COVERAGE_DISTANCE) -> float:
    """Share 0..1 of the mask's centreline that lies within `within` mm (at the isocentre) of the projected graph."""
    if len(graph) == 0:
        return 0.0
    pixels, depth = camera.project(sample_edges(graph.position, graph.edges))
    size = float(camera.mm_per_pixel(camera.project(np.zeros((1, 3)))[1][0]))
    distance, _ = KDTree(pixels[depth > 0]).query(line.points)
    return float(np.mean(distance * size <= within))


def seen_by(position: FloatArray, cameras: tuple[Camera, Camera], outside: tuple[DistanceMap, DistanceMap],
            within: float = 1.0) -> NDArray[np.uint8]:  # fmt: skip
    """SeenBy bits (N,) of points (N, 3): which mask shows them, within a tolerance in mm.

    `outside` holds the distance maps of both masks (`skeleton.distance_outside`).
    """
    bits = np.zeros(len(position), np.uint8)
    for bit, camera, far in zip((SeenBy.A, SeenBy.B), cameras, outside, strict=True):
        pixels, depth = camera.project(position)
        visible = camera.contains(pixels) & (depth > 0)
        column, row = np.rint(pixels[visible]).astype(int).T
        visible[visible] = far[row, column] * camera.mm_per_pixel(depth[visible]) <= within
        bits[visible] |= np.uint8(bit)
    return bits


def explain(graph: VesselGraph, lines: tuple[Centreline, Centreline], cameras: tuple[Camera, Camera]) -> VesselGraph:
    """Return the graph with its residual and coverage in both views."""
    both = list(zip(lines, cameras, strict=True))
    return graph.with_(
        residual=tuple(residual(graph, line, camera) for line, camera in both),
        coverage=tuple(coverage(graph, line, camera) for line, camera in both),
    )
