"""Random numbers: smooth fields of a few waves (Rahimi & Recht 2007, random Fourier features), sizes."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from autocar_ros.types import FloatArray

WAVES = 48


def smooth_field(rng: Generator, points: FloatArray, length: float, channels: int) -> FloatArray:
    """Draw a field of variance 1 and correlation exp(-r^2 / (2 length^2)) at points.

    Parameters
    ----------
    points : (N, D), in any unit
    length : of the correlation, same unit
    channels : how many independent fields

    Returns
    -------
    (N, channels)
    """
    angle = points @ (rng.normal(size=(points.shape[1], WAVES)) / length) + rng.uniform(0, 2 * np.pi, WAVES)
    return np.asarray(np.cos(angle) @ rng.normal(size=(WAVES, channels)) * np.sqrt(2 / WAVES))


def grid(size: int, extent: float) -> FloatArray:
    """Nodes (size^2, 2) of a square grid over a square of edge `extent`, row by row."""
    line = np.linspace(0.0, extent, size)
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Draw a size between two others; every doubling is as likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
