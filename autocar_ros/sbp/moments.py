"""Several moments of recorded runs that show the vessels in the same place, made one cloud.

What noise in the masks, or chance in the lifting, made of one look at one moment is not in the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from scipy.spatial import KDTree

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import ReconstructionError
from autocar_ros.sbp.fusion import mean_in_cells
from autocar_ros.sbp.network import SbpNetwork
from autocar_ros.sbp.observation import observe
from autocar_ros.sbp.prediction import pair_cloud
from autocar_ros.types import FramePair
from autocar_ros.vessels.graph import Cloud

CONFIRMED = 1.5  # mm within which a point of one cloud is found in another
CONFIRMING = 0.3  # of the clouds must have a point; more lose vessels that are hard to see
FEWEST = 3  # clouds; two that differ do not tell which is right


def other_looks(
    pair: FramePair, more: Sequence[FramePair], config: ReconstructionConfig, network: SbpNetwork | None
) -> Iterator[Cloud]:
    """Clouds of `more` pairs, each looked at from both sides, and of the first from its other side; if they give one.

    From the other side the planes change places, which take turns in lifting: it errs elsewhere.
    """
    for look in (_swapped(pair), *(side for other in more for side in (other, _swapped(other)))):
        with suppress(ReconstructionError):
            yield pair_cloud(observe(look, config), config, network)[0]


def _swapped(pair: FramePair) -> FramePair:
    return replace(pair, mask_a=pair.mask_b, mask_b=pair.mask_a, pose_a=pair.pose_b, pose_b=pair.pose_a)


def confirmed(clouds: Sequence[Cloud]) -> Cloud:
    """Points that `CONFIRMING` of several clouds of one tree have, each the mean of all; the first of too few clouds.

    The confidence of a point is the mean over all clouds, 0 where one lacks it.
    """
    if len(clouds) < FEWEST:
        return clouds[0]
    together = np.concatenate([cloud.points for cloud in clouds])
    total, found = np.zeros((len(together), 6)), np.zeros(len(together))
    for cloud in clouds:
        far, nearest = (np.asarray(of) for of in KDTree(cloud.points).query(together))
        near = far <= CONFIRMED
        values = np.column_stack([cloud.points, cloud.radius, cloud.confidence, cloud.disagreement])
        total[near] += values[nearest[near]]
        found += near
    kept = found >= CONFIRMING * len(clouds)
    mean = total[kept] / found[kept, None]
    mean[:, 4] *= found[kept] / len(clouds)
    points, (radius, sure, apart) = mean_in_cells(mean)
    return Cloud(points, radius, sure, apart)
