"""Trees of tubes that follow no anatomy: straight and bent, wide and thin, branching and crossing anywhere.

A network that has seen coronary trees alone takes their habits for laws: that vessels lie on a heart, taper, and leave
their parents at certain angles. Bench phantoms and unusual patients break them.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from autocar_ros.synthetic.branching import Branch
from autocar_ros.synthetic.courses import SPACING
from autocar_ros.synthetic.fields import log_uniform
from autocar_ros.types import FloatArray

BRANCHES = (2, 10)  # besides the first tube
FIRST_LENGTH = (70.0, 200.0)  # mm
SIDE_LENGTH = (12.0, 110.0)  # mm
RADIUS = (0.7, 2.2)  # mm, of the first tube
NARROWER = (0.45, 1.0)  # times the parent's radius
TAPER = 0.5  # share of the radius that a tube loses along its way, at most
STRAIGHT = 0.4  # probability that a piece of a tube is straight
PIECE = (10.0, 60.0)  # mm
SHARPEST = (1 / 200, 1 / 12)  # 1/mm, curvature of a bent piece
REACH = 75.0  # mm from the first tube's middle, beyond which tubes turn back


def draw_tubes(rng: Generator) -> list[Branch]:
    """Draw a tree of tubes around the origin; its first branch has no parent."""
    length = rng.uniform(*FIRST_LENGTH)
    course = _course(rng, np.zeros(3), _direction(rng), length)
    course -= (course.min(0) + course.max(0)) / 2
    tubes = [_tube(course, _radius(rng, log_uniform(rng, *RADIUS), len(course)))]
    for _ in range(int(rng.integers(BRANCHES[0], BRANCHES[1] + 1))):
        parent = int(rng.integers(len(tubes)))
        trunk = tubes[parent]
        start = int(rng.integers(2, len(trunk.points) - 1))
        onward = trunk.points[start] - trunk.points[start - 1]
        side = _unit(np.cross(onward, _direction(rng)))
        angle = rng.uniform(np.radians(20), np.radians(110))
        way = np.cos(angle) * _unit(onward) + np.sin(angle) * side
        course = _course(rng, trunk.points[start], way, log_uniform(rng, *SIDE_LENGTH))
        radius = max(float(trunk.radius[start]) * rng.uniform(*NARROWER), RADIUS[0] / 2)
        tubes.append(_tube(course, _radius(rng, radius, len(course)), parent, start))
    return tubes


def _tube(course: FloatArray, radius: FloatArray, parent: int = -1, start: int = 0) -> Branch:
    return Branch("tube", course, 1.0, float(radius[-1] / radius[0]), parent, start, radius)


def _course(rng: Generator, start: FloatArray, way: FloatArray, length: float) -> FloatArray:
    """Points (K, 3) mm `SPACING` apart: pieces of straight lines and of helices, one running on in the next."""
    points, way = [start], _unit(way)
    left = 0.0
    turn = np.zeros(3)
    while len(points) * SPACING < length:
        if left <= 0:
            left = rng.uniform(*PIECE)
            curvature = 0.0 if rng.random() < STRAIGHT else log_uniform(rng, *SHARPEST)
            turn = curvature * _unit(np.cross(way, _direction(rng)))
        beyond = max(float(np.linalg.norm(points[-1])) - REACH, 0.0)
        inward = -points[-1] * beyond / REACH**2 / 4
        way = _unit(way + SPACING * (np.cross(turn, way) + inward))
        points.append(points[-1] + SPACING * way)
        left -= SPACING
    return np.array(points)


def _radius(rng: Generator, radius: float, count: int) -> FloatArray:
    """(count,) mm, falling evenly; half of the tubes are as wide at the end as at the start."""
    taper = rng.uniform(0, TAPER) if rng.random() < 0.5 else 0.0
    return np.asarray(radius * np.linspace(1, 1 - taper, count))


def _direction(rng: Generator) -> FloatArray:
    return _unit(rng.normal(size=3))


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.linalg.norm(vector))
