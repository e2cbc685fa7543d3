"""Cases out of the simulator's scene, for `bench` and `evaluate`: perfect masks, true poses, known vessels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from autocar_ros.config import SimulationConfig
from autocar_ros.evaluation.graph_metrics import visible_part
from autocar_ros.geometry.carm import mm_per_pixel, shift_image
from autocar_ros.synthetic.scene import Scene
from autocar_ros.types import NANOSECONDS, FramePair, VesselGraph

SPAN = 5.0  # s in which a case's heart phase and breath are drawn


def pair_at(scene: Scene, time_s: float) -> FramePair:
    """Pair of perfect masks and reported poses at one time."""
    stamp = round(time_s * NANOSECONDS)
    masks = (scene.mask("a", time_s), scene.mask("b", time_s))
    return FramePair(stamp, stamp, *masks, scene.pose("a"), scene.pose("b"), key_frame=True)


def static_case(seed: int, misalignment: float = 0.0) -> tuple[FramePair, VesselGraph]:
    """One still pair of a filled tree and the vessels that both views show.

    Even seeds give left trees, odd ones right trees, seen from two views drawn from the clinical clusters.
    `misalignment` [mm at the isocentre] shifts what is believed of plane B's image, in a direction drawn from the
    seed, as a table that moved between the runs does.
    """
    tree = ("left", "right")[seed % 2]
    scene = Scene(SimulationConfig(seed=seed, tree=tree, views="random", contrast="full"))
    rng = np.random.default_rng(seed)
    time_s, angle = rng.uniform(0, SPAN), rng.uniform(0, 2 * np.pi)
    pair = pair_at(scene, time_s)
    pixels = misalignment / mm_per_pixel(pair.pose_b)
    believed = shift_image(pair.pose_b, pixels * np.cos(angle), pixels * np.sin(angle))
    return replace(pair, pose_b=believed), visible_part(scene.truth(time_s))
