"""Recorded runs: heart phase and contrast of every frame, and pairs of frames of equal phase of two runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from autocar_ros.config import SegmentationConfig, SynchronizationConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.imaging.dicom import XrayRun
from autocar_ros.imaging.enhance import Float32Array, absorption
from autocar_ros.sync import beats
from autocar_ros.sync.cardiac import WAVE_ERROR, HeartBeats, find_beats
from autocar_ros.sync.contrast import ContrastState, contrast_states
from autocar_ros.sync.ecg import LEAST_RATE, QRS_WIDTH, detect_r_waves
from autocar_ros.sync.motion import VesselMotion, Vessels
from autocar_ros.sync.phase import ECG_WAVE_ERROR
from autocar_ros.types import MASK_THRESHOLD, NANOSECONDS, FloatArray, Image, IntArray, PhaseSource

MOST_SECONDS = 600.0  # of motion kept of one run
CANDIDATES = 20  # pairs of nearly one phase, among which the views themselves may choose
CLOSE = 0.1  # heart beats between frames of two runs that are nearly of one phase
LEAST_SPEED = 0.5  # of the median speed: even where vessels rest, nearer phases are better


@dataclass(frozen=True)
class ObservedRun:
    """What is known of the frames of one recorded run.

    Attributes
    ----------
    stamps : (F,) ns
    phase : (F,) in [0, 1), NaN unknown
    phase_error : (F,) expected, of a standard deviation, parts of a beat, NaN unknown; grows outside the R waves found
    source : where the phase comes from
    contrast : (F,) `ContrastState`
    amount : (F,) vessel in each frame
    speed : (F,) of the vessels in image widths a second
    beats : R waves, by images with the one before and the one after those found; how sure they are, why there are none
    """

    stamps: IntArray
    phase: FloatArray
    phase_error: FloatArray
    source: PhaseSource
    contrast: IntArray
    amount: FloatArray
    speed: FloatArray
    beats: HeartBeats

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def r_wave_frames(self) -> IntArray:
        """Frames nearest to the R waves within the run."""
        waves = self.beats.r_waves
        inside = waves[(waves >= self.stamps[0]) & (waves <= self.stamps[-1])]
        return np.asarray(np.abs(self.stamps[None] - inside[:, None]).argmin(1), np.int64)

    @property
    def beat_seconds(self) -> float:
        """Median time between two R waves; NaN without."""
        return float(np.median(np.diff(self.beats.r_waves))) / NANOSECONDS if len(self.beats.r_waves) > 1 else np.nan

    @property
    def fullest(self) -> int:
        """Frame with the most vessel; the first of equals."""
        return int(self.amount.argmax())


@dataclass(frozen=True)
class RunPair:
    """A frame each of two runs, and how well they fit together."""

    frame_a: int
    frame_b: int
    phase_a: float  # in [0, 1), NaN unknown
    phase_b: float
    residual_skew: float  # s between the two within the heart cycle, B after A; NaN unknown
    reason: str  # why these two, in words
    source: PhaseSource = PhaseSource.NONE  # of the phases; the less sure one where they differ


def observe_run(vessels: Iterable[Vessels], stamps: ArrayLike, r_waves: IntArray | None = None) -> ObservedRun:
    """Phase and contrast of every frame of a run.

    Parameters
    ----------
    vessels : F pictures (rows, columns): masks (0..255), or absorption of the frames (see `vessels_of`)
    stamps : (F,) ns, increasing
    r_waves : (K,) ns of the ECG's R waves where there is one; else the phase is told by the motion of the vessels

    Raises
    ------
    InvalidInputError
        When pictures and stamps do not match or the stamps do not grow.
    """
    times = np.asarray(stamps, np.int64)
    motion, amount = VesselMotion(MOST_SECONDS), []
    for stamp, picture in zip(times, vessels, strict=True):
        motion.add(int(stamp), picture)
        amount.append(_amount(picture))
    if len(amount) == 0 or (np.diff(times) <= 0).any():
        raise InvalidInputError("a run needs at least one frame, and stamps that grow")
    if r_waves is not None and len(r_waves) > 1:
        found, source = HeartBeats(np.asarray(r_waves, np.int64), 1.0), PhaseSource.ECG
        error = beats.errors(times, found.r_waves, ECG_WAVE_ERROR)
    else:
        found, source = find_beats(motion.stamps, motion.velocity, motion.weight), PhaseSource.IMAGE
        error = beats.errors(times, found.r_waves, WAVE_ERROR)
        found = replace(found, r_waves=beats.extended(found.r_waves))
    phase = beats.phases(times, found.r_waves)
    share = SynchronizationConfig().key_fill
    return ObservedRun(
        stamps=times,
        phase=phase,
        phase_error=np.where(np.isfinite(phase), error, np.nan),
        source=source if np.isfinite(phase).any() else PhaseSource.NONE,
        contrast=contrast_states(np.array(amount), times, share),
        amount=np.array(amount),
        speed=_speed(motion, times),
        beats=found,
    )


def observe_dicom(run: XrayRun, images_only: bool = False) -> ObservedRun:
    """Phase and contrast of every frame of a DICOM run: by its ECG, its R-wave pointers, or else by its images.

    Raises `DicomError` when the file does not tell the times of its frames.
    """
    r_waves = None if images_only else _r_waves(run)
    return observe_run(vessels_of(run.images), run.frame_times_ns, r_waves)


def _r_waves(run: XrayRun) -> IntArray | None:
    """R waves in ns from the first frame; None with fewer than two. A QRS complex cut by an end does not count."""
    if run.ecg is not None:
        rate = run.ecg.sampling_rate
        found = detect_r_waves(run.ecg.samples, rate) if rate >= LEAST_RATE else np.zeros(0, np.int64)
        whole = found[(found >= QRS_WIDTH * rate) & (found < len(run.ecg.samples) - QRS_WIDTH * rate)]
        if len(whole) > 1:
            return np.asarray(np.rint((whole / rate + run.ecg.start_s) * NANOSECONDS), np.int64)
    return run.frame_times_ns[run.r_wave_frames] if len(run.r_wave_frames) > 1 else None


def vessels_of(images: Iterable[Image]) -> Iterable[Float32Array]:
    """Absorption by vessels in frames (rows, columns), one after the other: what `observe_run` takes of raw images."""
    return map(vessels_in, images)


def vessels_in(image: Image) -> Float32Array:
    """Absorption by vessels in a frame (rows, columns)."""
    width = max(SegmentationConfig().max_width * max(image.shape) // 512, 8)
    return absorption(image, width).value


def pair_runs(
    run_a: ObservedRun,
    run_b: ObservedRun,
    count: int = 1,
    frame_a: int | None = None,
    frame_b: int | None = None,
) -> tuple[RunPair, ...]:
    """Pairs of frames of equal heart phase, best first, no frame in two of them but one that is given.

    Frames that are full of contrast come first; among those the pair of which the least motion is expected in the time
    that their phases differ. Runs without a phase give their fullest frames, and the reason says so.
    """
    a, b = known_frames(run_a, frame_a), known_frames(run_b, frame_b)
    if len(a) == 0 or len(b) == 0:
        return (_fullest(run_a, run_b, frame_a, frame_b),)
    beat = (run_a.beat_seconds + run_b.beat_seconds) / 2
    differ = beats.later(run_b.phase[None, b], run_a.phase[a][:, None])
    pace = (_paced(run_a, a)[:, None] + _paced(run_b, b)[None]) / 2
    way = np.abs(differ) * pace
    pairs = []
    given = [size for size, frame in ((len(b), frame_a), (len(a), frame_b)) if frame is not None]
    for _ in range(min(count, *(given or (len(a), len(b))))):
        i, j = np.unravel_index(int(way.argmin()), way.shape)
        pairs.append(_pair(run_a, run_b, int(a[i]), int(b[j]), float(differ[i, j] * beat)))
        way[i, j] = np.inf
        if frame_a is None:
            way[i] = np.inf
        if frame_b is None:
            way[:, j] = np.inf
    return tuple(pairs)


def close_pairs(
    run_a: ObservedRun, run_b: ObservedRun, frame_a: int | None = None, frame_b: int | None = None
) -> tuple[RunPair, ...]:
    """The best of `pair_runs`, and up to `CANDIDATES` in all whose frames are nearly of one phase.

    A phase does not tell how deep the breath was, nor that two beats differ; the views do (`sbp.recorded`).
    """
    best, *others = pair_runs(run_a, run_b, CANDIDATES, frame_a, frame_b)
    return best, *(p for p in others if beats.apart(np.array(p.phase_a), p.phase_b) <= CLOSE)


def known_frames(run: ObservedRun, wanted: int | None = None) -> IntArray:
    """Frames of known phase: those full of contrast if there are any; none but the wanted one if it is given."""
    known = np.isfinite(run.phase)
    if wanted is not None:
        known &= np.arange(len(run)) == wanted
    full = known & (run.contrast == ContrastState.FULL)
    return np.flatnonzero(full if full.any() else known)


def _paced(run: ObservedRun, frames: IntArray) -> FloatArray:
    """Speed against the run's median, not below `LEAST_SPEED`."""
    middle = float(np.median(run.speed)) or 1.0
    return np.maximum(run.speed[frames] / middle, LEAST_SPEED)


