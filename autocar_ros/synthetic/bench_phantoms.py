"""Vessel phantoms of the laboratory, as robots are tested on: trees of smooth, even tubes in a box, no body."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from autocar_ros.imaging.enhance import BoolArray
from autocar_ros.synthetic.fields import log_uniform, smooth_field
from autocar_ros.synthetic.tubes import Float32Image
from autocar_ros.types import FloatArray

TUBES = (3, 9)  # of a phantom, fewest and most
RADIUS = (1.5, 9.0)  # px
LENGTH = (60.0, 330.0)  # px
BEND = 0.012  # 1/px, standard deviation of the curvature of a tube
STRAIGHT = 0.4  # of the tubes hardly bend
DENSITY = (0.3, 1.6)  # attenuation across the middle of a tube of middle width
MIDDLE = 4.0  # px, radius of such a tube
UNFILLED = 0.06  # of the tubes hold no contrast and are no vessels
FAINT = (0.02, 0.08)  # of the attenuation of a filled one, then
DRAINED = 0.5  # of the tubes have lost most of their contrast along a part, and are vessels there all the same
REMAINS = (0.08, 0.5)  # of the attenuation is left there
TO_THE_END = 0.6  # of those parts reach the tube's end; the others are bubbles
STEP = 2.0  # px
BOXED = 0.5  # of the phantoms are in a box, whose walls are seen from the side
WALL_LAYERS = (1, 5)  # lines that a wall consists of: it has a thickness and is not quite parallel to the rays
WALL_WIDTH = (0.7, 4.0)  # px, of a line
WALL_SLANT = 0.02  # of its length, standard deviation of where either end of a line lies
WALL_DENSITY = (0.05, 0.7)  # of the attenuation of a filled tube of middle width
PATCH = (4.0, 60.0)  # px, length of the patches in which a wall is seen
RESIDUE = 2.0  # mean number of places with residues: spilled contrast agent, glue
SPECKS = (5, 60)  # at such a place
SPREAD = (4.0, 30.0)  # px, standard deviation of the specks around it


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
    if rng.random() < BOXED:
        total += _box(rng, size) * np.float32(density)
    for _ in range(rng.poisson(RESIDUE)):
        total += _residue(rng, size, roots) * np.float32(density)
    return np.asarray(total, np.float32), filled


def _box(rng: Generator, size: int) -> Float32Image:
    """Attenuation (size, size) of two to four walls seen from the side: straight, rough and patchy; no vessels."""
    total = np.zeros((size, size), np.float32)
    center, half = rng.uniform(0.4, 0.6, 2) * size, rng.uniform(0.2, 0.5, 2) * size
    turn, skew = rng.normal() * 0.15, rng.normal() * 0.1
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn + skew), np.cos(turn + skew)]])
    corners = center + (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half) @ axes
    for k in rng.permutation(4)[: int(rng.integers(2, 5))]:
        ends = np.stack([corners[k], corners[(k + 1) % 4]])
        length = float(np.linalg.norm(ends[1] - ends[0]))
        for _ in range(int(rng.integers(WALL_LAYERS[0], WALL_LAYERS[1] + 1))):
            line = ends + rng.normal(size=(2, 2)) * WALL_SLANT * length
            total += _patchy_line(rng, size, line) * np.float32(log_uniform(rng, *WALL_DENSITY))
    return total


def _patchy_line(rng: Generator, size: int, ends: FloatArray) -> Float32Image:
    """A line (size, size) of 0..1 between ends (2, 2) px that is seen here and there."""
    steps = np.arange(0.0, float(np.linalg.norm(ends[1] - ends[0])), STEP)
    way = ends[0] + (steps / max(steps[-1], 1.0))[:, None] * (ends[1] - ends[0])
    patches = smooth_field(rng, steps[:, None], log_uniform(rng, *PATCH), 1)[:, 0] + rng.uniform(-0.5, 1.5)
    wobble = smooth_field(rng, steps[:, None], log_uniform(rng, *PATCH), 2) * rng.uniform(0, 1.2)
    points = np.rint((way + wobble) * 16).astype(np.int32)
    width = log_uniform(rng, *WALL_WIDTH)
    picture = np.zeros((size, size), np.uint8)
    for a, b, shown in zip(points[:-1], points[1:], np.clip(patches[1:], 0, 1), strict=True):
        grey = int(255 * shown * min(width, 1.0))
        cv2.line(picture, a, b, grey, max(round(width), 1), cv2.LINE_AA, 4)
    return np.asarray(picture, np.float32) / np.float32(255)


def _residue(rng: Generator, size: int, ways: list[FloatArray]) -> Float32Image:
    """Attenuation (size, size) of specks and short threads around a point of one of the tubes."""
    way = ways[int(rng.integers(len(ways)))]
    center, spread = way[int(rng.integers(len(way)))], log_uniform(rng, *SPREAD)
    picture = np.zeros((size, size), np.uint8)
    for _ in range(int(rng.integers(SPECKS[0], SPECKS[1] + 1))):
        start = center + rng.normal(size=2) * spread
        end = start + rng.normal(size=2) * log_uniform(rng, 0.5, 8.0)
        ends = np.rint(np.stack([start, end]) * 16).astype(np.int32)
        cv2.line(picture, ends[0], ends[1], int(rng.integers(20, 200)), 1, cv2.LINE_AA, 4)
    return np.asarray(picture, np.float32) / np.float32(255)


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
