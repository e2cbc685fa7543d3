"""Simulated cases for `bench`, `evaluate` and `train`: perfect masks, known vessels."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from autocar_ros.config import CaseConfig, SimulationConfig
from autocar_ros.evaluation.stenosis import Lesion
from autocar_ros.synthetic.cases import Case, case_rng, draw_case
from autocar_ros.synthetic.scene import Scene
from autocar_ros.types import NANOSECONDS, FramePair, SeenBy, VesselGraph
from autocar_ros.vessels.stenosis import THINNEST

STENOSES = 4  # of a tree
MOMENT = 1.0  # s of the scene


class Tree(StrEnum):
    """Which trees are simulated (`CaseConfig.tree`)."""

    BOTH = "both"
    LEFT = "left"
    RIGHT = "right"
    TUBES = "tubes"


def pair_at(scene: Scene, time_s: float) -> FramePair:
    """Pair of perfect masks and reported poses at one time."""
    stamp = round(time_s * NANOSECONDS)
    masks = (scene.mask("a", time_s), scene.mask("b", time_s))
    return FramePair(stamp, stamp, *masks, scene.pose("a"), scene.pose("b"), key_frame=True)


def static_case(seed: int, config: CaseConfig | None = None) -> Case:
    """Case of the test split, never seen in training or tuning; masks perfect and poses true unless told otherwise."""
    return draw_case(case_rng("test", seed, 0), config)


class StenosisCase(NamedTuple):
    """A pair of perfect masks and true poses, the tree in it, and its stenoses."""

    pair: FramePair
    truth: VesselGraph
    lesions: tuple[Lesion, ...]


def stenosis_case(seed: int) -> StenosisCase:
    """Left tree for odd, right for even seeds, with `STENOSES` stenoses, in views drawn from clinical clusters.

    Training draws its trees from other streams of random numbers: none of these is among them.
    """
    tree = "left" if seed % 2 else "right"
    scene = Scene(SimulationConfig(
        seed=seed, tree=tree, views="random", contrast="full", stenoses=STENOSES, background=False, collimator=0,
    ))  # fmt: skip
    truth = scene.truth(MOMENT)
    lesions = tuple(
        Lesion(
            position=tuple(truth.position[s.node]),
            diameter_stenosis=s.diameter_stenosis,
            minimal_lumen_diameter=float(2 * truth.radius[s.node]),
            reference_diameter=2 * s.reference_radius,
            length=s.length,
            judged=bool(truth.seen_by[s.node] == SeenBy.BOTH and 2 * s.reference_radius >= THINNEST),
        )
        for s in scene.anatomy.stenoses
    )
    return StenosisCase(pair_at(scene, MOMENT), truth, lesions)
