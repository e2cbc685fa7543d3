"""What lifting both centrelines of a pair costs under a pose: the measure of a pose, without the lifted curves.

What no pose changes is prepared once; a search asks hundreds of times. Fewer points and coarser depths than lifting's
measure a pose about as well in a sixth of the time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autocar_ros.config import ReconstructionConfig
from autocar_ros.geometry.camera import Camera
from autocar_ros.sbp.lifting import DEPTH_STEP, FREE_SLOPE
from autocar_ros.sbp.matching import least_cost, matching_cost
from autocar_ros.types import FloatArray
from autocar_ros.vessels import tree
from autocar_ros.vessels.skeleton import THINNING, Centreline


class Strand(NamedTuple):
    """A thinned centreline in its view."""

    line: Centreline
    pixels: FloatArray  # (N, 2)
    radius: FloatArray  # (N,) px
    forest: tree.Rooted
    apart: FloatArray  # (N,) px from the parent; a root's is not used


def strand(line: Centreline, apart: float = THINNING) -> Strand:
    """Thin a centreline to points so many px apart."""
    index, edges = line.every(apart)
    pixels, forest = line.points[index], tree.rooted(len(index), edges)
    return Strand(line, pixels, line.radius[index], forest, np.linalg.norm(pixels - pixels[forest.parent], axis=1))


def lifting_cost(
    own: Strand, a: Camera, other: Strand, b: Camera, config: ReconstructionConfig, step: float = DEPTH_STEP
) -> float:
    """Mean cost in mm of the points of view A at the depths that cost least together, jumps between them included.

    `step` is in mm between the depths that are tried.
    """
    center = float(a.project(np.zeros((1, 3)))[1][0])
    half = config.box_size / 2
    depth = np.arange(center - half, center + half + step / 2, step)
    size_a, size_b = float(a.mm_per_pixel(1.0)), float(b.mm_per_pixel(1.0))
    start, along = b.projection @ np.append(a.source, 1.0), a.rays(own.pixels) @ b.projection[:, :3].T
    line = other.line
    nothing, nothing_b = np.zeros(len(own.radius)), np.zeros(len(line))
    cost, _ = matching_cost(
        start, along, own.radius * size_a, depth, nothing, nothing, size_b, line.nearest, line.points, line.radius,
        nothing_b, nothing_b, config.unmatched_cost, config.radius_weight, 0.0,
    )  # fmt: skip
    free = np.maximum(np.rint(FREE_SLOPE * own.apart * size_a * center / step), 1).astype(np.int64)
    return float(least_cost(cost, *own.forest, free, config.jump_weight * step, config.largest_jump_cost)) / len(cost)
