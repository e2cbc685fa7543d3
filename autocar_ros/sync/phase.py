"""Cardiac phase of the frames of both planes: by the ECG where there is one, else by the motion of the vessels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autocar_ros.config import SynchronizationConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.sync import beats
from autocar_ros.sync.cardiac import ImagePhase
from autocar_ros.sync.ecg import EcgPhase
from autocar_ros.types import FloatArray, IntArray, Mask, PhaseSource

ECG_WAVE_ERROR = 0.005  # of a beat, of an R wave of the ECG
REFRESH = 0.25  # s, after which beats are looked for anew; in between the phase runs on


class Phases(NamedTuple):
    """Of some frames: NaN and NONE where not known."""

    values: FloatArray  # (N,) in [0, 1)
    errors: FloatArray  # (N,) expected, of a standard deviation, parts of a beat
    sources: IntArray  # (N,) `PhaseSource`


class HeartPhase:
    """Phase of one heart from an ECG and the masks of two planes, which share a clock.

    The masks are looked at only while the ECG is silent. Where both planes tell a phase, the surer one is believed.
    """

    def __init__(self, config: SynchronizationConfig) -> None:
        self._use_images = config.image_phase
        self._ecg = EcgPhase(config.ecg_history)
        self._images = {plane: ImagePhase(config.image_history, REFRESH) for plane in "ab"}
        self._error = ""  # of the latest ECG, if it was refused

    def add_ecg(self, stamp_ns: int, sampling_rate: float, samples: FloatArray) -> bool:
        """Take a piece of ECG, `stamp_ns` of its first sample; false if it cannot be used, see `problem`."""
        try:
            self._ecg.add(stamp_ns, sampling_rate, samples)
            self._error = ""
        except InvalidInputError as error:
            self._error = str(error)
        return not self._error

    def add_mask(self, plane: str, stamp_ns: int, mask: Mask) -> None:
        """Take the newest mask of plane "a" or "b"."""
        if self._use_images and np.isnan(self._ecg.phase(stamp_ns)):
            self._images[plane].add(stamp_ns, mask)

    def phases(self, stamps: IntArray) -> Phases:
        """Phases at stamps (N,) ns."""
        values = self._ecg.phases(stamps)
        errors = np.where(np.isfinite(values), beats.errors(stamps, self._ecg.r_waves, ECG_WAVE_ERROR), np.nan)
        sources = np.where(np.isfinite(values), PhaseSource.ECG, PhaseSource.NONE)
        if self._use_images:
            for image in sorted(self._images.values(), key=lambda i: -i.beats.confidence):
                told = image.phases(stamps)
                new = np.isnan(values) & np.isfinite(told)
                values, errors = np.where(new, told, values), np.where(new, image.errors(stamps), errors)
                sources = np.where(new, PhaseSource.IMAGE, sources)
        return Phases(values, errors, sources)

    @property
    def ecg_problem(self) -> str:
        """Why the latest piece of ECG was refused, or ""."""
        return self._error

    @property
    def missing(self) -> str:
        """What keeps the phase from being known."""
        reasons = [] if len(self._ecg.r_waves) > 1 else ["no ECG with two R waves"]
        if self._use_images:
            told = {plane.upper(): image.beats.reason for plane, image in self._images.items()}
            reasons += [f"masks of plane {plane}: {reason}" for plane, reason in told.items() if reason]
        return "; ".join(reasons)
