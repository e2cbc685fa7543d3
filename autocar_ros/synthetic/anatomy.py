"""Coronary trees drawn on a heart: courses, branching, diameters, stenoses.

Lengths and diameters follow Dodge et al. 1992 (Circulation 86:232). Where a vessel ends in two, r^k is conserved with
k drawn between 7/3 (Huo & Kassab 2012) and 3 (Murray 1926), up to the ripple of each. A side branch takes a share of
its parent's r^k, and the parent goes on as much thinner. Branches start on their parent's centreline. The named
vessels bear twigs, from none to as many as a CT or a full injection shows: 6 to 25 vessels in all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from autocar_ros.errors import ConfigError
from autocar_ros.synthetic.heart import Heart, draw_heart
from autocar_ros.types import FloatArray, VesselGraph
from autocar_ros.vessels.tree import smooth_path

SPACING = 1.0  # mm between nodes
MIN_RADIUS = 0.5  # mm; angiography and CT show little below
BLUNTNESS = 1.5  # mm, over which courses are smoothed: vessels do not fold
SHARPEST = 0.12  # 1/mm, curvature of a single wave of tortuosity
LEAST_COSINE = 0.6  # of the turn of a course in 1 mm
DEGREE = np.pi / 180
TAPER = 4.0  # mm beyond a side branch, over which its parent becomes thinner
THINNED = 0.15  # of what a side branch takes; the parent's even taper stands for the rest
VESSELS = (6, 25)  # of a tree
BEARING = 25.0  # mm; a shorter vessel bears no twigs


@dataclass(frozen=True)
class Stenosis:
    """A drawn narrowing."""

    node: int  # of the graph, at the narrowest place
    branch: int
    diameter_stenosis: float  # 0..1 of the reference diameter
    reference_radius: float  # mm
    length: float  # mm, full width at half depth


@dataclass(frozen=True)
class Anatomy:
    """A heart at end-diastole with one coronary tree."""

    heart: Heart
    graph: VesselGraph
    distance: FloatArray  # (N,) mm from the ostium along the tree
    dominance: str  # right, left or codominant
    stenoses: tuple[Stenosis, ...] = ()


@dataclass
class _Branch:
    """A vessel while it is drawn; `points` and `radius` begin on the parent's centreline."""

    label: str
    points: FloatArray  # (K, 3) mm, SPACING apart
    radius: FloatArray  # (K,) mm
    parent: int = -1  # index into the list of branches
    start: int = 0  # index into the parent's points


def draw_anatomy(rng: Generator, tree: str = "left", dominance: str = "random", stenoses: int = 0) -> Anatomy:
    """Draw a heart and its left or right coronary tree.

    Parameters
    ----------
    tree : "left" or "right"
    dominance : "right", "left", "codominant" or "random" (85, 8 and 7 %)
    stenoses : how many narrowings to draw

    Raises
    ------
    ConfigError
        For another tree or dominance.
    """
    kinds = ("right", "left", "codominant")
    if tree not in ("left", "right") or dominance not in (*kinds, "random"):
        raise ConfigError(f"tree must be left or right and dominance {kinds} or random, got {tree!r}, {dominance!r}")
    drawn = str(rng.choice(kinds, p=(0.85, 0.08, 0.07)))
    dominance = drawn if dominance == "random" else dominance
    heart = draw_heart(rng)
    grower = _Grower(rng, heart)
    (_grow_left if tree == "left" else _grow_right)(grower, dominance)
    _grow_twigs(grower)
    graph, distance = _graph_of(grower.branches)
    graph, found = _narrow(rng, graph, stenoses)
    # The operator brings the tree to the isocentre.
    offset = -(graph.position.min(0) + graph.position.max(0)) / 2
    graph = graph.with_(position=graph.position + offset)
    return Anatomy(heart.moved(offset), graph, distance, dominance, found)


