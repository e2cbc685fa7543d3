"""Heart beat and breathing as one smooth deformation of space, so that a node stays the same anatomical point."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from scipy.interpolate import PchipInterpolator

from autocar_ros.synthetic.heart import Heart
from autocar_ros.types import FloatArray

# Contraction against cardiac phase (R wave = 0): fast in early systole, rest at end-systole, fast early filling, rest
# in mid-diastole, atrial kick. 0 = end-diastole, 1 = end-systole.
_PHASES = (0.0, 0.04, 0.12, 0.20, 0.28, 0.35, 0.44, 0.52, 0.60, 0.66, 0.72, 0.84, 0.93, 1.0)
_CONTRACTION = (0.0, 0.03, 0.32, 0.66, 0.92, 1.0, 0.99, 0.66, 0.32, 0.18, 0.14, 0.13, 0.03, 0.0)

LONGITUDINAL = 14.0  # mm, shortening of the base towards the apex
RADIAL = 0.10  # of the distance from the long axis
TWIST = np.radians(10.0)  # apex against base
ANTERIOR_PER_CAUDAL = 1.3 / 4.9  # breathing moves the heart forwards too


@dataclass(frozen=True)
class Motion:
    """Where the points of a heart are at any time.

    Attributes
    ----------
    heart : at end-diastole and end-expiration
    heart_rate : beats a minute
    variability : relative standard deviation of the heart rate
    breathing : caudal way of the heart between expiration and inspiration, mm
    breathing_rate : breaths a minute
    amplitude : scales the heart beat; 0 = still
    offsets : (3,) phases of the slow modulations, rad
    """

    heart: Heart
    heart_rate: float = 70.0
    variability: float = 0.0
    breathing: float = 4.9
    breathing_rate: float = 14.0
    amplitude: float = 1.0
    offsets: FloatArray = field(default_factory=lambda: np.zeros(3))
    _curve: PchipInterpolator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Three beats of knots make the middle one periodic and smooth.
        phases, values = np.array(_PHASES[:-1]), np.array(_CONTRACTION[:-1])
        knots = np.concatenate([phases - 1, phases, phases + 1])
        object.__setattr__(self, "_curve", PchipInterpolator(knots, np.tile(values, 3)))

    def beats(self, time: FloatArray | float) -> FloatArray:
        """Heart beats since time 0 (s); R waves where it is whole.

        The rate varies with breathing and with the 0.1 Hz rhythm of blood pressure.
        """
        t = np.asarray(time, float)
        out = t
        for rate, offset in zip((self.breathing_rate / 60, 0.1), self.offsets, strict=False):
            omega = 2 * np.pi * rate
            if omega > 0:
                out = out + self.variability / omega * (np.sin(omega * t + offset) - np.sin(offset))
        return np.asarray(out * self.heart_rate / 60)

    def phase(self, time: FloatArray | float) -> FloatArray:
        """Cardiac phase in [0, 1) at a time in s."""
        return self.beats(time) % 1.0

    def contraction(self, time: FloatArray | float) -> FloatArray:
        """0 at end-diastole, 1 at end-systole, at a time in s."""
        return np.asarray(self._curve(self.phase(time)))

    def breath(self, time: FloatArray | float) -> FloatArray:
        """0 at end-expiration, 1 at the top of inspiration, at a time in s; longer at expiration."""
        angle = 2 * np.pi * self.breathing_rate / 60 * np.asarray(time, float) + self.offsets[2]
        return np.asarray(((1 - np.cos(angle)) / 2) ** 1.5)

    def breathing_offset(self, time: float) -> FloatArray:
        """(3,) mm by which breathing moves the whole heart: caudal and anterior."""
        return float(self.breath(time)) * self.breathing * np.array([0.0, -ANTERIOR_PER_CAUDAL, -1.0])

    def displace(self, points: FloatArray, time: float) -> FloatArray:
        """Points (N, 3) mm of the heart at end-diastole and end-expiration, moved to a time in s."""
        s = float(self.contraction(time)) * self.amplitude
        local = self.heart.local(points)
        a, b, c = self.heart.semi_axes
        x, y, z = local.T
        base = 0.5 * (1 - np.tanh(z / (0.9 * c)))  # 1 at the base, 0 at the apex
        # The free wall of the right ventricle moves most, the anterior groove least.
        reach = 1 - 0.32 * y / b - 0.35 * x / a
        turn = TWIST * s * (0.6 - base)
        shrink = 1 - RADIAL * s
        cos, sin = np.cos(turn), np.sin(turn)
        moved = np.stack(
            [shrink * (cos * x - sin * y), shrink * (sin * x + cos * y), z + LONGITUDINAL * s * base * reach], axis=1
        )
        return self.heart.world(moved) + self.breathing_offset(time)


def draw_motion(rng: Generator, heart: Heart, heart_rate: float, variability: float, breathing: float) -> Motion:
    """Draw the motion of one patient around the given rate [1/min], variability and breathing way [mm]."""
    return Motion(
        heart,
        heart_rate=heart_rate,
        variability=variability,
        breathing=breathing,
        breathing_rate=float(rng.uniform(12, 16)),
        amplitude=float(rng.uniform(0.85, 1.15)),
        offsets=rng.uniform(0, 2 * np.pi, 3),
    )
