"""Both lifted centrelines made one point set: where they agree is what two views know."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from autocar_ros.config import ReconstructionConfig
from autocar_ros.sbp.lifting import Lifted
from autocar_ros.types import FloatArray

CREDIBLE = 1.0  # mm; a point that only one lifting has must be explained better than this by the other view
ALONE = 0.5  # confidence of a well explained point that only one lifting has


class Cloud(NamedTuple):
    """Centreline points in 3D, unordered."""

    points: FloatArray  # (N, 3) mm
    radius: FloatArray  # (N,) mm
    confidence: FloatArray  # (N,) 0..1
    disagreement: FloatArray  # (N,) mm between both liftings


def fuse(of_a: Lifted, of_b: Lifted, config: ReconstructionConfig) -> Cloud:
    """Mean of both liftings where they agree; elsewhere what either has and the other view explains well."""
    far_a, near_b = (np.asarray(found) for found in KDTree(of_b.points).query(of_a.points))
    far_b = np.asarray(KDTree(of_a.points).query(of_b.points)[0])
    agree = far_a <= config.agreement
    alone_a, alone_b = ~agree & (of_a.cost <= CREDIBLE), (far_b > config.agreement) & (of_b.cost <= CREDIBLE)
    points = [(of_a.points[agree] + of_b.points[near_b[agree]]) / 2, of_a.points[alone_a], of_b.points[alone_b]]
    radius = [np.minimum(of_a.radius[agree], of_b.radius[near_b[agree]]), of_a.radius[alone_a], of_b.radius[alone_b]]
    confidence = [
        1.0 - (1.0 - ALONE) * far_a[agree] / config.agreement,
        ALONE * (1.0 - of_a.cost[alone_a] / CREDIBLE),
        ALONE * (1.0 - of_b.cost[alone_b] / CREDIBLE),
    ]
    distance = [far_a[agree], far_a[alone_a], far_b[alone_b]]
    return Cloud(np.concatenate(points), np.concatenate(radius), np.concatenate(confidence), np.concatenate(distance))
