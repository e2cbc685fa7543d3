"""Growing a tree on a heart: where vessels branch off, where they run, and how thick they are.

A tree is drawn in two passes. First all courses, parents before children. Then the calibres from the root on: where a
vessel divides, r^k is conserved with one k for the tree, between 7/3 (Huo & Kassab 2012) and 3 (Murray 1926). What a
vessel loses of its r^k from its first to its last point, its side branches take, in proportion to their shares; a rest
goes to vessels too small to be seen, evenly along the way.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autocar_ros.synthetic.courses import SPACING, draw_course, smooth_noise
from autocar_ros.synthetic.heart import Heart
from autocar_ros.types import FloatArray

MIN_RADIUS = 0.45  # mm; angiography shows little below
UNSEEN = 0.15  # share of the vessels too small to be seen
STEP = 3.0  # mm beyond a side branch, over which its parent becomes thinner
APART = 4  # nodes between the starts of two twigs of a vessel
BEARING = 25  # nodes; a shorter vessel bears no twigs
DEGREE = np.pi / 180


@dataclass
class Branch:
    """A vessel while it is drawn; it begins on its parent's centreline."""

    label: str
    points: FloatArray  # (K, 3) mm, SPACING apart
    share: float  # of the r^k its parent gives, relative to its siblings
    ratio: float  # last radius / first radius
    parent: int = -1  # index into the list of branches
    start: int = 0  # index into the parent's points
    radius: FloatArray = field(default_factory=lambda: np.zeros(0))  # (K,) mm, by `Grower.calibrate`


