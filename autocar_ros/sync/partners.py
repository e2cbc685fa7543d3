"""Which frames of the other plane fit a frame in mode "phase"."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from autocar_ros.sync import beats
from autocar_ros.sync.phase import Phases
from autocar_ros.types import NANOSECONDS, FloatArray, IntArray

CLOSE = 0.01  # of a beat: skews that differ less are equal, and the frame nearer in time is taken
SURE = 0.8  # least chance that the true skew, too, is within the tolerance
SAME_BEAT = 0.3  # s: phases of frames nearer than this err alike


class Partners(NamedTuple):
    """Frames that may be paired with one, best first."""

    order: IntArray  # (K,) their indices
    unsure: bool  # some are of its phase as it is told, but it is not told well enough


def skews(stamps: IntArray, told: Phases) -> tuple[FloatArray, FloatArray]:
    """By how much the phases of frames lie after that of the first of them, and the expected error of that.

    Parameters
    ----------
    stamps : (N,) ns
    told : their phases

    Returns
    -------
    (N - 1,) in -0.5..0.5 of a beat, and (N - 1,) standard deviations; NaN where a phase is not known
    """
    after = beats.later(told.values[1:], told.values[0])
    shared = np.abs(stamps[1:] - stamps[0]) < SAME_BEAT * NANOSECONDS
    return after, np.where(shared, 0.0, np.hypot(told.errors[1:], told.errors[0]))


def partners(stamps: IntArray, told: Phases, full: NDArray[np.bool_], tolerance: float) -> Partners:
    """Which of the frames after the first one fit it.

    Those full of contrast come first, of these the ones of least expected skew, of these the nearest in time.

    Parameters
    ----------
    stamps : (N,) ns, of the frame and of those of the other plane
    told : their phases
    full : (N - 1,) of contrast
    tolerance : largest skew, parts of a beat; the true one must keep it with a chance of `SURE`
    """
    after, error = skews(stamps, told)
    near = np.abs(after) <= tolerance
    fit = np.flatnonzero(near & (_chance(after, error, tolerance) >= SURE))
    seconds = np.abs(stamps[1:] - stamps[0])
    best = np.lexsort((seconds[fit], np.rint(np.hypot(after, error)[fit] / CLOSE), ~full[fit]))
    return Partners(fit[best], bool(near.any()) and len(fit) == 0)


def _chance(after: FloatArray, error: FloatArray, tolerance: float) -> FloatArray:
    """Chance that true skews are within the tolerance, of skews as told and normal errors of them."""
    spread = np.maximum(error, 1e-9)
    return np.asarray(ndtr((tolerance - after) / spread) - ndtr((-tolerance - after) / spread))
