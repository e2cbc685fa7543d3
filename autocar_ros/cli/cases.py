"""Simulated cases for `bench` and `evaluate`: perfect masks, known vessels."""

from __future__ import annotations

from autocar_ros.config import CaseConfig
from autocar_ros.synthetic.cases import Case, case_rng, draw_case
from autocar_ros.synthetic.scene import Scene
from autocar_ros.types import NANOSECONDS, FramePair


def pair_at(scene: Scene, time_s: float) -> FramePair:
    """Pair of perfect masks and reported poses at one time."""
    stamp = round(time_s * NANOSECONDS)
    masks = (scene.mask("a", time_s), scene.mask("b", time_s))
    return FramePair(stamp, stamp, *masks, scene.pose("a"), scene.pose("b"), key_frame=True)


def static_case(seed: int, misalignment: float = 0.0) -> Case:
    """Case of the test split with perfect masks and true poses: no training or tuning ever sees it.

    `misalignment` [mm] is the root mean square distance between where both views saw the vessels.
    """
    return draw_case(case_rng("test", seed, 0), CaseConfig(misalignment=misalignment))
