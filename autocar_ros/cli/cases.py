"""Cases out of the simulator's scene, for `bench` and `evaluate`: perfect masks, true poses, known vessels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from autocar_ros.config import SimulationConfig
from autocar_ros.errors import AutocarError
from autocar_ros.evaluation.graph_metrics import sample_centreline, visible_part
from autocar_ros.geometry.carm import mm_per_pixel, shift_image
from autocar_ros.synthetic.scene import Scene
from autocar_ros.types import NANOSECONDS, FramePair, VesselGraph

LONGEST_WAIT = 12.0  # s, for the contrast to fill the tree
STEP = 0.25  # s


def filled_time(scene: Scene) -> float:
    """Time [s] at which the greatest length of vessel is filled with contrast and in view in both planes."""
    times = np.arange(0.0, LONGEST_WAIT, STEP)
    lengths = [float(sample_centreline(visible_part(scene.truth(float(t)))).length.sum()) for t in times]
    if max(lengths) == 0:
        raise AutocarError(f"no vessel of this scene is in view of both planes in its first {LONGEST_WAIT:g} s")
    return float(times[int(np.argmax(lengths))])


def pair_at(scene: Scene, time_s: float) -> FramePair:
    """Pair of perfect masks and true poses at one time."""
    stamp = int(time_s * NANOSECONDS)
    masks = (scene.mask("a", time_s), scene.mask("b", time_s))
    return FramePair(stamp, stamp, *masks, scene.pose("a"), scene.pose("b"), key_frame=True)


def static_case(seed: int, misalignment: float = 0.0) -> tuple[FramePair, VesselGraph]:
    """One still pair and the vessels that can be seen in it.

    `misalignment` [mm at the isocentre] shifts what is believed of plane B's image, in a direction drawn from the
    seed, as a table that moved between the runs does.
    """
    scene = Scene(SimulationConfig(seed=seed))
    time_s = filled_time(scene)
    pair = pair_at(scene, time_s)
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    pixels = misalignment / mm_per_pixel(pair.pose_b)
    believed = shift_image(pair.pose_b, pixels * np.cos(angle), pixels * np.sin(angle))
    return replace(pair, pose_b=believed), visible_part(scene.truth(time_s))
