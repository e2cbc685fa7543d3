"""How the vessels of one plane move from frame to frame, by optical flow of small blurred pictures.

Velocity, not position: a heart beat moves vessels by 15 mm in a sixth of a second, breathing by 5 mm in two seconds and
arriving contrast hardly moves what is there already. So the beat stands out before anything is filtered.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import cv2
import numpy as np

from autocar_ros.errors import InvalidInputError
from autocar_ros.imaging.enhance import Float32Array, float32
from autocar_ros.types import NANOSECONDS, FloatArray, IntArray

SIZE = 64  # px, edge of the small pictures
BLUR = 1.0  # px of the small pictures
CELLS = 4  # a side: motion is told on a grid of so many parts of the picture
LONGEST_STEP = 0.45  # s between two frames, from which on they say nothing about motion
MOST_STEPS = 4096
_GREY = 99.5  # percentile of a picture that becomes white

Vessels = np.ndarray[Any, np.dtype[Any]]  # (rows, columns) amount of vessel: a mask, or absorption


class VesselMotion:
    """Velocities between the frames of one plane, of the last `history` s.

    Contrast, gain and bit depth do not matter; what is negative counts as no vessel.
    """

    def __init__(self, history: float) -> None:
        self._history = history
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._flow.setFinestScale(0)
        self._steps: deque[tuple[int, FloatArray, float]] = deque(maxlen=MOST_STEPS)
        self._newest: tuple[int, Float32Array] | None = None

    def reset(self) -> None:
        """Forget everything."""
        self._steps.clear()
        self._newest = None

    def add(self, stamp_ns: int, vessels: Vessels) -> None:
        """Take the newest frame (rows, columns); one that is not newer than the last is passed over."""
        if vessels.ndim != 2 or vessels.size == 0:
            raise InvalidInputError(f"a picture of vessels must be two-dimensional, got shape {vessels.shape}")
        before, after = self._newest, _small(vessels)
        if before is not None and stamp_ns <= before[0]:
            return
        self._newest = (stamp_ns, after)
        if before is None:
            return
        seconds = (stamp_ns - before[0]) / NANOSECONDS
        if seconds > LONGEST_STEP:
            self._steps.clear()  # another run
            return
        moved, weight = self._moved(before[1], after)
        self._steps.append(((stamp_ns + before[0]) // 2, moved / seconds, weight))
        while stamp_ns - self._steps[0][0] > self._history * NANOSECONDS:
            self._steps.popleft()

    @property
    def stamps(self) -> IntArray:
        """(N,) ns, midway between two frames."""
        return np.array([step[0] for step in self._steps], np.int64)

    @property
    def velocity(self) -> FloatArray:
        """(N, CELLS, CELLS, 2) to the right and down, in image widths a second, times the vessel in each cell."""
        return np.array([step[1] for step in self._steps]).reshape(-1, CELLS, CELLS, 2)

    @property
    def weight(self) -> FloatArray:
        """(N,) vessel in the picture: what `velocity` is to be divided by for a mean over the picture."""
        return np.array([step[2] for step in self._steps])

    def _moved(self, before: Float32Array, after: Float32Array) -> tuple[FloatArray, float]:
        """Way of the vessels in each cell (CELLS, CELLS, 2) times their amount, and the amount of all."""
        top = max(float(np.percentile(before, _GREY)), float(np.percentile(after, _GREY)))
        if top <= 0:
            return np.zeros((CELLS, CELLS, 2)), 0.0
        grey = [np.clip(picture * (255 / top), 0, 255).astype(np.uint8) for picture in (before, after)]
        flow = self._flow.calc(grey[0], grey[1], np.zeros((SIZE, SIZE, 2), np.float32))
        part = SIZE // CELLS
        way = (flow * before[..., None]).reshape(CELLS, part, CELLS, part, 2).sum((1, 3)) / SIZE
        return way.astype(np.float64), float(before.sum())


def _small(vessels: Vessels) -> Float32Array:
    small = float32(cv2.resize(vessels, (SIZE, SIZE), interpolation=cv2.INTER_AREA))
    return float32(cv2.GaussianBlur(np.maximum(small, 0), (0, 0), BLUR))
