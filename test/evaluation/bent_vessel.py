"""One bent vessel of 60 mm and its perfect masks from two sides: the smallest case that every method can take."""

from __future__ import annotations

import math

import cv2
import numpy as np

from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.types import CArmPose, FramePair, VesselGraph

RADIUS = 1.5  # mm
POSES = tuple(CArmPose(math.radians(p), 0.0, 1200.0, 800.0, (0.3, 0.3), 512, 512) for p in (0, 80))


def bent_vessel() -> VesselGraph:
    """A chain of 61 nodes."""
    t = np.linspace(-1, 1, 61)
    points = np.stack([10 * np.cos(2 * t), 12 * t**2, 28 * t], 1)
    edges = np.stack([np.arange(60), np.arange(1, 61)], 1)
    return VesselGraph(points, np.full(61, RADIUS), edges, np.zeros(61, np.int64))


def masks_of(vessel: VesselGraph) -> FramePair:
    """Masks from AP and 80 degrees LAO."""
    masks = []
    for pose in POSES:
        camera = camera_from_pose(pose)
        mask = np.zeros((512, 512), np.uint8)
        pixels, depth = camera.project(vessel.position)
        width = round(float(2 * RADIUS / camera.mm_per_pixel(depth).mean()))
        cv2.polylines(mask, [np.rint(pixels).astype(np.int32)[:, None]], False, 255, width)
        masks.append(mask)
    return FramePair(0, 0, *masks, *POSES)
