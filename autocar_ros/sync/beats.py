"""From R waves to cardiac phase: 0 at an R wave, growing linearly to 1 at the next."""

from __future__ import annotations

import numpy as np

from autocar_ros.types import NANOSECONDS, FloatArray, IntArray

LONGEST_BEAT = 1.75  # of the median RR: longer means a missed beat, and no phase
LATELY = 3  # beats, that tell what comes before and after a recording
RECENT = 5  # beats, around whose median the next one lies
CHANGE = 0.1  # relative to it: a beat that differs more does not tell how long the next one is
RESTING = 0.03  # relative change from beat to beat of a heart at rest (RMSSD 27 ms: Task Force, Eur Heart J 1996)
TYPICAL = 6  # changes that have been seen, for as much as that counts: it is 27 +- 12 ms among people
LATE = 0.6  # s, the phase runs on past a predicted R wave: until the real one can have been found


def phases(stamps: IntArray, r_waves: IntArray) -> FloatArray:
    """Phase in [0, 1) at stamps (N,) ns, given the increasing stamps (K,) ns of R waves; NaN where it is not known.

    After the last R wave it is extrapolated for one beat and `LATE` s: breathing and blood pressure change the rate
    slowly, so the next beat is as long as the last one, within `CHANGE` of the recent ones.
    """
    if len(r_waves) < 2:
        return np.full(len(stamps), np.nan)
    lengths = np.diff(r_waves).astype(np.float64)
    k = np.searchsorted(r_waves, stamps, side="right") - 1
    beat, elapsed = np.append(lengths, _following(lengths))[k], (stamps - r_waves[k]).astype(np.float64)
    known = (k >= 0) & (beat <= LONGEST_BEAT * float(np.median(lengths))) & (elapsed <= beat + LATE * NANOSECONDS)
    return np.where(known, elapsed / beat, np.nan) % 1.0


def errors(stamps: IntArray, r_waves: IntArray, wave_error: float) -> FloatArray:
    """Expected error (N,) of phases, of a standard deviation; `wave_error` that of an R wave. Parts of a beat.

    Before the first and after the last R wave it grows with time, the faster the more the beats have changed from one
    to the next. The few that have been seen may be alike by chance, so they only adjust what hearts at rest do.
    """
    if len(r_waves) < 2:
        return np.full(len(stamps), np.nan)
    lengths = np.diff(r_waves).astype(np.float64)
    changes = np.diff(lengths) / np.median(lengths)
    expected = RESTING**2 + 6 * wave_error**2  # the difference of two beats holds three waves, the middle one twice
    change = np.sqrt((TYPICAL * expected + np.sum(changes**2)) / (TYPICAL + len(changes)))
    before, after = (r_waves[0] - stamps) / lengths[0], (stamps - r_waves[-1]) / _following(lengths)
    return np.asarray(np.hypot(wave_error, change * np.maximum(np.maximum(before, after), 0.0)))


def _following(lengths: FloatArray) -> float:
    """Length of the next beat, after those of `lengths` (K,)."""
    recent = float(np.median(lengths[-RECENT:]))
    return float(np.clip(lengths[-1], (1 - CHANGE) * recent, (1 + CHANGE) * recent))


def extended(r_waves: IntArray) -> IntArray:
    """R waves (K,) ns with the one before and the one after them, as the nearest beats make expect; K > 1 or none."""
    if len(r_waves) < 2:
        return r_waves
    beats = np.diff(r_waves)
    first, last = (int(np.median(part)) for part in (beats[:LATELY], beats[-LATELY:]))
    return np.asarray(np.r_[r_waves[0] - first, r_waves, r_waves[-1] + last])


def later(phase: FloatArray, other: FloatArray | float) -> FloatArray:
    """By how much a phase lies after another on the circle, -0.5..0.5; NaN where one is not known."""
    return np.asarray((phase - other + 0.5) % 1.0 - 0.5)


def apart(phase: FloatArray, other: FloatArray | float) -> FloatArray:
    """Distance of two phases on the circle, 0..0.5; NaN where one is not known."""
    return np.abs(later(phase, other))
