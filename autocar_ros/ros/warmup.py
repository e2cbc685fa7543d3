"""Smallest input that takes the stages through their compiled code, so that the first frame does not wait for it."""

from __future__ import annotations

import numpy as np

from autocar_ros.types import CArmPose, FramePair, VesselGraph

_HALF_LENGTH = 32  # mm
_RADIUS = 2.1  # mm


def upright_vessel() -> FramePair:
    """Smallest pair that gives a graph: one straight vessel along the body, from the front and from the side."""
    mask = np.zeros((64, 64), np.uint8)
    mask[8:56, 31:34] = 255
    front = CArmPose(0.0, 0.0, 1000.0, 700.0, (2.0, 2.0), *mask.shape)
    return FramePair(0, 0, mask, mask, front, CArmPose(np.pi / 2, 0.0, 1000.0, 700.0, (2.0, 2.0), *mask.shape))


def upright_graph() -> VesselGraph:
    """Graph of that vessel, with a node every mm."""
    z = np.arange(_HALF_LENGTH, -_HALF_LENGTH - 1.0, -1.0)
    count = len(z)
    edges = np.stack([np.arange(count - 1), np.arange(1, count)], 1)
    position = np.stack([np.zeros(count), np.zeros(count), z], 1)
    return VesselGraph(position, np.full(count, _RADIUS), edges, np.zeros(count, np.int64))
