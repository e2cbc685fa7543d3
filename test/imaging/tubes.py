"""X-ray frames of contrast-filled tubes of known course and width."""

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray


class TubeFrame(NamedTuple):
    """A frame and what is true in it."""

    image: NDArray[np.uint8]  # (rows, columns)
    lumen: NDArray[np.bool_]  # (rows, columns) pixels inside the tubes
    axis_distance: NDArray[np.float64]  # (rows, columns) px to the nearest axis


def tube_frame(
    curves: list[tuple[NDArray[np.float64], float]],
    size: int = 256,
    contrast: float = 0.5,
    photons: float = 400.0,
    blur: float = 1.0,
    seed: int = 0,
) -> TubeFrame:
    """Absorption (Beer-Lambert) of cylinders over an uneven background, blurred, with quantum noise.

    `curves`: ((K, 2) axis points (column, row) in px, radius in px); `contrast`: absorption of the widest at its axis.
    """
    absorbed = np.zeros((size, size))
    nearest = np.full((size, size), np.inf)
    inside = np.zeros((size, size), bool)
    widest = max(radius for _, radius in curves)
    for points, radius in curves:
        distance = _distance(points, size)
        path = 2 * np.sqrt(np.maximum(radius**2 - distance**2, 0))
        absorbed = np.maximum(absorbed, contrast * path / (2 * widest))
        inside |= distance <= radius
        nearest = np.minimum(nearest, distance)
    column, row = np.meshgrid(np.arange(size), np.arange(size))
    background = 150 * (1 + 0.2 * np.sin(column / 50) + 0.15 * np.cos(row / 70))
    intensity = cv2.GaussianBlur(background * np.exp(-absorbed), (0, 0), blur)
    noisy = np.random.default_rng(seed).poisson(intensity * photons / 150) * 150 / photons
    return TubeFrame(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), inside, nearest)


def line(angle: float, size: int = 256) -> NDArray[np.float64]:
    """Axis through the middle of the frame, at `angle` (rad) to the columns, beyond both borders."""
    direction = np.array([np.cos(angle), np.sin(angle)])
    return (size - 1) / 2 + np.linspace(-size, size, 2)[:, None] * direction


def _distance(points: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """(size, size) px to a polyline."""
    column, row = np.meshgrid(np.arange(size, dtype=float), np.arange(size, dtype=float))
    pixels = np.stack([column, row], axis=-1)
    best = np.full((size, size), np.inf)
    for start, end in pairwise(points):
        along = end - start
        share = np.clip((pixels - start) @ along / (along @ along), 0, 1)
        best = np.minimum(best, np.linalg.norm(pixels - start - share[..., None] * along, axis=-1))
    return best
