"""C-arm views as clinics use them: clusters of angles, distances, biplane pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from autocar_ros.geometry.carm import angle_between
from autocar_ros.types import CArmPose


@dataclass(frozen=True)
class ViewCluster:
    """Mean and standard deviation of a standard view, degrees; primary + = LAO, secondary + = cranial."""

    primary: float
    secondary: float
    primary_deviation: float
    secondary_deviation: float


# 45 runs of one clinic.
CLUSTERS = {
    "LAO caudal": ViewCluster(37, -30, 10, 5),
    "LAO cranial": ViewCluster(28, 26, 5, 5),
    "LAO": ViewCluster(31, -1, 5, 5),
    "RAO cranial": ViewCluster(-11, 30, 9, 7),
    "RAO caudal": ViewCluster(-6, -26, 10, 8),
}
STANDARD_PAIR = {"left": ("LAO cranial", "RAO caudal"), "right": ("LAO", "RAO cranial")}
SEPARATION = (35.0, 100.0)  # degrees between the two views of a pair
SID, SOD = (1116.0, 64.0), (771.0, 55.0)  # mm, mean and standard deviation
FIELD = 128.0  # mm, edge of the field of view at the isocentre: a tree fits for 97 % of it
FIELDS = (102.0, 164.0)  # mm, range of what is drawn


def standard_pair(tree: str, size: int) -> tuple[CArmPose, CArmPose]:
    """Return the usual two views of a "left" or "right" tree, `size` x `size` px, mean SID and SOD."""
    first, second = (CLUSTERS[name] for name in STANDARD_PAIR[tree])
    spacing = FIELD / size * SID[0] / SOD[0]
    pose = CArmPose(0.0, 0.0, SID[0], SOD[0], (spacing, spacing), size, size)
    return _turned(pose, first.primary, first.secondary), _turned(pose, second.primary, second.secondary)


def draw_pair(rng: Generator, size: int) -> tuple[CArmPose, CArmPose]:
    """Draw two views from different clusters, 35 to 100 degrees apart."""
    while True:
        names = rng.choice(list(CLUSTERS), 2, replace=False)
        a, b = (draw_pose(rng, str(name), size) for name in names)
        if SEPARATION[0] <= np.degrees(angle_between(a, b)) <= SEPARATION[1]:
            return a, b


def draw_pose(rng: Generator, cluster: str, size: int) -> CArmPose:
    """Draw one view of a cluster: angles, SID, SOD and pixel spacing."""
    c = CLUSTERS[cluster]
    sod = SOD[0] + SOD[1] * float(np.clip(rng.normal(), -2, 2))
    # The detector is brought as near to the patient as he allows.
    sid = max(SID[0] + SID[1] * float(np.clip(rng.normal(), -2, 2)), sod + 220)
    spacing = rng.uniform(*FIELDS) / size * sid / sod
    pose = CArmPose(0.0, 0.0, float(sid), float(sod), (float(spacing), float(spacing)), size, size)
    turn = rng.normal(size=2).clip(-2.5, 2.5)
    return _turned(pose, c.primary + turn[0] * c.primary_deviation, c.secondary + turn[1] * c.secondary_deviation)


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


def _turned(pose: CArmPose, primary: float, secondary: float) -> CArmPose:
    return replace(pose, primary_angle=float(np.radians(primary)), secondary_angle=float(np.radians(secondary)))
