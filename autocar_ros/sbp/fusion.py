"""Point sets made one: both lifted centrelines, a cloud and what another has more, points in small cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from autocar_ros.config import ReconstructionConfig
from autocar_ros.geometry.camera import Camera
from autocar_ros.sbp.lifting import Lifted, confidence
from autocar_ros.types import FloatArray, IntArray
from autocar_ros.vessels import tree
from autocar_ros.vessels.graph import Cloud

CELL = 1.0  # mm; points in one such cell are made one
EXPLAINED = 3.0  # mm beside the projection of a cloud within which a view has nothing new to say


def fuse(of_a: Lifted, of_b: Lifted, config: ReconstructionConfig) -> Cloud:
    """Mean of both liftings where they agree; elsewhere what continues from there.

    A part that one lifting has alone is kept if the other view shows a vessel there and it is connected with an agreed
    part: one of two vessels that lie over each other in a view is found by the other view only. A part that hangs on
    nothing is a ghost four times out of five, however well it fits.
    """
    far_a, near_b = (np.asarray(found) for found in KDTree(of_b.points).query(of_a.points))
    far_b = of_b.distance_to(of_a)
    agree = far_a <= config.agreement
    alone_a, alone_b = _continuing(of_a, far_a, config), _continuing(of_b, far_b, config)
    mate = near_b[agree]
    distance = np.concatenate([far_a[agree], far_a[alone_a], far_b[alone_b]])
    return Cloud(
        np.concatenate([(of_a.points[agree] + of_b.points[mate]) / 2, of_a.points[alone_a], of_b.points[alone_b]]),
        np.concatenate([np.minimum(of_a.radius[agree], of_b.radius[mate]), of_a.radius[alone_a], of_b.radius[alone_b]]),
        confidence(distance),
        distance,
    )


def _continuing(lifted: Lifted, disagreement: FloatArray, config: ReconstructionConfig) -> NDArray[np.bool_]:
    """Points (N,) that the other lifting lacks, in parts that continue from agreed points."""
    alone = disagreement > config.agreement
    inside = lifted.edges[alone[lifted.edges].all(1)]
    label = tree.components(len(alone), inside)
    border = lifted.edges[alone[lifted.edges].sum(1) == 1]
    return np.asarray(alone & lifted.matched & np.isin(label, label[border[alone[border]]]))


def completed(cloud: Cloud, other: Cloud, cameras: Sequence[Camera]) -> Cloud:
    """A cloud with those points of another that, in any view, lie further than `EXPLAINED` from its projection."""
    alone = np.zeros(len(other.points), bool)
    for camera in cameras:
        (seen, _), (pixels, depth) = camera.project(cloud.points), camera.project(other.points)
        alone |= KDTree(seen).query(pixels)[0] * camera.mm_per_pixel(depth) > EXPLAINED
    return Cloud(*(np.concatenate([ours, more[alone]]) for ours, more in zip(cloud, other, strict=True)))


def mean_in_cells(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean of points with values (N, 3 + D) in every cell of `CELL` mm: points (M, 3) and values (D, M)."""
    cell: IntArray = np.floor(values[:, :3] / CELL).astype(np.int64)
    cell -= cell.min(0)
    _, label = np.unique(np.ravel_multi_index(tuple(cell.T), tuple(cell.max(0) + 1)), return_inverse=True)
    label = label.reshape(-1)
    count = np.bincount(label)
    mean = np.stack([np.bincount(label, column) / count for column in values.T])
    return mean[:3].T, mean[3:]
