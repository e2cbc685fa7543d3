"""Where the reconstruction network loses true voxels and invents false ones, on a case whose vessels are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import ReconstructionError
from autocar_ros.evaluation.error_split import ErrorSplit, Survivors, error_split
from autocar_ros.evaluation.voxels import grid_around, lumen
from autocar_ros.sbp.network import SbpNetwork
from autocar_ros.sbp.observation import evidence, observe
from autocar_ros.types import FloatArray, FramePair, IntArray, VesselGraph

LOSSES = ("outside_hull", "pruned_2mm", "pruned_1mm")  # by the stages at 2, 1 and 0.5 mm
FINEST = 0.5  # mm


class _Answer(NamedTuple):
    """What a network looked at and said."""

    stages: dict[str, Survivors]
    occupied: IntArray  # (M, 3) of 0.5 mm
    origin: FloatArray  # (3,) mm


def network_errors(
    network: SbpNetwork, pair: FramePair, truth: VesselGraph, config: ReconstructionConfig
) -> dict[str, float]:
    """Shares of an `ErrorSplit` as one flat table; empty when the pair cannot be reconstructed at all.

    What the candidate test at 1 and 0.5 mm cuts off counts as pruned before it.
    """
    try:
        answer = _answer(network, pair, config)
    except ReconstructionError:
        return {}
    grid = grid_around(truth.position, voxel_size=FINEST)
    corner = np.rint((grid.origin - answer.origin) / FINEST).astype(np.int64)
    return _flat(error_split(np.argwhere(lumen(truth, grid)) + corner, answer.stages, answer.occupied))


def _answer(network: SbpNetwork, pair: FramePair, config: ReconstructionConfig) -> _Answer:
    with torch.inference_mode():
        stages = network(evidence(observe(pair, config)), config)
    found = {
        name: Survivors(stage.voxels.index.numpy(), round(stage.size / FINEST))
        for name, stage in zip(LOSSES, stages, strict=True)
    }
    occupied = (stages[-1].chance >= network.threshold).numpy()
    return _Answer(found, found[LOSSES[-1]].voxels[occupied], stages[-1].origin.double().numpy())


def _flat(split: ErrorSplit) -> dict[str, float]:
    true = {"found": split.found, **split.lost, "missed": split.missed}
    false = {"right": split.right, "beside": split.beside, "ghosts": split.ghosts}
    return {f"true_{k}": v for k, v in true.items()} | {f"predicted_{k}": v for k, v in false.items()}
