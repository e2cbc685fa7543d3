"""Widths of vessels in a mask, sub-pixel, from profiles across them (numba)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from autocar_ros.types import FloatArray, Mask

STEP = 1.0  # px between the samples of a profile
ALONG = (-1.5, 1.5, 0.0)  # px from the point along the vessel, where a profile is taken each
HALF = 127.5  # of 255, at the border of a vessel: more is inside
FAINT = 12.75  # of 255: the last of a soft border
_SLANTS = (-45.0, 45.0, 90.0)  # degrees from across the vessel: a clean vessel is wider there
SLANTS = tuple((math.cos(math.radians(a)), math.sin(math.radians(a))) for a in _SLANTS)  # cosine and sine
WIDEST = 60.0  # px; a wider profile runs along a vessel
CLEAN = 1.15  # times the smallest width there that a clean vessel may be wide


def vessel_widths(mask: Mask, pixels: FloatArray, direction: FloatArray, reach: FloatArray) -> FloatArray:
    """Widths (N,) px of the vessels that run through points of a mask.

    The width is the integral of the mask (0..1) across the vessel: for a mask of 0 and 255 it has no quantisation on
    average, for a probability it does not depend on how soft the border is. It ends where the profile has fallen below
    one half and does not fall any further, so that a neighbour close by is not counted. The mean of several profiles
    side by side; profiles that meet no vessel do not count. Where the mask is narrower in another direction the profile
    runs along a second vessel that crosses or leaves: no width is told.

    Parameters
    ----------
    mask : (rows, columns) uint8 0..255
    pixels : (N, 2) px (column, row)
    direction : (N, 2) unit, of the vessel in the image
    reach : (N,) px to look for the vessel to either side

    Returns
    -------
    (N,) px, NaN where no vessel is in reach, the vessel leaves the image, or another one hides its border
    """
    return np.asarray(_widths(mask, pixels, direction, reach))


@njit(cache=True)
def bilinear(mask, x, y):  # type: ignore[no-untyped-def]
    """Bilinear value at a pixel; -1 outside the image."""
    column, row = math.floor(x), math.floor(y)
    if column < 0 or row < 0 or column >= mask.shape[1] - 1 or row >= mask.shape[0] - 1:
        return -1.0
    u, v = x - column, y - row
    upper = mask[row, column] * (1 - u) + mask[row, column + 1] * u
    lower = mask[row + 1, column] * (1 - u) + mask[row + 1, column + 1] * u
    return upper * (1 - v) + lower * v


@njit(cache=True)
def _side(mask, x, y, nx, ny, most):  # type: ignore[no-untyped-def]
    """Integral of the mask from a point inside a vessel to its border along (nx, ny), or until it exceeds `most`.

    Infinite when the vessel leaves the image.
    """
    last, total, k = 255.0, 0.0, 0
    while True:
        k += 1
        value = bilinear(mask, x + k * STEP * nx, y + k * STEP * ny)
        if value < 0:
            return math.inf
        if total > most or (value < HALF and (value >= last or value < FAINT)):
            return total
        total += value * (STEP / 255.0)
        last = value


@njit(cache=True)
def _find(mask, x, y, nx, ny, reach):  # type: ignore[no-untyped-def]
    """Where along (nx, ny) the vessel nearest to a point begins, px; NaN without one in reach."""
    for k in range(int(reach / STEP) + 1):
        for sign in (STEP, -STEP):
            if bilinear(mask, x + sign * k * nx, y + sign * k * ny) >= HALF:
                return sign * k
    return math.nan


@njit(cache=True)
def _width(mask, x, y, nx, ny, most):  # type: ignore[no-untyped-def]
    """Width of a vessel along (nx, ny) at a point inside, and how far its middle is from there.

    A width beyond `most` is only known to be so, and infinite when the vessel leaves the image.
    """
    one = _side(mask, x, y, nx, ny, most)
    other = _side(mask, x, y, -nx, -ny, most - one)
    return one + other + bilinear(mask, x, y) * (STEP / 255.0), (one - other) / 2


@njit(cache=True)
def _is_clean(mask, x, y, dx, dy, least):  # type: ignore[no-untyped-def]
    """Whether the vessel of direction (dx, dy) around its middle (x, y) is at least so wide in all directions."""
    clean = True
    for c, s in SLANTS:
        clean = clean and _width(mask, x, y, s * dx - c * dy, c * dx + s * dy, least)[0] >= least
    return clean


@njit(cache=True)
def vessel_width(mask, x, y, dx, dy, reach):  # type: ignore[no-untyped-def]
    """One of the `vessel_widths`: at (x, y) of a vessel along (dx, dy)."""
    total, count, middle_x, middle_y = 0.0, 0, 0.0, 0.0
    for shift in ALONG:
        px, py = x + shift * dx, y + shift * dy
        at = _find(mask, px, py, -dy, dx, reach)
        if not math.isnan(at):
            width, off = _width(mask, px - at * dy, py + at * dx, -dy, dx, WIDEST)
            total, count = total + width, count + 1
            middle_x, middle_y = px - (at + off) * dy, py + (at + off) * dx
    if count == 0 or total >= WIDEST * count:
        return math.nan
    return total / count if _is_clean(mask, middle_x, middle_y, dx, dy, total / count / CLEAN) else math.nan


@njit(cache=True)
def _widths(mask, pixels, direction, reach):  # type: ignore[no-untyped-def]
    widths = np.empty(len(pixels))
    for i in range(len(pixels)):
        widths[i] = vessel_width(mask, pixels[i, 0], pixels[i, 1], direction[i, 0], direction[i, 1], reach[i])
    return widths
