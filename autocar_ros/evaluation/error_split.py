"""Where a coarse-to-fine method loses true voxels and invents false ones, on plain sets of voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import IntArray

GHOST = 2.0  # mm from the truth: a false voxel beyond is no matter of localisation


class Survivors(NamedTuple):
    """Voxels that a stage of a method still looks at."""

    voxels: IntArray  # (N, 3)
    factor: int = 1  # fine voxels along the edge of one of them


@dataclass(frozen=True)
class ErrorSplit:
    """Shares of the true and of the predicted voxels; each sums to 1."""

    found: float
    lost: dict[str, float]  # by the first stage that did not look at the voxel any more
    missed: float  # looked at by every stage, not called vessel
    right: float
    beside: float  # false, not more than `GHOST` from the truth: fine localisation
    ghosts: float  # false, further away


def error_split(
    truth: IntArray, stages: Mapping[str, Survivors], predicted: IntArray, voxel_size: float = 0.5
) -> ErrorSplit:
    """Tell the errors of a prediction apart.

    Parameters
    ----------
    truth, predicted : (N, 3) and (M, 3) occupied fine voxels of `voxel_size` mm, from one corner
    stages : what was looked at, from coarse to fine, under the name of the loss it would stand for; voxel (i, j, k) of
        a stage holds the fine voxels from (i, j, k) * factor on

    Raises
    ------
    InvalidInputError
        When the truth is empty.
    """
    if len(truth) == 0:
        raise InvalidInputError("the true volume is empty: there is nothing to compare with")
    left, lost = np.ones(len(truth), np.bool_), {}
    for name, stage in stages.items():
        seen = contained(truth // stage.factor, stage.voxels)
        lost[name] = float(np.mean(left & ~seen))
        left &= seen
    found = contained(truth, predicted)
    false = predicted[~contained(predicted, truth)]
    far = np.asarray(KDTree(truth).query(false)[0]) * voxel_size > GHOST if len(false) else np.zeros(0, np.bool_)
    number = max(len(predicted), 1)
    return ErrorSplit(
        found=float(np.mean(left & found)),
        lost=lost,
        missed=float(np.mean(left & ~found)),
        right=(len(predicted) - len(false)) / number if len(predicted) else np.nan,
        beside=float((~far).sum()) / number if len(predicted) else np.nan,
        ghosts=float(far.sum()) / number if len(predicted) else np.nan,
    )


def contained(voxels: IntArray, others: IntArray) -> NDArray[np.bool_]:
    """Whether voxels (N, 3) are among others (M, 3)."""
    if len(voxels) == 0 or len(others) == 0:
        return np.zeros(len(voxels), np.bool_)
    low = np.minimum(voxels.min(0), others.min(0))
    span = tuple(int(n) for n in np.maximum(voxels.max(0), others.max(0)) - low + 1)
    keys = [np.ravel_multi_index(tuple((v - low).T), span) for v in (voxels, others)]
    return np.isin(*keys)
