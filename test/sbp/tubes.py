"""A simple vessel tree with a known answer, and its masks in two views."""

import numpy as np

from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.types import CArmPose, FramePair
from autocar_ros.vessels.reprojection import sample_edges


def c_arm(primary_deg=0.0, secondary_deg=0.0, **changes):
    values = {"rows": 512, "columns": 512, "pixel_spacing": (0.3, 0.3)} | changes
    return CArmPose(np.radians(primary_deg), np.radians(secondary_deg), 1200.0, 800.0, **values)


def curve(*corners, step=0.25):
    """Points (N, 3) mm on straight pieces between corners."""
    corners = np.array(corners, float)
    index = np.arange(len(corners) - 1)
    return sample_edges(corners, np.stack([index, index + 1], 1), step)


def fork():
    """Trunk with two branches, 110 mm: points (N, 3) mm and radius (N,) mm, root first."""
    trunk = curve((-5, -10, 40), (0, -5, 20), (3, 0, 5))
    left = curve((3, 0, 5), (22, 8, -10), (30, 12, -32))
    right = curve((3, 0, 5), (-14, 10, -8), (-20, 18, -30))
    points = np.concatenate([trunk, left, right])
    radius = np.concatenate([np.full(len(trunk), 2.2), np.full(len(left), 1.6), np.full(len(right), 1.3)])
    return points, radius


def render(points, radius, pose):
    """Perfect mask (rows, columns) 0/255: pixels whose centre lies in the shadow of a ball (its outline as a disc)."""
    camera = camera_from_pose(pose)
    pixels, depth = camera.project(points)
    reach = radius / camera.mm_per_pixel(depth)
    row, column = np.mgrid[: pose.rows, : pose.columns]
    mask = np.zeros((pose.rows, pose.columns), bool)
    for (u, v), r in zip(pixels, reach, strict=True):
        box = np.s_[max(int(v - r), 0) : max(int(v + r) + 2, 0), max(int(u - r), 0) : max(int(u + r) + 2, 0)]
        mask[box] |= (column[box] - u) ** 2 + (row[box] - v) ** 2 <= r**2
    return np.where(mask, np.uint8(255), np.uint8(0))


def pair_of(points, radius, pose_a, pose_b, **changes):
    return FramePair(1, 2, render(points, radius, pose_a), render(points, radius, pose_b), pose_a, pose_b, **changes)


def fork_pair(angles_a=(-30.0, 20.0), angles_b=(40.0, -10.0), **changes):
    return pair_of(*fork(), c_arm(*angles_a), c_arm(*angles_b), **changes)