def _pair(run_a: ObservedRun, run_b: ObservedRun, a: int, b: int, skew: float) -> RunPair:
    full = all(run.contrast[k] == ContrastState.FULL for run, k in ((run_a, a), (run_b, b)))
    names = {PhaseSource.ECG: "ECG", PhaseSource.IMAGE: "motion of the vessels"}
    sources = " and ".join(dict.fromkeys(names[run.source] for run in (run_a, run_b)))
    reason = f"equal heart phase by {sources}, {'full of contrast' if full else 'no frames full of contrast'}"
    return RunPair(a, b, float(run_a.phase[a]), float(run_b.phase[b]), skew, reason, max(run_a.source, run_b.source))


def _fullest(run_a: ObservedRun, run_b: ObservedRun, frame_a: int | None, frame_b: int | None) -> RunPair:
    unknown = [(name, run) for name, run in (("A", run_a), ("B", run_b)) if len(known_frames(run)) == 0]
    why = [f"run {name}: {run.beats.reason or 'no phase is known'}" for name, run in unknown]
    reason = "; ".join(why) or "the phase of the given frame is not known"
    a, b = (run.fullest if k is None else k for run, k in ((run_a, frame_a), (run_b, frame_b)))
    return RunPair(a, b, np.nan, np.nan, np.nan, f"fullest frames, as {reason}")


def _amount(picture: Vessels) -> float:
    """Share of a mask that is vessel; mean positive absorption."""
    if picture.dtype == np.uint8:
        return float((picture >= MASK_THRESHOLD).mean())
    return float(np.maximum(picture, 0).mean())


def _speed(motion: VesselMotion, stamps: IntArray) -> FloatArray:
    """(F,) mean speed of the vessels, image widths a second."""
    if len(motion.stamps) == 0:
        return np.zeros(len(stamps))
    size = np.linalg.norm(motion.velocity, axis=-1).sum((1, 2)) / np.maximum(motion.weight, 1e-9)
    return np.asarray(np.interp(stamps, motion.stamps, size))
