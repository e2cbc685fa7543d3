"""The heart as an ellipsoid: a frame for the coronary arteries, their motion and the tissue behind them.

Heart axes (rows of `axes`): e1 towards the anterior interventricular groove, e2 towards the left lateral wall, e3 from
base to apex. Heart angles: theta = 0 at the base, pi at the apex; phi = 0 in the anterior interventricular groove,
positive over the left lateral wall, +-pi in the posterior groove. The world is LPS, mm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from autocar_ros.types import FloatArray


@dataclass(frozen=True)
class Heart:
    """An ellipsoid in space."""

    center: FloatArray  # (3,) mm
    axes: FloatArray  # (3, 3) unit rows e1, e2, e3
    semi_axes: FloatArray  # (3,) mm

    def local(self, points: FloatArray) -> FloatArray:
        """World (..., 3) mm to heart coordinates (..., 3) mm along e1, e2, e3."""
        return np.asarray((points - self.center) @ self.axes.T)

    def world(self, local: FloatArray) -> FloatArray:
        """Heart coordinates (..., 3) mm to world (..., 3) mm."""
        return np.asarray(self.center + local @ self.axes)

    def surface(self, theta: FloatArray, phi: FloatArray, height: FloatArray | float = 0.0) -> FloatArray:
        """World points (..., 3) mm at heart angles (...) rad, `height` mm outside the ellipsoid."""
        unit = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), -np.cos(theta)], axis=-1)
        local = unit * self.semi_axes
        length = np.linalg.norm(local, axis=-1, keepdims=True)
        return self.world(local * (1 + np.asarray(height)[..., None] / length))

    def moved(self, offset: FloatArray) -> Heart:
        """Return the heart displaced by (3,) mm."""
        return replace(self, center=self.center + offset)


def draw_heart(rng: Generator) -> Heart:
    """Draw a heart of adult size, lying as in a supine adult: apex to the left, the front and the feet."""
    e3 = _unit(np.array([0.62, -0.52, -0.58]) + rng.normal(0, 0.06, 3))
    groove = np.array([-0.5, -0.8, 0.2]) + rng.normal(0, 0.05, 3)
    e1 = _unit(groove - e3 * (groove @ e3))
    e2 = np.cross(e3, e1)
    e2 *= np.sign(e2 @ np.array([1.0, 0.4, 0.0]))
    size = np.clip(rng.normal(1.04, 0.06), 0.92, 1.2)
    semi_axes = np.array([41.0, 41.0, 55.0]) * size * rng.normal(1.0, 0.04, 3).clip(0.9, 1.1)
    return Heart(np.zeros(3), np.stack([e1, e2, e3]), semi_axes)


def _unit(v: FloatArray) -> FloatArray:
    return np.asarray(v / np.linalg.norm(v))
