"""A small drawn tree seen by two planes: enough for every node, and its truth is known."""

from dataclasses import replace

import cv2
import numpy as np

from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.types import CArmPose, FramePair, VesselGraph

SIZE = 256
POSE_A = CArmPose(np.radians(-30), np.radians(20), 1100.0, 750.0, (0.6, 0.6), SIZE, SIZE)
POSE_B = replace(POSE_A, primary_angle=np.radians(50), secondary_angle=np.radians(-10))
RADIUS = 1.5  # mm


def tree(shift=(0.0, 0.0, 0.0)):
    """Trunk of 30 mm and two branches of 35 mm, one node a mm; root first."""
    trunk = np.linspace([-5, -20, 25], [0, 0, 0], 31)
    left = np.linspace([0, 0, 0], [28, 12, -18], 36)[1:]
    right = np.linspace([0, 0, 0], [-22, 18, -20], 36)[1:]
    n, m = len(trunk), len(left)
    edges = [(i, i + 1) for i in range(n - 1)]
    edges += [(n - 1, n), *((i, i + 1) for i in range(n, n + m - 1))]
    edges += [(n - 1, n + m), *((i, i + 1) for i in range(n + m, n + 2 * m - 1))]
    return VesselGraph(
        position=np.vstack([trunk, left, right]) + np.asarray(shift, float),
        radius=np.full(n + 2 * m, RADIUS),
        edges=np.array(edges),
        branch=np.repeat([0, 1, 2], [n, m, m]),
        branch_label=("LM", "LAD", "LCx"),
        graph_id=1,
        stamp_a_ns=10**9,
        stamp_b_ns=10**9,
    )


def mask(graph, pose):
    """Drawn projection of a tree: 255 on vessels."""
    camera = camera_from_pose(pose)
    pixels, depth = camera.project(graph.position)
    picture = np.zeros((pose.rows, pose.columns), np.uint8)
    width = round(float(2 * RADIUS / camera.mm_per_pixel(depth.mean())))
    for parent, child in graph.edges:
        ends = [tuple(round(float(v)) for v in pixels[k]) for k in (parent, child)]
        cv2.line(picture, *ends, 255, width)
    return picture


def image(graph, pose):
    """X-ray-like frame: dark vessels on grey."""
    picture = cv2.GaussianBlur(200 - (mask(graph, pose) // 255) * 90, (0, 0), 1.0)
    noise = np.random.default_rng(0).normal(0, 2, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def pair(graph=None, stamp_ns=10**9, key_frame=True):
    graph = graph or tree()
    return FramePair(stamp_ns, stamp_ns, mask(graph, POSE_A), mask(graph, POSE_B), POSE_A, POSE_B, key_frame=key_frame)
