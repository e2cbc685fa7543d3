"""From R waves to cardiac phase: 0 at an R wave, growing linearly to 1 at the next."""

from __future__ import annotations

import numpy as np

from autocar_ros.types import NANOSECONDS, FloatArray, IntArray

LONGEST_BEAT = 1.75  # of the median RR: longer means a missed beat, and no phase
LATE = 0.3  # s, the phase runs on past a predicted R wave: until the real one can have been found


def phases(stamps: IntArray, r_waves: IntArray) -> FloatArray:
    """Phase in [0, 1) at stamps (N,) ns, given the increasing stamps (K,) ns of R waves; NaN where it is not known.

    After the last R wave it is extrapolated with the median beat, for one beat and `LATE` s.
    """
    if len(r_waves) < 2:
        return np.full(len(stamps), np.nan)
    beats = np.diff(r_waves)
    typical = float(np.median(beats))
    beats = np.append(beats.astype(np.float64), typical)
    k = np.searchsorted(r_waves, stamps, side="right") - 1
    beat, elapsed = beats[k], (stamps - r_waves[k]).astype(np.float64)
    known = (k >= 0) & (beat <= LONGEST_BEAT * typical) & (elapsed <= beat + LATE * NANOSECONDS)
    return np.where(known, (elapsed / beat) % 1.0, np.nan)


def apart(phase: FloatArray, other: FloatArray | float) -> FloatArray:
    """Distance of two phases on the circle, 0..0.5; NaN where one is not known."""
    return np.asarray(np.abs((phase - other + 0.5) % 1.0 - 0.5))
