"""Several moments of recorded runs that show the vessels in the same place, made one cloud.

What noise in the masks, or chance in the lifting, made of one look at one moment is not in the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import cv2
import numpy as np
from scipy.spatial import KDTree

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import ReconstructionError
from autocar_ros.geometry.camera import Camera
from autocar_ros.sbp.fusion import mean_in_cells
from autocar_ros.sbp.network import SbpNetwork
from autocar_ros.sbp.observation import observe
from autocar_ros.sbp.prediction import pair_cloud
from autocar_ros.types import FloatArray, FramePair
from autocar_ros.vessels.graph import Cloud

CONFIRMED = 1.5  # mm within which a point of one cloud is found in another
CONFIRMING = 0.5  # of the clouds confirm a point, whatever else they say
LEAST = 0.15  # of the clouds must have a point that has no rival, ...
FEWEST_LEAST = 3  # ... and so many at least
RIVALRY = 0.7  # of the support of the best supported point that the same place in an image could show instead
CELLS = 2  # of an image to `CONFIRMED` when points are looked up that project beside each other
FEWEST = 3  # clouds; two that differ do not tell which is right


def other_looks(
    pair: FramePair, more: Iterable[FramePair], config: ReconstructionConfig, network: SbpNetwork | None
) -> Iterator[Cloud]:
    """Clouds of `more` pairs, each looked at from both sides, and of the first from its other side; if they give one.

    From the other side the planes change places, which take turns in lifting: it errs elsewhere.
    """
    for look in (_swapped(pair), *(side for other in more for side in (other, _swapped(other)))):
        with suppress(ReconstructionError):
            yield pair_cloud(observe(look, config), config, network)[0]


def _swapped(pair: FramePair) -> FramePair:
    return replace(
        pair,
        mask_a=pair.mask_b,
        mask_b=pair.mask_a,
        pose_a=pair.pose_b,
        pose_b=pair.pose_a,
        absorption_a=pair.absorption_b,
        absorption_b=pair.absorption_a,
    )


def confirmed(clouds: Sequence[Cloud], cameras: Sequence[Camera]) -> Cloud:
    """Points that enough of several clouds of one tree have, each the mean of all; the first of too few clouds.

    `CONFIRMING` of the clouds are enough. `LEAST` are for a point that in one of the views is supported about as well
    as anything that projects there: where the depth of a vessel is uncertain the clouds scatter, and yet it is there.
    The confidence of a point is the mean over all clouds, 0 where one lacks it.
    """
    if len(clouds) < FEWEST:
        return clouds[0]
    mean, support = _together(clouds)
    best = np.zeros(len(support), bool)
    for camera in cameras:
        best |= support >= RIVALRY * _largest_beside(mean[:, :3], support, camera)
    least = max(LEAST, FEWEST_LEAST / len(clouds))
    points, (radius, sure, apart) = mean_in_cells(mean[(support >= CONFIRMING) | (support >= least) & best])
    return Cloud(points, radius, sure, apart)


def _together(clouds: Sequence[Cloud]) -> tuple[FloatArray, FloatArray]:
    """For every point of every cloud the mean (N, 6) of all and the share (N,) of clouds that have it."""
    together = np.concatenate([cloud.points for cloud in clouds])
    total, found = np.zeros((len(together), 6)), np.zeros(len(together))
    for cloud in clouds:
        far, nearest = (np.asarray(of) for of in KDTree(cloud.points).query(together))
        near = far <= CONFIRMED
        values = np.column_stack([cloud.points, cloud.radius, cloud.confidence, cloud.disagreement])
        total[near] += values[nearest[near]]
        found += near
    mean, support = total / found[:, None], found / len(clouds)
    mean[:, 4] *= support
    return mean, support


def _largest_beside(points: FloatArray, support: FloatArray, camera: Camera) -> FloatArray:
    """Largest support of what an image shows within `CONFIRMED` of each point (N, 3) mm."""
    pixels, depth = camera.project(points)
    cell = CONFIRMED / CELLS / float(camera.mm_per_pixel(float(np.median(depth))))  # px
    place = np.floor(pixels / cell).astype(np.int64)
    column, row = (place - place.min(0)).T
    largest = np.zeros((row.max() + 1, column.max() + 1), np.float32)
    np.maximum.at(largest, (row, column), support)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * CELLS + 1,) * 2)
    return np.asarray(cv2.dilate(largest, disk)[row, column], float)
