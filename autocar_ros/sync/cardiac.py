"""Heart beats from the motion of the vessels, where there is no ECG.

In early systole the vessels move fastest: downwards, as the base of the heart descends, and towards each other, as it
shrinks; just before, the atria pull them the other way. An R wave is where the second turns into the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from autocar_ros.sync import beats
from autocar_ros.sync.contrast import STATIC
from autocar_ros.sync.motion import CELLS, VesselMotion, Vessels
from autocar_ros.types import NANOSECONDS, FloatArray, IntArray

STEP = 0.01  # s, of the evenly spaced signal
PERIODS = (0.45, 1.4)  # s, of a beat: 133 to 43 a minute
SLOW = 0.5  # Hz; below are breathing and contrast flow
LEAST_VESSEL = 0.15  # of the best filled frames; with less in the picture no motion is measured
EVEN_OUT = 0.3  # of the best filled frames; with less vessel a frame counts less
OUTLIER = 2.0  # times the 95th percentile of speed: no vessel is so fast
LEAST_MOTION = 0.008  # image widths a second without breathing: a heart moves vessels several times as fast
LEAST_BEATS = 2.2  # a recording shorter than this has no period
SAME_PEAK = 0.8  # of the largest autocorrelation: the shortest such lag is the period, not a multiple of it
LEAST_PERIODICITY = 0.35
CHANCE = 2.9  # over the root of the number of frames: noise seldom seems more periodic than this
RHYTHM = 8.0  # cost of a beat that is longer or shorter than the others, per squared logarithm beyond `USUAL`
FAINT = 0.5  # of the usual score: a beat that has not been seen whole must reach it, or it is half of the next one
USUAL = 0.15  # logarithm of a beat against the others: a healthy heart at rest varies as much
WAVE_ERROR = 0.015  # of a beat, of an R wave told by motion: on simulated runs, one view against the other
DOWN, SHRINKING, SHAPE = 0.2, 1.0, 1.5  # what the signs of systole count; the first misleads in an image on its side
# Velocity of the vessels around an R wave as raised cosines: middle and half width in s of a beat of 1 s, height. The
# times after it shrink less than the beat does (Weissler 1968), about with its power 0.75; the atrial kick stays.
EJECTION, LATE_EJECTION, EARLY_FILLING = (0.12, 0.11, 1.0), (0.24, 0.12, 0.5), (0.50, 0.16, -0.6)
KICK = (-0.08, 0.10, -0.4)
SHORTENING = 0.75
BEFORE, AFTER = 0.25, 0.6  # s around an R wave that are looked at

Bump = tuple[float, float, float]


@dataclass(frozen=True)
class HeartBeats:
    """R waves found in the motion of the vessels, or why there are none."""

    r_waves: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))  # (K,) ns
    confidence: float = 0.0  # 0..1, how well one beat repeats the other
    reason: str = ""  # why there are none; empty when there are


class ImagePhase:
    """Cardiac phase of one plane from its masks or absorption images, online and offline alike.

    Parameters
    ----------
    history : s of motion that are kept
    refresh : s of new motion after which beats are looked for anew
    """

    def __init__(self, history: float, refresh: float = 0.0) -> None:
        self._motion = VesselMotion(history)
        self._refresh = refresh
        self._beats: HeartBeats | None = None  # None = to be found
        self._found_at = 0  # ns, newest motion when they were found

    def reset(self) -> None:
        """Forget everything."""
        self._motion.reset()
        self._beats = None

    def add(self, stamp_ns: int, vessels: Vessels) -> None:
        """Take the newest frame (rows, columns): large = vessel, 0 and below = none."""
        self._motion.add(stamp_ns, vessels)
        if abs(stamp_ns - self._found_at) >= self._refresh * NANOSECONDS:
            self._beats, self._found_at = None, stamp_ns

    @property
    def beats(self) -> HeartBeats:
        """R waves in the kept motion."""
        if self._beats is None:
            self._beats = find_beats(self._motion.stamps, self._motion.velocity, self._motion.weight)
        return self._beats

    def phases(self, stamps: IntArray) -> FloatArray:
        """Phase in [0, 1) at stamps (N,) ns, 0 = R wave; NaN where it is not known: see `beats.phases`."""
        return beats.phases(stamps, self.beats.r_waves)

    def errors(self, stamps: IntArray) -> FloatArray:
        """Expected error (N,) of `phases`, parts of a beat: see `beats.errors`."""
        return beats.errors(stamps, self.beats.r_waves, WAVE_ERROR)


def find_beats(stamps: IntArray, velocity: FloatArray, weight: FloatArray) -> HeartBeats:
    """R waves from the motion of the vessels.

    Parameters
    ----------
    stamps : (N,) ns, increasing
    velocity : (N, CELLS, CELLS, 2) to the right and down, times the vessel in each cell; any unit
    weight : (N,) vessel in the whole picture
    """
    known = weight > LEAST_VESSEL * (np.percentile(weight, 90) if len(weight) else 1.0)
    if known.sum() < 8:
        return HeartBeats(reason="too few frames with vessels in them")
    start = int(stamps[known][0])
    time = (stamps[known] - start) / NANOSECONDS
    if time[-1] < LEAST_BEATS * PERIODS[0]:
        return HeartBeats(reason=f"only {time[-1]:.1f} s with vessels: too short for two beats")
    velocity = _steady(time, velocity[known], (weight - _still(weight))[known])
    speed = _main_motion(velocity)
    grid = np.arange(0, time[-1], STEP)
    signal = np.interp(grid, time, speed)
    if signal.std() < LEAST_MOTION:
        return HeartBeats(reason="the vessels do not move as a beating heart does")
    signal /= signal.std()
    period, periodicity = _period(signal)
    if periodicity < max(LEAST_PERIODICITY, CHANCE / np.sqrt(len(time))):
        return HeartBeats(reason="the vessels do not move in a steady rhythm", confidence=periodicity)
    signal *= _direction(velocity, speed, signal, period)
    waves = _rhythm(_match(signal, period), period)
    return HeartBeats(start + np.rint(waves * STEP * NANOSECONDS).astype(np.int64), periodicity)


def _still(weight: FloatArray) -> float:
    """What is there without contrast (ribs, catheter) and does not beat, so that a beat counts alike as contrast comes.

    None where contrast does not come or go.
    """
    least, full = np.percentile(weight, [2, 90])
    return float(least) if least <= STATIC * full else 0.0


def _steady(time: FloatArray, velocity: FloatArray, weight: FloatArray) -> FloatArray:
    """Mean velocity without outliers, breathing and contrast flow, same shape."""
    full = np.percentile(weight, 90)
    flat = velocity.reshape(len(time), -1) / np.maximum(weight, EVEN_OUT * full)[:, None]
    size = np.linalg.norm(flat, axis=1)
    flat = flat * np.minimum(1.0, OUTLIER * np.percentile(size, 95) / np.maximum(size, 1e-12))[:, None]
    length = time[-1] - time[0]
    waves = np.cos(np.pi * np.arange(int(2 * SLOW * length) + 1) * (time[:, None] - time[0]) / length)
    return np.asarray(flat - waves @ np.linalg.lstsq(waves, flat, rcond=None)[0]).reshape(velocity.shape)


def _main_motion(velocity: FloatArray) -> FloatArray:
    """(N,) the strongest common motion of all parts of the picture: first component of rank one, of either sign."""
    left, strength, _ = np.linalg.svd(velocity.reshape(len(velocity), -1), full_matrices=False)
    return np.asarray(left[:, 0] * strength[0])


def _period(signal: FloatArray) -> tuple[float, float]:
    """Period in s and the autocorrelation there."""
    n = len(signal)
    power = np.abs(np.fft.rfft(signal, 2 * n)) ** 2
    shared = np.fft.irfft(power)[:n]
    lags = np.arange(round(PERIODS[0] / STEP), min(round(PERIODS[1] / STEP), round(0.7 * n)))
    spare = 0.5 / STEP  # keeps the few samples that share the longest lags from counting too much
    height = shared[lags] / shared[0] * n / (n - lags + spare)
    inner = (height[1:-1] >= height[:-2]) & (height[1:-1] > height[2:])
    peaks = np.flatnonzero(np.r_[False, inner, False])
    if not (height[peaks] > 0).any():
        return PERIODS[1], 0.0
    best = peaks[height[peaks] >= SAME_PEAK * height[peaks].max()][0]
    return float(lags[best] * STEP), float(height[best])


def _direction(velocity: FloatArray, speed: FloatArray, signal: FloatArray, period: float) -> float:
    """+1 where positive speed is systole, else -1: by way down, towards each other, and the shape of a beat."""
    here = np.abs(velocity).sum((0, 3))
    at = (np.arange(CELLS) + 0.5) / CELLS
    columns, rows = at - (here.sum(0) @ at) / here.sum(), at - (here.sum(1) @ at) / here.sum()
    down = velocity[..., 1].sum((1, 2))
    apart = (velocity[..., 0] * columns + velocity[..., 1] * rows[:, None]).sum((1, 2))
    shape = _fit(signal, period) - _fit(-signal, period)
    return 1.0 if DOWN * _alike(speed, down) - SHRINKING * _alike(speed, apart) + SHAPE * shape >= 0 else -1.0


def _alike(a: FloatArray, b: FloatArray) -> float:
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / size) if size > 0 else 0.0


def _template(period: float, parts: tuple[Bump, ...] = (KICK, EJECTION, LATE_EJECTION, EARLY_FILLING)) -> FloatArray:
    """Velocity from `BEFORE` an R wave on, of norm 1."""
    time = np.asarray(np.arange(round(-BEFORE / STEP), round(AFTER / STEP) + 1) * STEP, np.float64)
    value = np.zeros(len(time))
    for middle, width, height in parts:
        pace = 1.0 if middle < 0 else period**SHORTENING
        value += _bump(time, middle * pace, width * pace, height)
    return value / np.linalg.norm(value)


def _bump(time: FloatArray, middle: float, width: float, height: float) -> FloatArray:
    away = np.clip((time - middle) / width, -1, 1)
    return np.asarray(height * np.cos(np.pi / 2 * away) ** 2)


def _match(signal: FloatArray, period: float) -> FloatArray:
    """(N,) how much the signal around here looks like a beat, and from here on like ejection."""
    zero = round(BEFORE / STEP)
    padded = np.concatenate([np.zeros(zero), signal, np.zeros(round(AFTER / STEP))])
    whole, ejection = _template(period), _template(period, (EJECTION, LATE_EJECTION))
    return np.minimum(np.correlate(padded, whole, "valid"), np.correlate(padded, ejection, "valid"))


def _fit(signal: FloatArray, period: float) -> float:
    """Correlation of the signal with the template at its best place in each period; median over the periods."""
    template = _template(period)
    if len(signal) < len(template) + period / STEP:
        return 0.0
    energy = np.correlate(signal**2, np.ones(len(template)), "valid")
    alike = np.correlate(signal, template, "valid") / np.sqrt(np.maximum(energy, 1e-9))
    beat = round(period / STEP)
    return float(np.median([alike[k : k + beat].max() for k in range(0, len(alike) - beat + 1, beat)]))


def _rhythm(score: FloatArray, period: float) -> IntArray:
    """Peaks of the score that are high and about a period apart, by dynamic programming (Ellis, J New Music Res 2007).

    Returns indices (K,).
    """
    inner = (score[1:-1] > score[:-2]) & (score[1:-1] >= score[2:]) & (score[1:-1] > 0)
    peaks = np.flatnonzero(np.r_[False, inner, False])
    ejected = (EJECTION[0] + EJECTION[1]) * period**SHORTENING / STEP  # what has not been seen to eject is no beat yet
    peaks = peaks[peaks < len(score) - ejected]
    if len(peaks) == 0:
        return np.zeros(0, np.int64)
    beats_seen = max(round(len(score) * STEP / period), 1)
    usual = float(np.median(np.sort(score[peaks])[-beats_seen:]))
    gain = np.minimum(score[peaks] / usual, 1.3)
    sure = (gain >= FAINT) | (peaks < len(score) - AFTER / STEP)
    peaks, gain = peaks[sure], gain[sure]
    total, before = gain.copy(), np.full(len(peaks), -1)
    for k in range(1, len(peaks)):
        ratio = (peaks[k] - peaks[:k]) * STEP / period
        odd = np.maximum(np.abs(np.log(ratio)) - USUAL, 0)
        reached = total[:k] - RHYTHM * odd**2
        if reached.max() > 0:
            before[k] = reached.argmax()
            total[k] += reached.max()
    path = [int(total.argmax())]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return np.asarray(peaks[path[::-1]], np.int64)
