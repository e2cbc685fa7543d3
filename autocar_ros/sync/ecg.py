"""Cardiac phase from a streamed ECG.

R waves are found by the energy of the slope in the QRS band (the idea of Pan & Tompkins, IEEE Trans Biomed Eng 32:230,
1985) with zero-phase filters from scipy. Phase is 0 at an R wave and grows linearly to 1 at the next.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

from autocar_ros.errors import InvalidInputError
from autocar_ros.sync import beats
from autocar_ros.types import NANOSECONDS, FloatArray, IntArray

QRS_BAND = (5.0, 20.0)  # Hz
QRS_WIDTH = 0.1  # s
LEAST_RATE = 50.0  # Hz, that can carry a QRS complex
REFRACTORY = 0.25  # s, between two R waves: 240 beats a minute
WINDOW = 1.5  # s, holds at least one beat: 40 beats a minute
BEAT_SHARE = 0.25  # of a typical beat's slope energy; T waves and noise stay below
CONTRAST = 8.0  # a beat's slope energy over the median; noise alone reaches about 5
CLOCK_JUMP = NANOSECONDS  # stamps running backwards by more than this start a new recording


def detect_r_waves(samples: FloatArray, sampling_rate: float) -> IntArray:
    """Find R waves, whatever the scale, polarity and baseline.

    Parameters
    ----------
    samples : (N,) any unit; NaN is bridged
    sampling_rate : Hz, at least 50

    Returns
    -------
    (K,) increasing indices; empty when no beat stands out

    Raises
    ------
    InvalidInputError
        When the samples are not one row or the rate cannot carry a QRS complex.
    """
    values = _checked(samples, sampling_rate)
    known = np.isfinite(values)
    if known.sum() < 2 or len(values) < 2 * REFRACTORY * sampling_rate:
        return np.zeros(0, np.int64)
    values = np.interp(np.arange(len(values)), np.flatnonzero(known), values[known])
    band = sosfiltfilt(_band_pass(sampling_rate), values)
    width = max(int(QRS_WIDTH * sampling_rate), 1)
    energy = uniform_filter1d(np.gradient(band) ** 2, width)
    beat = _typical_beat(energy, int(WINDOW * sampling_rate))
    if beat <= max(CONTRAST * float(np.median(energy)), 1e-12 * float(np.ptp(values)) ** 2):
        return np.zeros(0, np.int64)
    peaks, _ = find_peaks(energy, height=BEAT_SHARE * beat, distance=int(REFRACTORY * sampling_rate))
    return _refine(np.asarray(peaks, np.int64), band, width)


@lru_cache(maxsize=4)  # made for every piece of ECG it would cost as much as filtering
def _band_pass(sampling_rate: float) -> FloatArray:
    return np.asarray(butter(2, QRS_BAND, "bandpass", fs=sampling_rate, output="sos"))


def _checked(samples: FloatArray, sampling_rate: float) -> FloatArray:
    values = np.asarray(samples, np.float64)
    if values.ndim != 1:
        raise InvalidInputError(f"ECG samples must be one row, got shape {values.shape}")
    if not (math.isfinite(sampling_rate) and sampling_rate >= LEAST_RATE):
        raise InvalidInputError(f"ECG sampling rate must be at least {LEAST_RATE:g} Hz, got {sampling_rate}")
    return values


def _typical_beat(energy: FloatArray, window: int) -> float:
    """Median over windows of the largest energy: one artefact does not raise it, one pause does not lower it."""
    count = max(len(energy) // window, 1)
    return float(np.median([part.max() for part in np.array_split(energy, count)]))


def _refine(peaks: IntArray, band: FloatArray, width: int) -> IntArray:
    """Move peaks of the energy to the extreme of the QRS complex, of one sign for the whole recording."""
    if len(peaks) == 0:
        return peaks
    reach = np.clip(peaks[:, None] + np.arange(-width, width + 1), 0, len(band) - 1)
    around = band[reach]
    sign = 1.0 if np.median(around.max(1)) >= np.median(-around.min(1)) else -1.0
    best = np.argmax(sign * around, axis=1)
    return np.unique(reach[np.arange(len(peaks)), best])


class EcgPhase:
    """Cardiac phase at any stamp from ECG pieces that arrive in any order.

    Parameters
    ----------
    history : s of ECG that are kept
    """

    def __init__(self, history: float = 10.0) -> None:
        self._history = history
        self._rate = 0.0
        self._pieces: dict[int, FloatArray] = {}  # stamp of the first sample -> samples
        self._r_waves: IntArray | None = None  # stamps; None = to be found

    def reset(self) -> None:
        """Forget everything."""
        self._pieces.clear()
        self._r_waves = None

    def add(self, stamp_ns: int, sampling_rate: float, samples: FloatArray) -> None:
        """Take a piece of ECG; `stamp_ns` is its first sample's.

        A duplicate replaces its first copy; another sampling rate or a clock that jumps back starts anew.
        Raises `InvalidInputError` as `detect_r_waves` does.
        """
        values = _checked(samples, sampling_rate)
        if len(values) == 0:
            return
        newest = max(self._pieces, default=stamp_ns)
        if sampling_rate != self._rate or stamp_ns < newest - CLOCK_JUMP:
            self.reset()
        self._rate = sampling_rate
        excess = max(len(values) - int(self._history * sampling_rate), 0)
        self._pieces[stamp_ns + self._nanoseconds(excess)] = values[excess:]
        oldest = max(self._pieces) - int(self._history * NANOSECONDS)
        self._pieces = {stamp: piece for stamp, piece in self._pieces.items() if stamp >= oldest}
        self._r_waves = None

    def phase(self, stamp_ns: int) -> float:
        """Phase at one stamp: see `phases`."""
        return float(self.phases(np.array([stamp_ns]))[0])

    def phases(self, stamps: IntArray) -> FloatArray:
        """Phase in [0, 1) at stamps (N,) ns, 0 = R wave; NaN where it is not known: see `beats.phases`."""
        return beats.phases(stamps, self.r_waves)

    @property
    def r_waves(self) -> IntArray:
        """Stamps of the R waves in the kept ECG, ns."""
        if self._r_waves is None:
            self._r_waves = self._find()
        return self._r_waves

    def _find(self) -> IntArray:
        if not self._pieces:
            return np.zeros(0, np.int64)
        first = min(self._pieces)
        starts = {stamp: round((stamp - first) * self._rate / NANOSECONDS) for stamp in self._pieces}
        recording = np.full(max(starts[s] + len(piece) for s, piece in self._pieces.items()), np.nan)
        for stamp in sorted(self._pieces):
            piece = self._pieces[stamp]
            recording[starts[stamp] : starts[stamp] + len(piece)] = piece
        index = detect_r_waves(recording, self._rate)
        index = index[index < len(recording) - QRS_WIDTH * self._rate]  # a QRS cut in two is found where it is not
        return first + np.round(index * (NANOSECONDS / self._rate)).astype(np.int64)

    def _nanoseconds(self, samples: int) -> int:
        return round(samples * NANOSECONDS / self._rate)
