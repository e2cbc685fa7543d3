"""From R waves to cardiac phase: 0 at an R wave, growing linearly to 1 at the next."""

from __future__ import annotations

import numpy as np

from autocar_ros.types import NANOSECONDS, FloatArray, IntArray

LONGEST_BEAT = 1.75  # of the median RR: longer means a missed beat, and no phase
LATELY = 3  # beats, of which the next one will be much like
LATE = 0.3  # s, the phase runs on past a predicted R wave: until the real one can have been found


def phases(stamps: IntArray, r_waves: IntArray) -> FloatArray:
    """Phase in [0, 1) at stamps (N,) ns, given the increasing stamps (K,) ns of R waves; NaN where it is not known.

    After the last R wave it is extrapolated with the median of the last beats, for one beat and `LATE` s.
    """
    if len(r_waves) < 2:
        return np.full(len(stamps), np.nan)
    beats = np.diff(r_waves)
    typical = float(np.median(beats))
    beats = np.append(beats.astype(np.float64), np.median(beats[-LATELY:]))
    k = np.searchsorted(r_waves, stamps, side="right") - 1
    beat, elapsed = beats[k], (stamps - r_waves[k]).astype(np.float64)
    known = (k >= 0) & (beat <= LONGEST_BEAT * typical) & (elapsed <= beat + LATE * NANOSECONDS)
    return np.where(known, (elapsed / beat) % 1.0, np.nan)


def extended(r_waves: IntArray) -> IntArray:
    """R waves (K,) ns with the one before and the one after them, as the nearest beats make expect; K > 1 or none."""
    if len(r_waves) < 2:
        return r_waves
    beats = np.diff(r_waves)
    first, last = (int(np.median(part)) for part in (beats[:LATELY], beats[-LATELY:]))
    return np.asarray(np.r_[r_waves[0] - first, r_waves, r_waves[-1] + last])


def apart(phase: FloatArray, other: FloatArray | float) -> FloatArray:
    """Distance of two phases on the circle, 0..0.5; NaN where one is not known."""
    return np.asarray(np.abs((phase - other + 0.5) % 1.0 - 0.5))
