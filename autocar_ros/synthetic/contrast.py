"""Contrast agent in the vessels: it arrives from the ostium, stays, and is washed out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autocar_ros.types import FloatArray

FRONT = 0.25  # s, from first to full contrast at one place
TAIL = 0.9  # s, from full to no contrast at one place


@dataclass(frozen=True)
class Contrast:
    """Repeated injections.

    Attributes
    ----------
    mode : "injection" (repeated), "full" (always filled) or "none"
    flow_speed : mm/s, of front and tail along the vessels
    start : s, of the first injection
    duration : s, of one injection
    period : s, from one injection to the next
    """

    mode: str = "injection"
    flow_speed: float = 120.0
    start: float = 0.3
    duration: float = 11.0
    period: float = 15.0

    def concentration(self, distance: FloatArray, time: float) -> FloatArray:
        """Concentration 0..1 of the injected agent, (N,), at `distance` (N,) mm from the ostium."""
        if self.mode != "injection":
            return np.full(len(distance), float(self.mode == "full"))
        delay = distance / self.flow_speed
        since = time - self.start
        cycle = np.floor(since / self.period)
        # The last injection may still leave while the next one arrives.
        filled = [self._bolus(since - k * self.period - delay) for k in (cycle - 1, cycle) if k >= 0]
        return np.maximum.reduce(filled) if filled else np.zeros(len(distance))

    def _bolus(self, age: FloatArray) -> FloatArray:
        """Concentration at `age` s after the first agent came by."""
        return _smooth_step(age / FRONT) * (1 - _smooth_step((age - self.duration) / TAIL))


def _smooth_step(x: FloatArray) -> FloatArray:
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))