class _Grower:
    """Adds branches to a tree on a heart."""

    def __init__(self, rng: Generator, heart: Heart) -> None:
        self.rng, self.heart = rng, heart
        self.exponent = rng.uniform(7 / 3, 3)
        self.size = rng.choice([1.0, 0.91])  # women's arteries are 9 % thinner
        self.tortuosity = rng.uniform(0.6, 1.3) if rng.random() < 0.8 else rng.uniform(1.3, 1.5)
        self.branches: list[_Branch] = []

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def diameter(self, mean: float, deviation: float) -> float:
        return mean * float(self.size) + deviation * float(np.clip(self.rng.normal(), -2, 2))

    def grow(
        self,
        label: str,
        theta: list[float],
        phi: list[float],
        length: float,
        radius: tuple[float, float],
        parent: int = -1,
        start: int = 0,
        height: list[float] | None = None,
    ) -> int:
        """Add a vessel through heart angles [degrees], `length` mm, radius first -> last [mm]; returns its index."""
        anchor = self.branches[parent].points[start] if parent >= 0 else None
        points = self._course(np.array(theta), np.array(phi), np.array(height or [0.0] * len(theta)), length, anchor)
        s = np.arange(len(points)) / (len(points) - 1)
        taper = radius[0] + (radius[1] - radius[0]) * s ** self.uniform(0.8, 1.1)
        ripple = 1 + _smooth_noise(self.rng, s * length, 0.025, (8.0, 30.0))
        radii = np.maximum(taper * ripple, MIN_RADIUS)
        self.branches.append(_Branch(label, points, radii, parent, start))
        return len(self.branches) - 1

    def _course(
        self, theta: FloatArray, phi: FloatArray, height: FloatArray, length: float, anchor: FloatArray | None
    ) -> FloatArray:
        """Smooth curve through heart angles [degrees], wavy, cut to `length` mm, points SPACING apart."""
        t = np.linspace(0, 1, len(theta))
        fine = np.linspace(0, 1, 600)
        th, ph, h = CubicSpline(t, np.stack([theta * DEGREE, phi * DEGREE, height], axis=1))(fine).T
        s = _arc_length(self.heart.surface(th, ph, h))
        # Waves grow from nothing at the start, so that a vessel leaves its parent in its own direction.
        wave = self.tortuosity * np.clip(s / 10, 0, 1) ** 2 * (3 - 2 * np.clip(s / 10, 0, 1))
        mean_radius = float(self.heart.semi_axes.mean())
        th = th + wave * _smooth_noise(self.rng, s, 0.9, (16.0, 24.0, 50.0)) / mean_radius
        ph = ph + wave * _smooth_noise(self.rng, s, 0.9, (16.0, 24.0, 50.0)) / mean_radius
        h = h + wave * _smooth_noise(self.rng, s, 0.7, (16.0, 40.0))
        points = self.heart.surface(th, ph, h)
        even = np.arange(0.0, s[-1], SPACING / 4)
        points = CubicSpline(s, points)(even)
        points = gaussian_filter1d(points, BLUNTNESS / (SPACING / 4), axis=0, mode="nearest")
        if anchor is not None:
            points = points + (anchor - points[0]) * np.exp(-even / 7)[:, None]
        s = _arc_length(points)
        count = max(int(min(length, s[-1]) / SPACING), 4)
        return _unfolded(CubicSpline(s, points)(np.arange(count + 1) * SPACING))

    def angles(self, point: FloatArray) -> tuple[float, float]:
        """Heart angles theta, phi [degrees] of a point (3,) mm."""
        local = self.heart.local(point) / self.heart.semi_axes
        theta = np.degrees(np.arctan2(np.hypot(local[0], local[1]), -local[2]))
        return float(theta), float(np.degrees(np.arctan2(local[1], local[0])))

    def twig(self, label: str, parent: int) -> int:
        """Add a small vessel anywhere on a parent, at an acute angle to it."""
        main = self.branches[parent]
        start = int(self.uniform(0.1, 0.85) * (len(main.points) - 6))
        (th, ph), (th_on, ph_on) = (self.angles(main.points[k]) for k in (start, start + 5))
        sine = max(np.sin(th * DEGREE), 0.3)
        onward = np.arctan2(((ph_on - ph + 180) % 360 - 180) * sine, th_on - th)
        course = onward + self.rng.choice([-1, 1]) * self.uniform(25, 75) * DEGREE
        length = self.uniform(10, min(45.0, 0.7 * len(main.points) * SPACING))
        way = np.degrees(length / float(self.heart.semi_axes.mean()))
        theta, phi = way * np.cos(course), way * np.sin(course) / sine
        bend = self.uniform(0.3, 0.7)
        return self.side(label, parent, start / (len(main.points) - 1), self.uniform(0.3, 0.5),
                         (theta * bend, theta), (phi * 0.5, phi), length)  # fmt: skip

    def _thin(self, main: _Branch, start: int, share: float) -> None:
        """Narrow a vessel beyond a side branch that takes `share` of its r^k; it widens by nothing elsewhere."""
        after = np.clip((np.arange(len(main.radius)) - start) * SPACING / TAPER, 0, 1)
        lost = 1 - (1 - share * THINNED) ** (1 / self.exponent)
        main.radius[:] = np.maximum(main.radius * (1 - lost * after), MIN_RADIUS)

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
        """Add a side branch at `fraction` of its parent's length, that takes `share` of r^k.

        `theta` and `phi` [degrees] are the changes of heart angle from its start to its middle and to its end.
        """
        main = self.branches[parent]
        start = int(fraction * (len(main.points) - 1))
        th, ph = self.angles(main.points[start])
        first = max(float(main.radius[start]) * share ** (1 / self.exponent), MIN_RADIUS)
        self._thin(main, start, share)
        return self.grow(
            label,
            [th, th + theta[0], th + theta[1]],
            [ph, ph + phi[0], ph + phi[1]],
            length,
            (first, max(first * self.uniform(0.65, 0.9), MIN_RADIUS)),
            parent,
            start,
            height,
        )


