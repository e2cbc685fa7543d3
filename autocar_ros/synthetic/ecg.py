"""A plausible surface ECG (lead II) for a given course of the cardiac phase.

PQRST as a sum of Gaussians over phase, as in McSharry et al. 2003 (IEEE TBME 50:289).
"""

from __future__ import annotations

import numpy as np

from autocar_ros.synthetic.motion import Motion
from autocar_ros.types import FloatArray

# name: (phase, height mV, width in phase)
_WAVES = {
    "P": (-0.19, 0.15, 0.025),
    "Q": (-0.030, -0.12, 0.008),
    "R": (0.0, 1.2, 0.010),
    "S": (0.030, -0.25, 0.009),
    "T": (0.33, 0.30, 0.045),
}
_TILE = 4096  # samples of noise, repeated


def first_sample(start: float, rate: float) -> float:
    """Time in s of the first sample of `ecg_samples` that begin at `start` s."""
    return float(np.ceil(start * rate - 1e-9) / rate)


def ecg_samples(motion: Motion, start: float, stop: float, rate: float, noise: float, seed: int) -> FloatArray:
    """Samples in mV at k / rate in [start, stop) s, for whole k.

    A sample depends on its k alone, so neighbouring calls join without a seam.

    Parameters
    ----------
    motion : gives the phase; R waves stand at phase 0
    rate : samples a second
    noise : mV, standard deviation
    """
    k = np.arange(np.ceil(start * rate - 1e-9), np.ceil(stop * rate - 1e-9))
    phase = motion.phase(k / rate)
    out = 0.05 * np.sin(2 * np.pi * motion.breathing_rate / 60 * k / rate)  # wandering baseline
    for center, height, width in _WAVES.values():
        away = (phase - center + 0.5) % 1.0 - 0.5
        out += height * np.exp(-0.5 * (away / width) ** 2)
    tile = np.random.default_rng((seed, 4)).normal(0, noise, _TILE)
    return np.asarray(out + tile[k.astype(np.int64) % _TILE])
