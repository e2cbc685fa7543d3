"""Courses of vessels over a heart: smooth, tortuous, never folded."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.random import Generator
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from autocar_ros.synthetic.heart import Heart
from autocar_ros.types import FloatArray

SPACING = 1.0  # mm between the nodes of a vessel
FINE = 0.5  # mm between the points of a course while it is drawn
BLUNTNESS = (1.5, 2.5, 4.0, 6.0)  # mm, over which a course is smoothed: no more than it takes
SHARPEST = 0.12  # 1/mm, curvature of a single wave
BENT = 0.6  # 1/mm, curvature above which a course is smoothed more
WAVES = (16.0, 24.0, 50.0)  # mm, lengths of the waves of a tortuous vessel
AMPLITUDE = (1.1, 0.6)  # mm, of the waves across the way of a vessel and away from the heart
STRAIGHT = 10.0  # mm from its start within which the waves of a vessel grow: it leaves in its own direction
JOIN = 7.0  # mm, over which the start of a course is bent to its parent's centreline


def draw_course(
    rng: Generator,
    heart: Heart,
    way: FloatArray,
    length: float,
    tortuosity: float = 1.0,
    anchor: FloatArray | None = None,
) -> FloatArray:
    """Draw the course of one vessel.

    Parameters
    ----------
    way : (W, 3) heart angles theta, phi [rad] and height [mm] it passes, W >= 2
    length : mm, where it ends if its way is not shorter
    tortuosity : factor of the waves; 0 for none
    anchor : (3,) mm where it starts; the first of `way` if there is none

    Returns
    -------
    FloatArray
        (K, 3) mm, points `SPACING` apart along the course, K >= 4.
    """
    base = heart.surface(*(_spline(len(way)) @ way).T)
    s = arc_length(base)
    grown = np.clip(s / STRAIGHT, 0, 1)
    waves = smooth_noise(rng, s, AMPLITUDE, WAVES) * tortuosity * grown**2 * (3 - 2 * grown)
    # Across its way and up and down: a wave along the way would fold it.
    up = _unit(base - heart.center)
    across = _unit(np.cross(up, np.gradient(base, axis=0)))
    points = base + waves[0][:, None] * across + waves[1][:, None] * up
    points = _blunted(_resampled(points, FINE), anchor)
    total = arc_length(points)[-1]
    return _resampled(points, min(SPACING, total / 4))[: max(int(length / SPACING), 4) + 1]


@cache
def _spline(count: int) -> FloatArray:
    """(200, count) weights of evenly spaced points in the cubic spline through them; splines are linear in them."""
    return np.asarray(CubicSpline(np.linspace(0, 1, count), np.eye(count))(np.linspace(0, 1, 200)))


def smooth_noise(
    rng: Generator, s: FloatArray, amplitude: tuple[float, ...], wavelengths: tuple[float, ...]
) -> FloatArray:
    """Sums (C, K) of sines over arc length s (K,) mm, rms about `amplitude` (C,) and of bounded curvature."""
    size = len(amplitude), len(wavelengths)
    number = 2 * np.pi / (np.array(wavelengths) * rng.uniform(0.8, 1.25, size))
    height = rng.normal(size=size) * np.array(amplitude)[:, None] * np.sqrt(2 / len(wavelengths))
    limit = SHARPEST / number**2
    phase = rng.uniform(0, 2 * np.pi, size)
    waves = np.sin(number[:, :, None] * s + phase[:, :, None])
    return np.asarray(np.einsum("cw,cwk->ck", np.clip(height, -limit, limit), waves))


def arc_length(points: FloatArray) -> FloatArray:
    """(K,) way along points (K, 3), in their unit."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def _unit(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _resampled(points: FloatArray, spacing: float) -> FloatArray:
    """Points (K, 3) every `spacing` mm along a course; the rest after the last is cut."""
    s = arc_length(points)
    even = np.arange(0.0, s[-1] + 1e-9, spacing)
    return np.stack([np.interp(even, s, axis) for axis in points.T], axis=1)


def _blunted(points: FloatArray, anchor: FloatArray | None) -> FloatArray:
    """Smooth course (K, 3) `FINE` apart from an anchor, as little as keeps it from folding."""
    towards = np.exp(-FINE * np.arange(len(points)) / JOIN)[:, None]
    smooth = points
    for width in BLUNTNESS:
        smooth = gaussian_filter1d(points, width / FINE, axis=0, mode="nearest")
        smooth += ((points[0] if anchor is None else anchor) - smooth[0]) * towards
        step = np.diff(smooth, axis=0)
        size = np.linalg.norm(step, axis=1)
        turn = np.linalg.norm(np.diff(step / size[:, None], axis=0), axis=1)
        if np.max(turn / (size[1:] + size[:-1]), initial=0) < BENT / 2:
            break
    return smooth
