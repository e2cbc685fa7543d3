"""2D centrelines of two views lifted to 3D by dynamic programming, without training.

Every centreline point of one view gets the depth along its ray at which the other view explains it best: its
projection lies on a centreline there (distance in mm), and that vessel is as thick (difference of radii in mm).
Neighbours along the centreline should not jump in depth, and both liftings should agree. All depths of a centreline
are chosen at once: the cost is a tree with truncated linear terms, whose minimum dynamic programming finds exactly
(Felzenszwalb & Huttenlocher 2005).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from autocar_ros.config import ReconstructionConfig
from autocar_ros.geometry.camera import Camera
from autocar_ros.sbp.matching import best_labels, matching_cost, mutual_cost
from autocar_ros.types import FloatArray, IntArray
from autocar_ros.vessels import tree
from autocar_ros.vessels.skeleton import Centreline

DEPTH_STEP = 0.5  # mm between the depths that are tried
FREE_SLOPE = 1.3  # mm of depth per mm across the view that cost nothing: vessels do run towards the detector
HALF_SURE = 3.0  # mm, see `confidence`


class Lifted(NamedTuple):
    """A centreline in 3D."""

    points: FloatArray  # (N, 3) mm
    pixels: FloatArray  # (N, 2) px, where they lie in the view they were lifted from
    radius: FloatArray  # (N,) mm, by that view
    edges: IntArray  # (E, 2) neighbours in that view, without the jumps in depth
    matched: NDArray[np.bool_]  # (N,) the other view shows a vessel there

    def distance_to(self, other: Lifted) -> FloatArray:
        """Distance (N,) mm from every point to the nearest of another lifting."""
        return np.asarray(KDTree(other.points).query(self.points)[0])


class Rays(NamedTuple):
    """A thinned centreline, its rays, and what the other view says of every depth."""

    camera: Camera
    pixels: FloatArray  # (N, 2)
    directions: FloatArray  # (N, 3) per mm of depth
    radius: FloatArray  # (N,) mm per mm of depth
    edges: IntArray  # (E, 2)
    of_point: IntArray  # index of the ray nearest to every point of the whole centreline
    depth: FloatArray  # (D,) mm
    cost: FloatArray  # (N, D), match: (N, D), see `matching_cost`
    match: IntArray
    forest: tree.Rooted
    free: IntArray  # (N,) steps of depth that cost nothing from the parent


def lift_both(
    line_a: Centreline, a: Camera, line_b: Centreline, b: Camera, config: ReconstructionConfig
) -> tuple[Lifted, Lifted]:
    """Lift both centrelines, each with the help of the other view.

    The first round looks at one point of the other view alone, which may belong to another vessel. Every further round
    also asks where the other lifting put that point: what both say is right, what was said of another place is taken,
    and what is not confirmed is free for a better match. The views take turns: updated together they may swap two
    vessels back and forth for ever.
    """
    rays_a, rays_b = cast_rays(line_a, a, line_b, b, config), cast_rays(line_b, b, line_a, a, config)
    lifted_a, lifted_b = (_lift(rays, rays.cost, config) for rays in (rays_a, rays_b))
    for _ in range(config.mutual_rounds):
        lifted_a = _lift(rays_a, _claimed_cost(rays_a, rays_b, lifted_b, lifted_a, config), config)
        lifted_b = _lift(rays_b, _claimed_cost(rays_b, rays_a, lifted_a, lifted_b, config), config)
    return lifted_a, lifted_b


def confidence(disagreement: FloatArray) -> FloatArray:
    """Chance 0..1 that a lifted point is right, by the distance in mm of both liftings.

    Fitted by eye to the share of points within 2 mm of the truth on 16 synthetic trees with perfect masks: .98 below
    0.6 mm, .89 at 0.8, .83 at 1.2, .73 at 2, .57 at 3.2, .40 at 6.
    """
    return np.asarray(1.0 / (1.0 + (disagreement / HALF_SURE) ** 2))


def cast_rays(line_a: Centreline, a: Camera, line_b: Centreline, b: Camera, config: ReconstructionConfig) -> Rays:
    """Rays of view A, and the cost of all depths on them by view B: what no claim of B's lifting changes."""
    index, edges = line_a.thinned
    pixels = line_a.points[index]
    center = float(a.project(np.zeros((1, 3)))[1][0])
    depth = np.arange(center - config.box_size / 2, center + config.box_size / 2 + DEPTH_STEP / 2, DEPTH_STEP)
    size_a, size_b = float(a.mm_per_pixel(1.0)), float(b.mm_per_pixel(1.0))
    directions, radius = a.rays(pixels), line_a.radius[index] * size_a
    start, step = b.projection @ np.append(a.source, 1.0), directions @ b.projection[:, :3].T
    cost, match = matching_cost(
        start, step, radius, depth, size_b, line_b.nearest, line_b.points, line_b.radius, config.unmatched_cost,
        config.radius_weight,
    )  # fmt: skip
    forest = tree.rooted(len(index), edges)
    across = np.linalg.norm(pixels - pixels[forest.parent], axis=1) * size_a * center  # a root's is not used
    free = np.maximum(np.rint(FREE_SLOPE * across / DEPTH_STEP), 1).astype(np.int64)
    of_point = np.asarray(KDTree(pixels).query(line_a.points)[1])
    return Rays(a, pixels, directions, radius, edges, of_point, depth, cost, match, forest, free)


def _claimed_cost(
    rays: Rays, rays_b: Rays, lifted_b: Lifted, lifted: Lifted, config: ReconstructionConfig
) -> FloatArray:
    """Cost (N, D) with what the other view's lifting claims; the surer where both liftings agreed."""
    sure = confidence(lifted_b.distance_to(lifted))[rays_b.of_point]
    there = lifted_b.points[rays_b.of_point]
    mutual = mutual_cost(rays.match, rays.camera.source, rays.directions, rays.depth, there, sure)
    return np.asarray(rays.cost + config.mutual_weight * mutual)


def _lift(rays: Rays, cost: FloatArray, config: ReconstructionConfig) -> Lifted:
    """Points at the depths of all rays that cost least together."""
    label = _labels(rays, cost, config)
    depth = rays.depth[label]
    near = np.abs(depth[rays.edges[:, 0]] - depth[rays.edges[:, 1]]) < config.neighbour_distance
    points = rays.camera.source + depth[:, None] * rays.directions
    matched = rays.match[np.arange(len(label)), label] >= 0
    return Lifted(points, rays.pixels, rays.radius * depth, rays.edges[near], matched)


def _labels(rays: Rays, cost: FloatArray, config: ReconstructionConfig) -> IntArray:
    """Depths (N,) of all rays that cost least together, as indices."""
    return np.asarray(best_labels(cost, *rays.forest, rays.free, _slope(config), config.largest_jump_cost))


def _slope(config: ReconstructionConfig) -> float:
    """Cost of a jump, of one step of depth."""
    return config.jump_weight * DEPTH_STEP
