"""How far contrast agent fills the vessels of a plane, judged by how much of its pictures is vessel.

Blind to what it measures: a catheter or a rib in the mask counts like a vessel.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label, median_filter

from autocar_ros.types import MASK_THRESHOLD, NANOSECONDS, FloatArray, IntArray, Mask

LARGEST_SHARE = 0.4  # of an image: more is not vessels but a failed segmentation
STEADY = 0.2  # relative change of area against the frames before
STEADY_TIME = 0.5  # s
STEADY_FRAMES = 3
MEMORY = 10.0  # s, over which the largest area is remembered
EMPTY_SHARE = 0.25  # of the largest area: less is an empty tree
DIP = 0.2  # of the largest area, by which a beating heart hides parts of a full tree behind others
LONGEST_DIP = 1.0  # s, about a beat
STATIC = 0.7  # least over largest amount of a run, from which on contrast does not come or go


class ContrastState(IntEnum):
    """How far a tree is filled."""

    EMPTY = 0
    FILLING = 1
    FULL = 2
    WASHING_OUT = 3


class Contrast(NamedTuple):
    """Of one frame."""

    state: ContrastState
    key: bool  # full, and the frame itself shows it: fit for a key frame


class ContrastFill:
    """Contrast of one plane as its masks come in.

    The level is the median area of three frames, so that one bad mask changes nothing. A tree is full when its level is
    at least `share` of the largest of the last 10 s and within 20 % of the median of the last half second and at least
    three frames; the dips of a beating heart do not end that. It is empty below a quarter of the largest level, or
    below `least` of the image.
    """

    def __init__(self, least: float, share: float) -> None:
        self._least, self._share = least, share
        self._areas: deque[tuple[int, float, float]] = deque(maxlen=600)  # stamp, area, level
        self._state = ContrastState.EMPTY

    def add(self, stamp_ns: int, mask: Mask) -> Contrast:
        """Take the newest mask."""
        area = cv2.countNonZero(cv2.inRange(mask, MASK_THRESHOLD, 255)) / mask.size
        if area > LARGEST_SHARE:
            return Contrast(self._state, False)
        level = float(np.median([*[a for _, a, _ in self._areas][-2:], area]))
        self._areas.append((stamp_ns, area, level))
        lately = max(len(self._since(stamp_ns, STEADY_TIME)), STEADY_FRAMES)  # slow frames reach further back
        recent = [a for _, a, _ in self._areas][-lately:]
        steady = len(recent) >= STEADY_FRAMES and abs(area - float(np.median(recent))) <= STEADY * area
        largest = max(self._since(stamp_ns, MEMORY))
        self._state = self._next(level, largest, steady)
        key = self._state is ContrastState.FULL and steady and area >= max(self._least, self._share * largest)
        return Contrast(self._state, key)

    def _next(self, level: float, largest: float, steady: bool) -> ContrastState:
        if level < max(self._least, EMPTY_SHARE * largest):
            return ContrastState.EMPTY
        was_full = self._state is ContrastState.FULL
        if (steady and level >= self._share * largest) or (was_full and level >= (self._share - DIP) * largest):
            return ContrastState.FULL
        return (
            ContrastState.WASHING_OUT if was_full or self._state is ContrastState.WASHING_OUT else ContrastState.FILLING
        )

    def _since(self, stamp_ns: int, seconds: float) -> list[float]:
        return [level for t, _, level in self._areas if stamp_ns - t <= seconds * NANOSECONDS]


def contrast_states(amount: FloatArray, stamps: IntArray, share: float) -> NDArray[np.int64]:
    """`ContrastState` (F,) of all frames of a recorded run.

    Parameters
    ----------
    amount : (F,) vessel in each frame: area of masks, or mean absorption, which is never 0
    stamps : (F,) ns
    share : of the largest amount above the smallest, from which on the tree is full
    """
    if len(amount) == 0:
        return np.zeros(0, np.int64)
    step = float(np.median(np.diff(stamps))) / NANOSECONDS if len(stamps) > 1 else STEADY_TIME
    smooth = median_filter(amount, max(2 * int(STEADY_TIME / step / 2) + 1, STEADY_FRAMES), mode="mirror")
    top, base = float(np.percentile(smooth, 95)), float(smooth.min())
    if top <= 0:
        return np.full(len(amount), ContrastState.EMPTY)
    base = 0.0 if base > STATIC * top else base
    height = (smooth - base) / (top - base)
    full = _without_dips(height >= share, height >= share - DIP, LONGEST_DIP / step)
    gaps, count = label(~full)
    states = np.full(len(amount), ContrastState.FULL)
    for gap in range(1, count + 1):
        inside = np.flatnonzero(gaps == gap)
        lowest = 0 if inside[0] == 0 else int(height[inside].argmin()) if inside[-1] < len(full) - 1 else len(inside)
        states[inside[:lowest]], states[inside[lowest:]] = ContrastState.WASHING_OUT, ContrastState.FILLING
    states[~full & (height < EMPTY_SHARE)] = ContrastState.EMPTY
    return states.astype(np.int64)


def _without_dips(full: NDArray[np.bool_], nearly: NDArray[np.bool_], longest: float) -> NDArray[np.bool_]:
    """Fill short gaps between full frames in which the tree is nearly full."""
    gaps, count = label(~full)
    for gap in range(1, count + 1):
        inside = np.flatnonzero(gaps == gap)
        between = inside[0] > 0 and inside[-1] < len(full) - 1
        if between and len(inside) <= longest and nearly[inside].all():
            full = full | (gaps == gap)
    return full
