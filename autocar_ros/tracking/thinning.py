"""Thinning of masks (Guo & Hall 1989) that only looks again at pixels whose surroundings changed."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autocar_ros.types import IntArray


def thin(vessel: NDArray[np.uint8]) -> IntArray:
    """Thin a binary image to lines one pixel wide, 8-connected as the image was.

    Parameters
    ----------
    vessel : (rows, columns) uint8, contiguous; 0 is background, and so must all of its border be

    Returns
    -------
    (M, 2) row and column of what is left, in reading order
    """
    left = _thin((vessel.ravel() > 0).astype(np.uint8), vessel.shape[1], _REMOVABLE)
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
def _thin(image, columns, removable):  # type: ignore[no-untyped-def]
    """Flat indices of the pixels that stay; `image` (rows * columns,) is used up."""
    ring = np.array([-columns, -columns + 1, 1, columns + 1, columns, columns - 1, -1, -columns - 1])
    vessel = np.flatnonzero(image)
    look = np.empty(9 * len(vessel) + 1, np.int64)
    asked = np.zeros(len(image), np.int32)
    removed = np.empty((2, len(vessel) + 1), np.int64)
    count = np.zeros(2, np.int64)
    step = looking = 0
    for pixel in vessel:
        for way in ring[::2]:
            if image[pixel + way] == 0:
                look[looking] = pixel
                looking += 1
                break
    while looking > 0 or step < 2:
        half = step % 2
        step += 1
        count[half] = 0
        for k in range(looking):
            if removable[half, _around(image, look[k], ring)]:
                removed[half, count[half]] = look[k]
                count[half] += 1
        for k in range(count[half]):
            image[removed[half, k]] = 0
        looking = _alive(image, look, looking) if step == 1 else 0  # the other half-step has not looked yet
        for h in range(2):
            for k in range(count[h]):
                for way in ring:
                    pixel = removed[h, k] + way
                    if image[pixel] and asked[pixel] != step:
                        asked[pixel] = step
                        look[looking] = pixel
                        looking += 1
    return vessel[image[vessel] > 0]


@njit(cache=True)
def _around(image, pixel, ring):  # type: ignore[no-untyped-def]
    """The neighbours of a pixel as bits."""
    code = 0
    for bit in range(8):
        code |= image[pixel + ring[bit]] << bit
    return code


@njit(cache=True)
def _alive(image, look, count):  # type: ignore[no-untyped-def]
    """Keep of the first `count` places in `look` those that are still set; how many."""
    kept = 0
    for k in range(count):
        if image[look[k]]:
            look[kept] = look[k]
            kept += 1
    return kept
