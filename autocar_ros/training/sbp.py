"""Training of the reconstruction network: cases, labels, loss (paper, equation 11) and validation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from autocar_ros.config import CaseConfig, ReconstructionConfig
from autocar_ros.errors import ReconstructionError
from autocar_ros.sbp.backproject import box_origin
from autocar_ros.sbp.network import KIND, Architecture, SbpNetwork, Stage
from autocar_ros.sbp.observation import Evidence, evidence, observe
from autocar_ros.synthetic.cases import case_rng, draw_case
from autocar_ros.synthetic.fields import log_uniform
from autocar_ros.training.labels import Labels, Truth, label_tree, truth_of

VALIDATION_CASES = 24
THRESHOLDS = tuple(round(0.2 + 0.05 * k, 2) for k in range(11))  # of occupancy, tried in validation
FEWEST_NODES = 20  # a case that shows less of a tree is drawn anew
SEPARATION = (20.0, 160.0)  # degrees between the views of a training case; nearer to 0 or 180 there is no depth
WIDER = 0.4  # of the cases
TUBES = 0.35  # of the cases are no coronaries, so that those are not taken for a law
WIDEST = 2.2  # times the radius; two CT trees have 1.75 times that of the simulated ones, in the median


class Sample(NamedTuple):
    """One prepared case."""

    seen: Evidence
    labels: Labels


class SbpTask:
    """Task of the trainer (`training.loop.Task`): sparse back-projection."""

    def __init__(
        self,
        architecture: Architecture | None = None,
        seed: int = 0,
        cases: CaseConfig | None = None,
        config: ReconstructionConfig | None = None,
    ) -> None:
        """`cases` says from which views and trees training cases are drawn; how they are disturbed is drawn, too."""
        self.model = SbpNetwork(architecture)
        self.seed, self.cases = seed, cases or CaseConfig()
        self.config = config or ReconstructionConfig()

    def sample(self, k: int) -> Sample:
        """Draw and prepare training case `k`; what cannot be reconstructed at all is drawn anew."""
        rng = case_rng("train", self.seed, k)
        while True:
            found = self._prepare(rng, draw_disturbances(rng, self.cases))
            if found is not None:
                return found

    def validation(self) -> list[Sample]:
        """Perfect cases of the validation split, the same for every seed."""
        perfect = CaseConfig(tree=self.cases.tree)
        found = (self._prepare(case_rng("validation", 0, k), perfect) for k in range(VALIDATION_CASES))
        return [sample for sample in found if sample is not None]

    def loss(self, model: nn.Module, sample: Sample) -> tuple[Tensor, dict[str, float]]:
        """Loss of one case."""
        truth = truth_of(sample.labels)
        stages = model(sample.seen, self.config, truth.levels[:2])
        return stage_loss(stages, truth)

    def validate(self, model: nn.Module, samples: Sequence[Sample]) -> dict[str, float]:
        """DICE at the threshold that is best for all samples together, and the share of truth that pruning leaves."""
        dice, kept = [], []
        with torch.inference_mode():
            for sample in samples:
                truth = truth_of(sample.labels).levels[-1]
                stage = model(sample.seen, self.config)[-1]
                hit = truth.find(stage.voxels.index) >= 0
                said = stage.chance[:, None] >= torch.tensor(THRESHOLDS, device=hit.device)
                dice.append(2 * (said & hit[:, None]).sum(0) / (said.sum(0) + len(truth)))
                kept.append(float(hit.sum()) / len(truth))
        mean = torch.stack(dice).mean(0)
        best = int(mean.argmax())
        return {"dice": float(mean[best]), "threshold": THRESHOLDS[best], "kept": float(np.mean(kept))}

    def metadata(self) -> dict[str, str]:
        """Kind and shape of the network, and what it is trained on."""
        return {
            "kind": KIND,
            "architecture": json.dumps(asdict(self.model.architecture)),
            **told_of(self.cases),
        }

    def _prepare(self, rng: np.random.Generator, disturbances: CaseConfig) -> Sample | None:
        case = draw_case(rng, disturbances)
        if len(case.truth) < FEWEST_NODES:
            return None
        try:
            seen = evidence(observe(case.pair, self.config))
        except ReconstructionError:
            return None
        return Sample(seen, label_tree(case.truth, box_origin(self.config.box_size)))


def told_of(cases: CaseConfig) -> dict[str, str]:
    """What weights tell of the cases they were trained on."""
    source = "vessel graphs of the user" if cases.trees else "synthetic coronary trees (autocar_ros.synthetic)"
    told = {"views": cases.views, "data": f"{source}, drawn anew for every sample"}
    files = {"poses": cases.poses, "trees": cases.trees}
    tree = {} if cases.trees or cases.tree == "both" else {"tree": cases.tree}
    return told | tree | {name: file for name, file in files.items() if file}


def draw_disturbances(rng: np.random.Generator, cases: CaseConfig) -> CaseConfig:
    """Half of the cases are as exact as the evaluation's, the others are damaged in one or more ways.

    Some, exact or not, have wider vessels: those of patients and phantoms often are.
    """
    wider = log_uniform(rng, 1.0, WIDEST) if rng.random() < WIDER else 1.0
    cases = replace(cases, separation=SEPARATION, calibre=cases.calibre * wider)
    if not cases.trees and rng.random() < TUBES:
        cases = replace(cases, tree="tubes")
    if rng.random() < 0.5:
        return cases
    chosen = rng.random(4) < (0.5, 0.35, 0.4, 0.3)
    amount = np.where(chosen, rng.random(4), 0.0)
    return replace(
        cases,
        misalignment=2.5 * float(amount[0]),
        elastic=1.0 * float(amount[1]),
        damage=float(amount[2]),
        pose_angle=1.0 * float(amount[3]),
        pose_shift=1.0 * float(amount[3]),
    )


def stage_loss(stages: tuple[Stage, ...], truth: Truth) -> tuple[Tensor, dict[str, float]]:
    """DICE + BCE of the occupancy of every stage, and of the centreness of the last (equation 11).

    Truth that is no candidate any more has no logit; it counts in DICE as missed.
    """
    total, said = torch.zeros(()), {}
    for stage, occupied in zip(stages, truth.levels, strict=True):
        row = occupied.find(stage.voxels.index)
        target = (row >= 0).float()
        dice = dice_loss(torch.sigmoid(stage.occupancy), target, len(occupied))
        total = total + dice + functional.binary_cross_entropy_with_logits(stage.occupancy, target)
        said[f"dice_{stage.size:g}mm"] = 1 - dice.item()
        if stage.centreness is not None:
            soft = torch.where(row >= 0, truth.centreness[row.clamp_min(0)], 0.0)
            total = total + dice_loss(torch.sigmoid(stage.centreness), soft, float(truth.centreness.square().sum()))
            total = total + functional.binary_cross_entropy_with_logits(stage.centreness, soft)
    return total, {"loss": total.item(), **said}


def dice_loss(chance: Tensor, target: Tensor, square_of_truth: float) -> Tensor:
    """1 - DICE of chances (N,) and targets (N,) 0..1, with squares in the denominator."""
    return 1 - (2 * (chance * target).sum() + 1) / (chance.square().sum() + square_of_truth + 1)
