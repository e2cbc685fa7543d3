"""Thinning of masks (Guo & Hall 1989) that only looks again at pixels whose surroundings changed."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from autocar_ros.types import IntArray

STAYS, FALLS = 1, 2  # states of a pixel; 0 is background
_BITS = np.array([[128, 1, 2], [64, 0, 4], [32, 16, 8]], np.float32)  # of the neighbours of a pixel


def thin(vessel: NDArray[np.uint8]) -> IntArray:
    """Thin a binary image to lines one pixel wide, 8-connected as the image was.

    Parameters
    ----------
    vessel : (rows, columns) uint8, contiguous; 0 is background, and so must all of its border be

    Returns
    -------
    (M, 2) row and column of what is left, in reading order
    """
    filled = np.minimum(vessel, 1)
    place = np.flatnonzero(filled.view(np.bool_))
    around = cv2.filter2D(filled, -1, _BITS).ravel()
    left = place[_thin(place, around, vessel.shape[1], _REMOVABLE)]
    return np.stack(np.divmod(left, vessel.shape[1]), axis=1)


def _removable() -> NDArray[np.bool_]:
    """(2, 256) whether a pixel falls in each half-step; bit k is its k-th neighbour, clockwise from the one above."""
    near = ((np.arange(256)[:, None] >> np.arange(8)) & 1).astype(bool)
    n, ne, e, se, s, sw, w, nw = near.T
    after = np.roll(near, -1, axis=1)
    parts = (~near & (after | np.roll(near, -2, axis=1)))[:, ::2].sum(1)
    thickness = np.minimum((near | after)[:, ::2].sum(1), (near | after)[:, 1::2].sum(1))
    inner = (parts == 1) & (thickness >= 2) & (thickness <= 3)
    return np.stack([inner & ~((s | sw | ~nw) & w), inner & ~((n | ne | ~se) & e)])


_REMOVABLE = _removable()


@njit(cache=True)
def _thin(vessel, around, columns, removable):  # type: ignore[no-untyped-def]
    """Which of the pixels `vessel` (M,), flat indices, stay.

    `around` (rows * columns,) holds the neighbours of every pixel as bits, and is kept up to date. A pixel is looked at
    again in the two half-steps after its surroundings have changed.
    """
    ring = np.array([-columns, -columns + 1, 1, columns + 1, columns, columns - 1, -1, -columns - 1])
    state, listed = np.zeros(len(around), np.uint8), np.full(len(around), -1, np.int32)
    changed, count = np.empty((2, len(vessel)), np.int64), np.zeros(2, np.int64)
    falling = np.empty(len(vessel), np.int64)
    for pixel in vessel:
        state[pixel] = STAYS
        if around[pixel] != 255:
            changed[1, count[1]] = pixel
            count[1] += 1
    step = 0
    while count.sum() > 0:
        half, fallen = step % 2, 0
        for h in range(2):
            for pixel in changed[h, : count[h]]:
                if state[pixel] == STAYS and removable[half, around[pixel]]:
                    state[pixel] = FALLS
                    falling[fallen] = pixel
                    fallen += 1
        count[half] = 0
        for pixel in falling[:fallen]:
            state[pixel] = 0
        for pixel in falling[:fallen]:
            for bit in range(8):
                other = pixel + ring[bit]
                around[other] &= ~(1 << (bit + 4) % 8)
                if state[other] == STAYS and listed[other] != step:
                    listed[other] = step
                    changed[half, count[half]] = other
                    count[half] += 1
        step += 1
    return state[vessel] == STAYS
