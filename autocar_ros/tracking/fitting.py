"""Robust refit of a graph to the centrelines of its views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autocar_ros.config import TrackingConfig
from autocar_ros.geometry.camera import Camera
from autocar_ros.tracking.observation import View
from autocar_ros.tracking.smoothness import Smoothness
from autocar_ros.types import FloatArray, IntArray, VesselGraph

FIRST_STIFFNESS = 40.0  # mm: the first step moves whole branches
ANCHOR = 1e-3  # keeps nodes that nothing pulls where they are

Normal = tuple[FloatArray, FloatArray]


class Projected(NamedTuple):
    """Nodes in one view."""

    pixels: FloatArray  # (N, 2)
    derivative: FloatArray  # (N, 2, 3) px/mm, of the pixels by the position
    direction: FloatArray  # (N, 2) unit, of the vessels in the image
    size: FloatArray  # (N,) mm of a pixel at the node
    inside: NDArray[np.bool_]  # (N,) within the image


class Refit:
    """Moves the nodes of one graph so that its projections run along the centrelines of the masks.

    Iterated nearest lines (Besl & McKay 1992, point to line) with Geman-McClure weights, in both views at once. The
    displacement since the last pair is kept smooth along the graph, the displacement since the graph was made keeps
    its bends, so that nodes neither bunch up nor creep along the vessels. Topology is taken once.
    """

    def __init__(self, graph: VesselGraph, config: TrackingConfig) -> None:
        self._config = config
        self._reference = graph.position
        self._smoothness = Smoothness(graph)
        self._before, self._after = _neighbours(graph)

    def __call__(self, start: FloatArray, views: Sequence[View]) -> FloatArray:
        """Nodes (N, 3) mm fitted from where they are at `start` (N, 3) mm; one view leaves depth to smoothness."""
        c = self._config
        position = start
        steps = c.iterations
        stiffness = np.geomspace(max(FIRST_STIFFNESS, c.stiffness), c.stiffness, steps) if steps > 1 else [c.stiffness]
        scales = np.geomspace(max(c.reach, c.precision), c.precision, steps) if steps > 1 else [c.precision]
        for length, scale in zip(stiffness, scales, strict=True):
            position = position + self._step(position, start, views, float(length), float(scale))
        return position

    def direction(self, position: FloatArray) -> FloatArray:
        """Unit tangents (N, 3) of the vessels."""
        along = position[self._after] - position[self._before]
        return np.asarray(along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9))

    def _step(
        self, position: FloatArray, start: FloatArray, views: Sequence[View], length: float, scale: float
    ) -> FloatArray:
        """One Gauss-Newton step (N, 3) mm."""
        tangent = self.direction(position)
        normals = [_normal_equations(position, tangent, view, scale) for view in views]
        blocks = np.sum([block for block, _ in normals], axis=0) + ANCHOR * np.eye(3)
        right = np.sum([right for _, right in normals], axis=0) - ANCHOR * (position - start)
        s, stretch, bend = self._smoothness, length**2, self._config.shape_memory**4
        right = right - stretch * (s.stretch @ (position - start)) - bend * (s.bend @ (position - self._reference))
        return s.solve(s.band(stretch, bend), blocks, right)


def project_nodes(camera: Camera, position: FloatArray, tangent: FloatArray) -> Projected:
    """Project nodes (N, 3) mm with unit tangents (N, 3)."""
    pixels, depth = camera.project(position)
    p = camera.projection
    derivative = (p[None, :2, :3] - pixels[:, :, None] * p[2, :3]) / depth[:, None, None]
    along = np.einsum("nij,nj->ni", derivative, tangent)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    return Projected(pixels, derivative, along, camera.mm_per_pixel(depth), camera.contains(pixels))


def _normal_equations(position: FloatArray, tangent: FloatArray, view: View, scale: float) -> Normal:
    """Blocks (N, 3, 3) and right sides (N, 3) of the weighted point-to-line distances in mm."""
    nodes = project_nodes(view.camera, position, tangent)
    match = view.match(nodes.pixels, nodes.direction)
    weight = match.alignment**2 / (1 + (match.distance * nodes.size / scale) ** 2) ** 2 * nodes.inside
    gradient = np.einsum("ni,nij->nj", match.normal, nodes.derivative) * nodes.size[:, None]
    blocks = (weight[:, None] * gradient)[:, :, None] * gradient[:, None, :]
    return blocks, -(weight * match.offset * nodes.size)[:, None] * gradient


def _neighbours(graph: VesselGraph) -> tuple[IntArray, IntArray]:
    """Node before and after every node (N,), itself at the ends; after a bifurcation its first child."""
    own = np.arange(len(graph))
    after = own.copy()
    after[graph.edges[::-1, 0]] = graph.edges[::-1, 1]
    parent = graph.parent
    return np.where(parent >= 0, parent, own), after