def _unfolded(points: FloatArray) -> FloatArray:
    """Course (K, 3) made smoother where a bend is too sharp for a vessel, as waves make it near the apex; ends stay."""
    for sigma in (1.0, 2.0, 3.0, 4.0, 5.0):
        step = np.diff(points, axis=0)
        step /= np.linalg.norm(step, axis=1, keepdims=True)
        if np.min(np.sum(step[1:] * step[:-1], axis=1), initial=1.0) > LEAST_COSINE:
            break
        points = smooth_path(points, sigma)
    return points


def _smooth_noise(rng: Generator, s: FloatArray, amplitude: float, wavelengths: tuple[float, ...]) -> FloatArray:
    """Sum of sines over arc length s (K,) mm, rms about `amplitude` and of bounded curvature."""
    out = np.zeros_like(s)
    for wavelength in wavelengths:
        wave_number = 2 * np.pi / (wavelength * rng.uniform(0.8, 1.25))
        height = rng.normal() * amplitude * np.sqrt(2 / len(wavelengths))
        limit = SHARPEST / wave_number**2
        out += np.clip(height, -limit, limit) * np.sin(wave_number * s + rng.uniform(0, 2 * np.pi))
    return out


def _arc_length(points: FloatArray) -> FloatArray:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def _grow_left(g: _Grower, dominance: str) -> None:
    """Left main, LAD with diagonals and septals, LCx with obtuse marginals (and PL, PDA when it dominates)."""
    u, k = g.uniform, g.exponent
    theta, phi = u(44, 50), u(4, 14)
    main = g.diameter(4.5, 0.5) / 2
    length = float(np.clip(g.rng.normal(10.5, 4.0), 4, 20))
    lm = g.grow("LM", [theta - length * 1.3, theta], [phi + u(8, 20), phi], length, (main, main * 0.97))
    end = len(g.branches[lm].points) - 1
    share = float(np.clip(g.rng.normal(0.45 if dominance == "right" else 0.56, 0.04), 0.35, 0.65))  # of the LCx
    r_lad, r_lcx = main * (1 - share) ** (1 / k), main * share ** (1 / k)
    lad = g.grow(
        "LAD", [theta, 75, 110, 150, 190], [phi, u(-4, 5), u(-6, 5), u(-8, 6), u(-8, 6)],
        u(100, 130), (r_lad, r_lad * u(0.55, 0.7)), lm, end,
    )
    groove = u(66, 74)
    long = {"right": u(60, 80), "codominant": u(85, 100), "left": u(115, 130)}[dominance]
    lcx = g.grow(
        "LCx", [theta, groove - 2, groove, groove + u(-2, 4), groove], [phi, phi + 45, 90, 135, 178],
        long, (r_lcx, r_lcx * u(0.6, 0.75)), lm, end,
    )
    for i in range(int(g.rng.integers(2, 4))):
        g.side(f"D{i + 1}", lad, 0.18 + 0.2 * i + u(0, 0.08), u(0.15, 0.32), (u(12, 20), u(35, 55)),
               (u(18, 30), u(25, 50)), u(35, 65))
    for i in range(int(g.rng.integers(2, 5))):
        g.side(f"S{i + 1}", lad, 0.15 + 0.13 * i + u(0, 0.06), u(0.05, 0.12), (u(10, 16), u(18, 30)),
               (-u(6, 12), -u(12, 24)), u(18, 35), [0.0, -7.0, -u(12, 18)])
    for i in range(int(g.rng.integers(1, 4))):
        g.side(f"OM{i + 1}", lcx, (0.3 + 0.27 * i + u(0, 0.1)) * min(1.0, 75 / long), u(0.22, 0.4),
               (u(20, 28), u(45, 75)), (u(-2, 12), u(-4, 16)), u(35, 70))
    if dominance != "right":
        g.side("PL1", lcx, 0.85, u(0.3, 0.4), (u(20, 28), u(40, 65)), (u(-6, 6), u(-10, 10)), u(30, 55))
    if dominance == "left":
        g.side("PDA", lcx, 0.97, u(0.4, 0.5), (u(25, 32), u(60, 80)), (u(-4, 4), u(-6, 6)), u(45, 70))