class Grower:
    """Adds branches to a tree on a heart; traits of the whole tree are drawn first."""

    def __init__(self, rng: Generator, heart: Heart) -> None:
        self.rng, self.heart = rng, heart
        self.branches: list[Branch] = []
        self.exponent = self.uniform(7 / 3, 3)
        woman = rng.random() < 0.5  # whose arteries are 9 % thinner
        self.size = (0.91 if woman else 1.0) * float(np.clip(rng.normal(1.05, 0.08), 0.9, 1.25))
        self.thinnest = self.uniform(MIN_RADIUS, 0.9)  # mm, radius
        self.tortuosity = float(np.clip(np.exp(rng.normal(0.4, 0.4)), 0.5, 3.0))
        self.irregularity = float(np.clip(np.exp(rng.normal(-3.3, 0.5)), 0.015, 0.1))  # rms, of the radius

    def uniform(self, low: float, high: float) -> float:
        """Draw evenly between two numbers."""
        return float(self.rng.uniform(low, high))

    def radius(self, mean: float, deviation: float) -> float:
        """Radius [mm] drawn from the mean and the deviation of a diameter [mm], for this size of tree."""
        return (mean * self.size + deviation * float(np.clip(self.rng.normal(), -2, 2))) / 2

    def grow(
        self,
        label: str,
        theta: list[float],
        phi: list[float],
        length: float,
        ratio: float,
        parent: int = -1,
        share: float = 1.0,
        start: int = -1,
        height: list[float] | None = None,
    ) -> int:
        """Add a vessel through heart angles [degrees] and heights [mm], `length` mm, and return its index.

        It starts at the node `start` of its parent, -1 for the last.
        """
        anchor = None
        if parent >= 0:
            start %= len(self.branches[parent].points)
            anchor = self.branches[parent].points[start]
        way = np.stack([np.multiply(theta, DEGREE), np.multiply(phi, DEGREE), height or np.zeros(len(theta))], axis=1)
        points = draw_course(self.rng, self.heart, way, length, self.tortuosity, anchor)
        self.branches.append(Branch(label, points, share, ratio, parent, start))
        return len(self.branches) - 1

    def side(
        self,
        label: str,
        parent: int,
        fraction: float,
        share: float,
        theta: tuple[float, float],
        phi: tuple[float, float],
        length: float,
        height: list[float] | None = None,
    ) -> int:
        """Add a side branch at `fraction` of its parent's length.

        `theta` and `phi` [degrees] are the changes of heart angle from its start to its middle and to its end.
        """
        start = int(fraction * (len(self.branches[parent].points) - 1))
        th, ph, _ = self.place(parent, start)
        return self.grow(label, [th, th + theta[0], th + theta[1]], [ph, ph + phi[0], ph + phi[1]], length,
                         self.uniform(0.6, 0.85), parent, share, start, height)  # fmt: skip

    def twig(self, label: str, parent: int) -> int:
        """Add a small vessel anywhere on a parent, at an angle to it, on the side where there is more room."""
        nodes = len(self.branches[parent].points)
        taken = np.array([b.start for b in self.branches if b.parent == parent])
        place = np.arange(int(0.08 * nodes) + 1, int(0.88 * nodes) - 5)
        free = place[np.abs(place[:, None] - taken).min(1, initial=nodes) >= APART]
        start = int(self.rng.choice(free if len(free) else place))
        (th, ph, height), (th_on, ph_on, _) = self.place(parent, start), self.place(parent, start + 5)
        sine = max(np.sin(th * DEGREE), 0.3)
        onward = np.arctan2(((ph_on - ph + 180) % 360 - 180) * sine, th_on - th)
        length = self.uniform(10, min(45.0, 0.7 * nodes * SPACING))
        angles = np.array([-1, 1]) * self.uniform(30, 95) * DEGREE
        end = np.degrees(length / float(self.heart.semi_axes.mean()))
        theta, phi = end * np.cos(onward + angles), end * np.sin(onward + angles) / sine
        side = self._roomier((th + theta) * DEGREE, (ph + phi) * DEGREE, height)
        bend = self.uniform(0.3, 0.7)
        return self.grow(label, [th, th + theta[side] * bend, th + theta[side]],
                         [ph, ph + phi[side] * 0.5, ph + phi[side]], length, self.uniform(0.65, 0.9), parent,
                         self.uniform(0.03, 0.15), start, [height] * 3)  # fmt: skip

    def place(self, branch: int, node: int) -> tuple[float, float, float]:
        """Heart angles theta, phi [degrees] and height [mm] of a node of a branch."""
        local = self.heart.local(self.branches[branch].points[node])
        x, y, z = local / self.heart.semi_axes
        level = float(np.sqrt(x * x + y * y + z * z))
        height = float(np.linalg.norm(local)) * (1 - 1 / level)
        return float(np.degrees(np.arctan2(np.hypot(x, y), -z))), float(np.degrees(np.arctan2(y, x))), height

    def _roomier(self, theta: FloatArray, phi: FloatArray, height: float) -> int:
        """Index of the place, of heart angles (P,) rad, that is farthest from all vessels."""
        places = self.heart.surface(theta, phi, height)
        near = np.concatenate([b.points[::4] for b in self.branches])
        return int(np.argmax(np.square(near[:, None] - places).sum(-1).min(0)))

    def calibrate(self, first: float) -> None:
        """Give all vessels their radii, from a root of radius `first` mm."""
        begin = np.zeros(len(self.branches))
        begin[0] = first
        for index, b in enumerate(self.branches):
            children = [k for k, c in enumerate(self.branches) if c.parent == index]
            starts = np.array([self.branches[k].start for k in children], np.int64)
            shares = np.array([self.branches[k].share for k in children])
            radius, begin[children] = divided(
                begin[index], begin[index] * b.ratio, len(b.points), starts, shares, self.exponent
            )
            s = SPACING * np.arange(len(radius), dtype=float)
            ripple = smooth_noise(self.rng, s, (self.irregularity,), (5.0, 8.0, 30.0))[0]
            b.radius = np.maximum(radius * (1 + ripple), self.thinnest)


def divided(
    first: float, last: float, count: int, starts: NDArray[np.int64], shares: FloatArray, exponent: float
) -> tuple[FloatArray, FloatArray]:
    """Radii of a vessel, and of its branches where they leave it, with r^exponent conserved.

    Parameters
    ----------
    first, last : mm, of the vessel at its ends; `first` >= `last`
    count : its nodes
    starts : (B,) nodes where branches leave; those at its last node divide all it has there
    shares : (B,) of the branches, relative to each other

    Returns
    -------
    tuple
        Radii (count,) mm of the vessel, each step `STEP` mm long, and (B,) mm of its branches.
    """
    ends = starts == count - 1
    lost = first**exponent - last**exponent
    taken = shares * lost / (shares[~ends].sum() + UNSEEN)
    taken[ends] = shares[ends] * last**exponent / max(shares[ends].sum(), 1e-9)
    node = np.arange(count)
    beyond = np.clip((node[:, None] - starts[~ends]) * SPACING / STEP, 0, 1)
    flow = first**exponent - beyond @ taken[~ends] - (lost - taken[~ends].sum()) * node / (count - 1)
    return flow ** (1 / exponent), taken ** (1 / exponent)
