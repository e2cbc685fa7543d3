"""Thinning of masks (Guo & Hall 1989) that only looks again at pixels whose surroundings changed."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autocar_ros.types import IntArray

STAYS, FALLS, LISTED = 1, 2, 4  # states of a pixel, as bits; 0 is background


def thin(vessel: NDArray[np.uint8]) -> IntArray:
    """Thin a binary image to lines one pixel wide, 8-connected as the image was.

    Parameters
    ----------
    vessel : (rows, columns) uint8, contiguous; 0 is background, and so must all of its border be

    Returns
    -------
    (M, 2) row and column of what is left, in reading order
    """
    return np.asarray(_thin(vessel.ravel(), vessel.shape[1], _REMOVABLE))


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
def _thin(vessel, columns, removable):  # type: ignore[no-untyped-def]
    """`thin` an image given as its pixels (rows * columns,) in reading order.

    A pixel is looked at again in the two half-steps after its surroundings have changed. What surrounds it is kept as
    bits, up to date.
    """
    ring = np.array([-columns, -columns + 1, 1, columns + 1, columns, columns - 1, -1, -columns - 1])
    state, around = np.zeros(len(vessel), np.uint8), np.zeros(len(vessel), np.uint8)
    pixels = np.flatnonzero(vessel)
    changed, count = np.empty((2, len(pixels)), np.int64), np.zeros(2, np.int64)
    falling = np.empty(len(pixels), np.int64)
    for pixel in pixels:
        state[pixel] = STAYS
        for bit in range(8):
            around[pixel] |= (vessel[pixel + ring[bit]] != 0) << bit
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
                if state[other] == STAYS:
                    state[other] = STAYS | LISTED
                    changed[half, count[half]] = other
                    count[half] += 1
        for pixel in changed[half, : count[half]]:
            state[pixel] = STAYS
        step += 1
    left = pixels[state[pixels] == STAYS]
    return np.stack((left // columns, left % columns), axis=1)
