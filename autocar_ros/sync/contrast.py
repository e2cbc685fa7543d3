"""Is a plane contrast-filled: judged by the area of its masks, nothing else."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from autocar_ros.types import NANOSECONDS, Mask

VESSEL = 128  # of a mask: vessel from here on
LARGEST_SHARE = 0.4  # of an image: more is not vessels but a failed segmentation
STEADY = 0.2  # relative change of area against the frames before
STEADY_TIME = 0.5  # s
STEADY_FRAMES = 3
MEMORY = 10.0  # s, over which the largest area is remembered


class ContrastFill:
    """Vessel area of one plane over time.

    A frame counts as filled when its area is at least `least` of the image and `share` of the largest area of the
    last 10 s, and within 20 % of the median of the last half second and at least three frames (so neither inflow nor
    washout). It is blind to what the area consists of: a catheter or a rib in the mask counts like a vessel.
    """

    def __init__(self, least: float, share: float) -> None:
        self._least, self._share = least, share
        self._areas: deque[tuple[int, float]] = deque(maxlen=600)

    def add(self, stamp_ns: int, mask: Mask) -> bool:
        """Take the newest mask and say whether it shows a filled tree."""
        area = cv2.countNonZero(cv2.inRange(mask, VESSEL, 255)) / mask.size
        if area > LARGEST_SHARE:
            return False
        self._areas.append((stamp_ns, area))
        lately = max(len(self._since(stamp_ns, STEADY_TIME)), STEADY_FRAMES)  # slow frames reach further back
        recent = [a for _, a in self._areas][-lately:]
        filled = area >= max(self._least, self._share * max(self._since(stamp_ns, MEMORY)))
        steady = len(recent) >= STEADY_FRAMES and abs(area - float(np.median(recent))) <= STEADY * area
        return filled and steady

    def _since(self, stamp_ns: int, seconds: float) -> list[float]:
        return [area for t, area in self._areas if stamp_ns - t <= seconds * NANOSECONDS]