def _grow_right(g: _Grower, dominance: str) -> None:
    """RCA with conus, right ventricular and acute marginal branches; PDA and posterolaterals unless left dominant."""
    u = g.uniform
    first = (g.diameter(3.9, 0.6) if dominance != "left" else g.diameter(2.8, 0.5)) / 2
    groove, phi = u(66, 74), -u(15, 25)
    long = u(120, 140) if dominance != "left" else u(65, 90)
    rca = g.grow(
        "RCA", [groove - 28, groove - 6, groove + 2, groove, groove + 1, groove],
        [phi, phi - 24, -78, -112, -145, -182], long, (first, first * u(0.6, 0.72)),
    )
    g.side("CB", rca, u(0.03, 0.06), u(0.06, 0.12), (u(10, 16), u(20, 35)), (u(2, 8), u(6, 16)), u(20, 40))
    for i in range(int(g.rng.integers(1, 4))):
        name = "AM" if i == 0 else f"RV{i}"
        place = u(0.5, 0.6) if i == 0 else 0.12 + 0.14 * i + u(0, 0.06)
        g.side(name, rca, place, u(0.12, 0.25), (u(20, 28), u(40, 65)), (u(0, 12), u(0, 22)), u(30, 60))
    if dominance == "left":
        return
    end = len(g.branches[rca].points) - 1
    last, k = float(g.branches[rca].radius[end]), g.exponent
    share = u(0.45, 0.6)
    local = g.heart.local(g.branches[rca].points[end]) / g.heart.semi_axes
    th = np.degrees(np.arctan2(np.hypot(local[0], local[1]), -local[2]))
    ph = np.degrees(np.arctan2(local[1], local[0]))
    ph = ph - 360 if ph > 0 else ph
    r_pda, r_pl = last * share ** (1 / k), last * (1 - share) ** (1 / k)
    g.grow("PDA", [th, th + 28, th + 80], [ph, -178 + u(-4, 4), -178 + u(-6, 6)], u(50, 80),
           (r_pda, r_pda * u(0.55, 0.75)), rca, end)
    if dominance == "right":
        pl = g.grow("PL", [th, th + 5, th + 12], [ph, ph - u(16, 22), ph - u(35, 50)], u(30, 50),
                    (r_pl, r_pl * u(0.55, 0.75)), rca, end)
        for i in range(int(g.rng.integers(1, 3))):
            g.side(f"PL{i + 1}", pl, 0.25 + 0.4 * i, u(0.3, 0.42), (u(20, 28), u(40, 55)), (-u(0, 6), -u(0, 12)),
                   u(25, 45))


