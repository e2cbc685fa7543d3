"""Coronary trees drawn on a heart: 6 to 25 vessels, thin and thick, straight and tortuous, with stenoses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from autocar_ros.errors import ConfigError
from autocar_ros.synthetic.branching import Branch, Grower
from autocar_ros.synthetic.coronaries import grow_left, grow_right, grow_twigs
from autocar_ros.synthetic.courses import SPACING
from autocar_ros.synthetic.heart import Heart, draw_heart
from autocar_ros.types import FloatArray, VesselGraph


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
    grower = Grower(rng, heart)
    ostium = (grow_left if tree == "left" else grow_right)(grower, dominance)
    grow_twigs(grower)
    grower.calibrate(ostium)
    graph, distance = graph_of(grower.branches)
    graph, found = _narrow(rng, graph, stenoses)
    # The operator brings the tree to the isocentre.
    offset = -(graph.position.min(0) + graph.position.max(0)) / 2
    graph = graph.with_(position=graph.position + offset)
    return Anatomy(heart.moved(offset), graph, distance, dominance, found)


def graph_of(branches: list[Branch]) -> tuple[VesselGraph, FloatArray]:
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
    """Draw stenoses of 30-90 % diameter, 6-15 mm long, on branches of at least 30 mm, the thicker half of them first.

    Twigs narrowed by so much would be no vessels any more.
    """
    radius, found = graph.radius.copy(), []
    nodes_of = [np.flatnonzero(graph.branch == k) for k in range(len(graph.branch_label))]
    long = [nodes for nodes in nodes_of if len(nodes) * SPACING >= 30]
    long.sort(key=lambda nodes: -radius[nodes].mean())
    half = max(count, len(long) // 2)
    for k in rng.permutation(min(half, len(long)))[:count]:
        nodes = long[k]
        at = int(rng.uniform(0.15, 0.7) * len(nodes))
        depth, length = rng.uniform(0.3, 0.9), rng.uniform(6, 15)
        shape = np.exp(-4 * np.log(2) * ((np.arange(len(nodes)) - at) * SPACING / length) ** 2)
        reference = float(radius[nodes[at]])
        radius[nodes] *= 1 - depth * shape
        found.append(Stenosis(int(nodes[at]), int(graph.branch[nodes[0]]), float(depth), reference, float(length)))
    return replace(graph, radius=radius), tuple(found)
