"""A small beating Y-shaped tree under two C-arms, drawn with cv2: truth at any time, masks, pairs."""

import cv2
import numpy as np

from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.types import NANOSECONDS, CArmPose, FramePair, PhaseSource, VesselGraph

SIZE = 256
PERIOD = 0.8  # s, heart beat


def pose(primary_deg: float, secondary_deg: float = 0.0) -> CArmPose:
    return CArmPose(np.radians(primary_deg), np.radians(secondary_deg), 1100.0, 760.0, (0.6, 0.6), SIZE, SIZE)


POSES = pose(-30.0, 10.0), pose(45.0, -5.0)
CAMERAS = tuple(camera_from_pose(p) for p in POSES)


def tree(spacing: float = 1.0) -> VesselGraph:
    """A curved trunk of 40 mm and two curved arms of 35 mm; three branches."""
    trunk_at = np.arange(0.0, 40.0 + spacing / 2, spacing)
    arm_at = np.arange(spacing, 35.0 + spacing / 2, spacing)
    trunk = np.column_stack([8 * np.sin(trunk_at / 15), 6 * np.cos(trunk_at / 12), 25 - trunk_at])
    left = trunk[-1] + np.column_stack([0.75 * arm_at, 4 * np.sin(arm_at / 10), -0.6 * arm_at])
    right = trunk[-1] + np.column_stack([-0.6 * arm_at, 0.5 * arm_at, -0.55 * arm_at + 3 * np.sin(arm_at / 9)])
    position = np.vstack([trunk, left, right])
    n, m = len(trunk), len(left)
    parent = np.arange(-1, len(position) - 1)
    parent[n + m] = n - 1
    branch = np.repeat([0, 1, 2], [n, m, m])
    return VesselGraph(
        position=position,
        radius=np.where(branch == 0, 1.8, 1.3),
        edges=np.column_stack([parent[1:], np.arange(1, len(position))]),
        branch=branch,
        branch_label=("trunk", "left", "right"),
    )


TREE = tree()


def truth(time: float, graph: VesselGraph = TREE) -> VesselGraph:
    """The tree at a time in s: it contracts by 8 % towards (0, 0, -20) and moves by some mm."""
    beat = (1 - np.cos(2 * np.pi * time / PERIOD)) / 2
    middle = np.array([0.0, 0.0, -20.0])
    moved = middle + (graph.position - middle) * (1 - 0.08 * beat) + beat * np.array([2.0, -1.0, 4.0])
    return graph.with_(position=moved)


def mask(plane: int, graph: VesselGraph) -> np.ndarray:
    """Mask of a graph in plane 0 or 1, its lumen drawn at 1/16 px."""
    camera = CAMERAS[plane]
    pixels, depth = camera.project(graph.position)
    width = graph.radius / camera.mm_per_pixel(depth)
    image = np.zeros((SIZE, SIZE), np.uint8)
    for a, b in graph.edges:
        ends = [tuple(int(v) for v in np.round(pixels[k] * 16)) for k in (a, b)]
        cv2.line(image, ends[0], ends[1], 255, max(int(np.round(width[a] + width[b])), 1), shift=4)
    return image


def pair(time: float, **changes) -> FramePair:
    """Pair of the tree at a time in s."""
    stamp = round(time * NANOSECONDS)
    graph = truth(time)
    phase = time / PERIOD % 1.0
    values = {
        "stamp_a_ns": stamp,
        "stamp_b_ns": stamp,
        "mask_a": mask(0, graph),
        "mask_b": mask(1, graph),
        "pose_a": POSES[0],
        "pose_b": POSES[1],
        "phase_a": phase,
        "phase_b": phase,
        "phase_source": PhaseSource.ECG,
    }
    return FramePair(**{**values, **changes})


EMPTY = np.zeros((SIZE, SIZE), np.uint8)
FULL = np.full((SIZE, SIZE), 255, np.uint8)