def _grow_twigs(g: _Grower) -> None:
    """Vessels of the second to fourth order; how many differs widely from tree to tree."""
    wanted = int(g.rng.integers(VESSELS[0], VESSELS[1] + 1))
    twigs: dict[int, int] = {}
    while len(g.branches) < wanted:
        # thick vessels bear more than thin ones of the same length
        size = np.array([b.radius.sum() * SPACING * (len(b.points) * SPACING >= BEARING) for b in g.branches])
        parent = int(g.rng.choice(len(size), p=size / size.sum()))
        number = twigs[parent] = twigs.get(parent, 0) + 1
        g.twig(f"{g.branches[parent].label}{'abcdefghijklmnopqrstuvwxyz'[number - 1]}", parent)


def _graph_of(branches: list[_Branch]) -> tuple[VesselGraph, FloatArray]:
    """One graph of all branches, and the distance of each node from the ostium.

    A branch's first point is its parent's node: it is not repeated.
    """
    first, position, radius, branch, edges, distance = [], [], [], [], [], []  # type: ignore[var-annotated]
    for index, b in enumerate(branches):
        skip = int(b.parent >= 0)
        base = len(distance)
        first.append(base - skip)
        count = len(b.points) - skip
        nodes = np.arange(base, base + count)
        root = first[b.parent] + b.start if skip else -1
        parents = np.concatenate([[root], nodes[:-1]])
        edges.extend(np.stack([parents, nodes], axis=1)[1 - skip :])
        position.append(b.points[skip:])
        radius.append(b.radius[skip:])
        branch.extend([index] * count)
        begin = distance[root] if skip else -SPACING
        distance.extend(begin + SPACING * np.arange(1, count + 1))
    graph = VesselGraph(
        position=np.concatenate(position),
        radius=np.concatenate(radius),
        edges=np.array(edges, np.int64),
        branch=np.array(branch, np.int64),
        branch_label=tuple(b.label for b in branches),
        sigma=np.zeros(len(distance)),
        graph_id=1,
    )
    return graph, np.array(distance)


def _narrow(rng: Generator, graph: VesselGraph, count: int) -> tuple[VesselGraph, tuple[Stenosis, ...]]:
    """Draw stenoses of 30-90 % diameter, 6-15 mm long, on branches of at least 30 mm."""
    radius, found = graph.radius.copy(), []
    sizes = np.bincount(graph.branch)
    long = np.flatnonzero(sizes * SPACING >= 30)
    for branch in rng.permutation(long)[:count]:
        nodes = np.flatnonzero(graph.branch == branch)
        at = int(rng.uniform(0.15, 0.7) * len(nodes))
        depth, length = rng.uniform(0.3, 0.9), rng.uniform(6, 15)
        shape = np.exp(-4 * np.log(2) * ((np.arange(len(nodes)) - at) * SPACING / length) ** 2)
        reference = float(radius[nodes[at]])
        radius[nodes] *= 1 - depth * shape
        found.append(Stenosis(int(nodes[at]), int(branch), float(depth), reference, float(length)))
    return replace(graph, radius=radius), tuple(found)
