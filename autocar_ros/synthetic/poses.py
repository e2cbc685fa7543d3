"""Pairs of C-arm views: the usual two, as clinics choose them, from anywhere; and poses with errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from autocar_ros.errors import ConfigError
from autocar_ros.geometry.carm import angle_between
from autocar_ros.synthetic.pose_history import PoseHistory, load_history
from autocar_ros.types import CArmPose

# Primary and secondary angle in degrees: means of measured clusters of the history
STANDARD_PAIR = {"left": ((28.0, 26.0), (-6.0, -26.0)), "right": ((31.0, -1.0), (-11.0, 30.0))}
SID, SOD = 1116.0, 771.0  # mm, means of the history
FIELD = 128.0  # mm, edge of the field of view at the isocentre: a tree fits for 97 % of it
SEPARATION = (35.0, 100.0)  # degrees between the two views of a pair
# Degrees that arms reach around a patient on the table: the lateral view is at 90, and beyond 45 of tilt the detector
# or the tube meets chest or table.
PRIMARY_REACH, SECONDARY_REACH = 100.0, 45.0
UNIFORM_WIDTH = 3**0.5  # half the width of a uniform distribution, in standard deviations
LEAST_GAP = 60.0  # mm between isocentre and detector
MOST_TRIES = 2000


def standard_pair(tree: str, size: int) -> tuple[CArmPose, CArmPose]:
    """Return the usual two views of a "left" or "right" tree, `size` x `size` px, mean SID and SOD."""
    spacing = FIELD / size * SID / SOD
    first, second = (
        CArmPose(float(np.radians(p)), float(np.radians(s)), SID, SOD, (spacing, spacing), size, size)
        for p, s in STANDARD_PAIR[tree]
    )
    return first, second


def draw_pair(
    rng: Generator, size: int, separation: tuple[float, float] = SEPARATION, history: PoseHistory | None = None
) -> tuple[CArmPose, CArmPose]:
    """Draw two views from different clusters of the pose history (paper, "Forwards projection with pose history").

    Parameters
    ----------
    size : rows and columns, px
    separation : degrees, least and largest angle between the two views
    history : the package's unless given

    Raises
    ------
    ConfigError
        When the history has no two views that far apart.
    """
    chosen = history or load_history()

    def draw() -> tuple[CArmPose, CArmPose]:
        a, b = chosen.draw_clusters(rng)
        return chosen.draw_pose(rng, a, size), chosen.draw_pose(rng, b, size)

    return _separated(draw, separation)


def draw_uniform_pair(
    rng: Generator, size: int, separation: tuple[float, float] = SEPARATION, history: PoseHistory | None = None
) -> tuple[CArmPose, CArmPose]:
    """Draw two views without pose adaptation (L7 of the paper): each number by itself, uniformly.

    Angles are from all that an arm reaches; SID, SOD and field have the mean and variance of the history, but neither
    its modes nor its dependence. Parameters and errors as of `draw_pair`.
    """
    mean, deviation = (history or load_history()).moments()
    low, high = mean - UNIFORM_WIDTH * deviation, mean + UNIFORM_WIDTH * deviation

    def draw_pose() -> CArmPose:
        angles = np.radians(rng.uniform(-1, 1, 2) * (PRIMARY_REACH, SECONDARY_REACH))
        sid, sod, edge = (float(v) for v in rng.uniform(low, high))
        spacing = edge / size
        sid = max(sid, sod + LEAST_GAP)
        return CArmPose(float(angles[0]), float(angles[1]), sid, sod, (spacing, spacing), size, size)

    return _separated(lambda: (draw_pose(), draw_pose()), separation)


def disturbed(rng: Generator, pose: CArmPose, angle: float, shift: float) -> CArmPose:
    """Pose with errors: angles by N(0, angle) degrees, isocentre by N(0, shift) mm along each axis."""
    turn = np.radians(angle) * rng.normal(size=2)
    x, y, z = (float(v) for v in np.asarray(pose.isocenter_offset) + shift * rng.normal(size=3))
    return replace(
        pose,
        primary_angle=pose.primary_angle + float(turn[0]),
        secondary_angle=pose.secondary_angle + float(turn[1]),
        isocenter_offset=(x, y, z),
    )


def mistaken(rng: Generator, pose: CArmPose, angle: float, shift: float) -> CArmPose:
    """Pose whose view is wrong by exactly so many degrees and whose isocentre by so many mm, in directions drawn."""
    turn, way = rng.normal(size=2), rng.normal(size=3)
    turn *= np.radians(angle) / np.linalg.norm(turn)
    x, y, z = (float(v) for v in np.asarray(pose.isocenter_offset) + way * (shift / np.linalg.norm(way)))
    return replace(
        pose,
        primary_angle=pose.primary_angle + float(turn[0]) / float(np.cos(pose.secondary_angle)),
        secondary_angle=pose.secondary_angle + float(turn[1]),
        isocenter_offset=(x, y, z),
    )


def _separated(
    draw: Callable[[], tuple[CArmPose, CArmPose]], separation: tuple[float, float]
) -> tuple[CArmPose, CArmPose]:
    """First pair drawn whose views are apart as asked for, in degrees."""
    least, largest = separation
    for _ in range(MOST_TRIES):
        a, b = draw()
        if least <= np.degrees(angle_between(a, b)) <= largest:
            return a, b
    raise ConfigError(
        f"no two views of the pose history are {least:g} to {largest:g} degrees apart: widen the range, or fit a "
        "history to runs from more directions"
    )
