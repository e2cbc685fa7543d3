"""Narrowings of a vessel graph: how narrow, compared with what, how long, how sure.

A narrowing is a valley of the radius along a branch: what a morphological closing fills. That a vessel tapers, gets
thinner at a bifurcation or at its end makes no valley. What two overlapping vessels make of the radius does: so nodes
that other vessels cover in all views are not used, nor is a vessel thicker than all of the vessel before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import KDTree

from autocar_ros.geometry.camera import Camera
from autocar_ros.types import FloatArray, IntArray, VesselGraph
from autocar_ros.vessels import tree
from autocar_ros.vessels.radius import SMALLEST, branch_radius, opening

REPORTED = 0.3  # least diameter stenosis; below, noise and the usual unevenness of vessels look the same
UNSURE = 0.5  # less confidence is not reported
THINNEST = 1.5  # mm of reference diameter; thinner vessels are not judged
LONGEST = 30  # nodes between the healthy ends of a narrowing
LONGEST_HALF = 20.0  # mm narrowed by half as much; longer ones lie between two vessels that cover this one
SHOULDER = 0.1  # share of the diameter: a narrowing begins where the vessel is narrower by so much
RIM = 8.0  # mm of healthy vessel on either side that tell the reference
FEWEST = 3  # nodes of such a rim
SETTLED = 10  # nodes from the root on; before, a twig at the ostium may be all that is known of the vessel
HEALTHY = 0.75  # quantile of the radius in a rim: its inner end is a bit narrowed
UNLIKE = 1.4  # ratio of both rims from which the wider one is not believed
APART = 1.2  # times the sum of both radii; vessels nearer to each other touch: a bifurcation
LEAST_SIGMA = 0.04  # mm, of a radius


@dataclass(frozen=True)
class Stenosis:
    """A narrowing of a vessel."""

    node: int  # of the graph, at the narrowest place
    branch: int
    diameter_stenosis: float  # 0..1, 1 - minimal lumen diameter / reference diameter
    minimal_lumen_diameter: float  # mm
    reference_diameter: float  # mm, that the healthy vessel would have there
    length: float  # mm, where the vessel is narrowed by more than half as much as at the narrowest place
    confidence: float  # 0..1, of the graph there, times the chance that this is no noise of the radius


class _Valley:
    """A stretch of a branch that is narrower than both sides of it.

    `along`, `radius` and `missing` (share that the closing fills) are those of all nodes (M,) of the piece of the
    branch; the valley goes from the first node to before the last.
    """

    def __init__(self, along: FloatArray, radius: FloatArray, missing: FloatArray, first: int, last: int) -> None:
        self.along, self.radius, self.missing = along, radius, missing
        self.at = first + int(np.argmin(radius[first:last]))  # the narrowest place
        self.before, self.behind = self._rim(first, -1), self._rim(last - 1, 1)

    def reference(self, forks: IntArray) -> tuple[float, float, float]:
        """Healthy radius in mm at the narrowest place, 1-sigma of the radii, largest healthy radius beside it.

        `forks` are the bifurcations (K,) in the valley.
        """
        rims = [rim for rim in (self.before, self.behind) if len(rim) >= FEWEST]
        levels = [float(np.quantile(self.radius[rim], HEALTHY)) for rim in rims]
        noise = np.concatenate([self.radius[rim] - np.median(self.radius[rim]) for rim in rims])
        sigma = max(1.48 * float(np.median(np.abs(noise))), LEAST_SIGMA)
        if max(levels) > UNLIKE * min(levels):
            level = min(levels)
        elif len(forks) and len(levels) > 1:
            level = levels[int(self.at > np.median(forks))]
        else:
            level = float(np.interp(self.along[self.at], [float(np.median(self.along[rim])) for rim in rims], levels))
        return level, sigma, max(levels)

    def length(self, level: float) -> float:
        """Arc length in mm around the narrowest place in which the radius is below a level, between the nodes."""
        ends = []
        for step in (-1, 1):
            k = self.at
            while 0 <= k + step < len(self.radius) and self.radius[k + step] < level:
                k += step
            beyond = min(max(k + step, 0), len(self.radius) - 1)
            part = (level - self.radius[k]) / (self.radius[beyond] - self.radius[k]) if beyond != k else 0.0
            ends.append(self.along[k] + part * (self.along[beyond] - self.along[k]))
        return float(ends[1] - ends[0])

    def _rim(self, end: int, step: int) -> IntArray:
        """Healthy nodes within `RIM` mm beyond one end."""
        beyond = np.arange(end + step, len(self.radius) if step > 0 else -1, step)
        near = np.abs(self.along[beyond] - self.along[end]) <= RIM
        return np.asarray(beyond[near & (self.missing[beyond] <= SHOULDER)])


def find_stenoses(
    graph: VesselGraph, cameras: Sequence[Camera] = (), reported: float = REPORTED
) -> tuple[Stenosis, ...]:
    """Narrowings by at least `reported` (0..1) of the diameter, worst first.

    The reference lies on the line between the healthy vessel on both sides. Where a branch leaves in between it is that
    of the side of the narrowest place, where both sides are unlike the smaller one. A side branch may be narrowed from
    its ostium on, then what is behind is the reference. The first and the last millimetres of the tree are not judged,
    nor are vessels thinner than `THINNEST`.

    Parameters
    ----------
    cameras : views that the radius was measured in, none if they do not matter: nodes that other vessels of the graph
        cover in all of them are not used
    """
    radius = branch_radius(np.where(hidden(graph, cameras), np.nan, graph.radius), graph.branch)
    radius = _tapered(radius, *tree.rooted(len(graph), graph.edges, np.flatnonzero(graph.parent < 0)), LONGEST)
    forks = tree.degree(len(graph), graph.edges) > 2
    found = [s for nodes in _pieces(graph) for s in _of_piece(graph, nodes, radius[nodes], forks[nodes])]
    worst = sorted(found, key=lambda s: -s.diameter_stenosis)
    return tuple(s for s in worst if s.diameter_stenosis >= reported and s.confidence >= UNSURE)


def hidden(graph: VesselGraph, cameras: Sequence[Camera]) -> NDArray[np.bool_]:
    """(N,) nodes over which another branch of the graph lies in every view; none without a view."""
    result = np.full(len(graph), bool(cameras))
    for camera in cameras:
        pixels, depth = camera.project(graph.position)
        flat = pixels * float(camera.mm_per_pixel(np.median(depth)))
        i, j = KDTree(flat).query_pairs(2 * float(graph.radius.max()), output_type="ndarray").T
        reach = graph.radius[i] + graph.radius[j]
        over = np.linalg.norm(flat[i] - flat[j], axis=1) < reach
        over &= np.linalg.norm(graph.position[i] - graph.position[j], axis=1) > APART * reach
        over &= graph.branch[i] != graph.branch[j]
        covered = np.zeros(len(graph), np.bool_)
        covered[i[over]] = covered[j[over]] = True
        result &= covered
    return result


def closing(values: FloatArray, size: int, before: float = 0.0) -> FloatArray:
    """Morphological closing of (N,) positive values: valleys narrower than `size` are filled.

    Beyond the end values are 0, so that a valley there stays, and before the start `before`.
    """
    around = np.concatenate([np.full(size, before), values, np.zeros(size)])
    return np.asarray(-opening(-around, size)[size : size + len(values)])


def _pieces(graph: VesselGraph) -> Iterator[IntArray]:
    """Nodes of every unbroken piece of a branch, in the order from the root."""
    parent = graph.parent
    for k in np.unique(graph.branch):
        nodes = np.flatnonzero(graph.branch == k)
        yield from np.split(nodes, np.flatnonzero(parent[nodes[1:]] != nodes[:-1]) + 1)


def _of_piece(graph: VesselGraph, nodes: IntArray, radius: FloatArray, forks: NDArray[np.bool_]) -> Iterator[Stenosis]:
    """All valleys of a piece of a branch (M,), however shallow; `forks` (M,) are bifurcations."""
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(graph.position[nodes], axis=0), axis=1))])
    side_branch = bool(graph.parent[nodes[0]] >= 0)
    missing = 1 - radius / np.maximum(closing(radius, LONGEST, np.inf if side_branch else 0.0), SMALLEST)
    steps = np.flatnonzero(np.diff(np.concatenate([[False], missing > SHOULDER, [False]]).astype(np.int8)))
    for first, last in zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True):
        valley = _Valley(along, radius, missing, first, last)
        if len(valley.behind) < FEWEST or (len(valley.before) < FEWEST and not side_branch):
            continue
        reference, sigma, widest = valley.reference(np.flatnonzero(forks[first:last]) + first)
        smallest = float(radius[valley.at])
        length = valley.length((smallest + reference) / 2)
        if smallest >= reference or 2 * widest < THINNEST or length > LONGEST_HALF:
            continue
        narrowed = 1 - smallest / reference
        real = _chance(narrowed, sigma * math.hypot(1, 1 - narrowed) / reference)
        sure = real * float(np.median(graph.confidence[nodes[first:last]]))
        node = int(nodes[valley.at])
        yield Stenosis(node, int(graph.branch[node]), narrowed, 2 * smallest, 2 * reference, length, sure)


def _chance(narrowed: float, sigma: float) -> float:
    """Probability 0..1 that a diameter stenosis with a 1-sigma is more than half of `REPORTED`."""
    return 0.5 * (1 + math.erf((narrowed - REPORTED / 2) / (sigma * math.sqrt(2))))


@njit(cache=True)
def _tapered(radius, order, parent, reach):  # type: ignore[no-untyped-def]
    """Radius (N,) no larger than the largest of the `reach` nodes before: what is has another vessel over it."""
    result = radius.copy()
    for node in order:
        largest, before, count = 0.0, parent[node], 0
        while before >= 0 and count < reach:
            largest, before, count = max(largest, result[before]), parent[before], count + 1
        if count >= SETTLED:
            result[node] = min(result[node], largest)
    return result
