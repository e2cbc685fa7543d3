"""Vessel phantoms of the laboratory: trees of smooth, even tubes in front of nothing, as robots are tested on."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from autocar_ros.imaging.enhance import BoolArray
from autocar_ros.synthetic.fields import log_uniform
from autocar_ros.synthetic.tubes import Float32Image
from autocar_ros.types import FloatArray

TUBES = (3, 9)  # of a phantom, fewest and most
RADIUS = (1.5, 9.0)  # px
LENGTH = (60.0, 330.0)  # px
BEND = 0.012  # 1/px, standard deviation of the curvature of a tube
STRAIGHT = 0.4  # of the tubes hardly bend
DENSITY = (0.3, 1.6)  # attenuation across the middle of a tube of middle width
MIDDLE = 4.0  # px, radius of such a tube
UNFILLED = 0.12  # of the tubes hold no contrast and are no vessels
FAINT = (0.02, 0.08)  # of the attenuation of a filled one, then
DRAINED = 0.35  # of the tubes have lost most of their contrast along a part, and are vessels there all the same
REMAINS = (0.08, 0.5)  # of the attenuation is left there
TO_THE_END = 0.6  # of those parts reach the tube's end; the others are bubbles
STEP = 2.0  # px


def draw_phantom(rng: Generator, size: int) -> tuple[Float32Image, BoolArray]:
    """Attenuation (size, size) of a branching phantom, and the pixels inside its filled tubes."""
    total, filled = np.zeros((size, size), np.float32), np.zeros((size, size), bool)
    density = log_uniform(rng, *DENSITY)
    roots: list[FloatArray] = []
    for _ in range(int(rng.integers(TUBES[0], TUBES[1] + 1))):
        way = _way(rng, size, roots)
        roots.append(way)
        radius = log_uniform(rng, *RADIUS)
        distance = _distance(way, size)
        path = np.sqrt(np.maximum(radius**2 - distance**2, 0)) / MIDDLE
        empty = rng.random() < UNFILLED
        if not empty and rng.random() < DRAINED:
            path[_distance(_part(rng, way), size) <= distance + 1] *= np.float32(log_uniform(rng, *REMAINS))
        total += path * np.float32(density * (log_uniform(rng, *FAINT) if empty else 1.0))
        filled |= (distance <= radius) & (not empty)
    return np.asarray(total, np.float32), filled


def _way(rng: Generator, size: int, roots: list[FloatArray]) -> FloatArray:
    """Points (N, 2) px of a tube from one of the others, or from anywhere."""
    if roots and rng.random() < 0.85:
        parent = roots[int(rng.integers(len(roots)))]
        k = int(rng.integers(1, len(parent)))
        start, ahead = parent[k], np.arctan2(*(parent[k] - parent[k - 1])[::-1])
        angle = float(ahead + rng.choice([-1, 1]) * rng.uniform(0.3, 1.6))
    else:
        start, angle = rng.uniform(0.15, 0.85, 2) * size, float(rng.uniform(0, 2 * np.pi))
    steps = max(int(log_uniform(rng, *LENGTH) / STEP), 3)
    bend = rng.normal() * BEND * STEP * (0.1 if rng.random() < STRAIGHT else 1.0)
    angles = angle + bend * np.arange(steps)
    way = np.stack([np.cos(angles), np.sin(angles)], axis=1).cumsum(0) * STEP
    return np.asarray(start + way)


def _part(rng: Generator, way: FloatArray) -> FloatArray:
    """Part of a tube, from somewhere along it to its end or not so far."""
    first = float(rng.uniform(0, 0.9))
    last = 1.0 if rng.random() < TO_THE_END else first + float(rng.uniform(0.05, 0.4))
    return way[int(first * len(way)) : int(last * len(way)) + 1]


def _distance(way: FloatArray, size: int) -> Float32Image:
    """Distance (size, size) px of every pixel from a line, about."""
    picture = np.full((size, size), 255, np.uint8)
    cv2.polylines(picture, [np.rint(way).astype(np.int32)], False, 0, 1)
    distance = cv2.distanceTransform(picture, cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(np.minimum(distance, size), np.float32)  # far off where all of the line is outside
