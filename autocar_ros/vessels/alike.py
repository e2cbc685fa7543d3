"""Frames of one run that show the vessels in the same place: their noise differs, and the vessels do not.

A phantom stands still, a heart rests in diastole and comes back to the same place beat after beat. No phase has to be
known for it: the centrelines tell.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.spatial import KDTree

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import FloatArray, Mask
from autocar_ros.vessels.skeleton import extract_centreline

SAME_PLACE = 0.7  # mm at the isocentre: as far as the nearer `MOST_OF_IT` of two centrelines may lie apart
MOST_OF_IT = 0.75  # of the points; the rest may be seen in one frame alone


def alike_frames(masks: Mapping[int, Mask], frame: int, mm_per_pixel: float, most: int) -> list[int]:
    """Frames whose vessels lie where those of `frame` do, that one first, then the most alike; at most `most`.

    Parameters
    ----------
    masks : of the frames that may be taken, each (rows, columns) uint8; an empty one is alike to none
    frame : one of them
    mm_per_pixel : at the isocentre
    """
    here = _centreline(masks[frame])
    if here is None:
        return [frame]
    apart = {k: _apart(here, _centreline(mask)) * mm_per_pixel for k, mask in masks.items() if k != frame}
    alike = sorted((far, k) for k, far in apart.items() if far <= SAME_PLACE)
    return [frame, *(k for _, k in alike)][:most]


def _centreline(mask: Mask) -> FloatArray | None:
    try:
        return extract_centreline(mask).points
    except InvalidInputError:
        return None


def _apart(one: FloatArray, other: FloatArray | None) -> float:
    """Distance in px within which most of each of two centrelines (N, 2) and (M, 2) has the other."""
    if other is None:
        return np.inf
    ways = (KDTree(one).query(other)[0], KDTree(other).query(one)[0])
    return max(float(np.quantile(way, MOST_OF_IT)) for way in ways)
