"""Training of the dense baselines L1 to L6 (`evaluation.baselines.dense`), on the same cases as our network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from autocar_ros.config import CaseConfig, ReconstructionConfig
from autocar_ros.errors import ConfigError, ReconstructionError
from autocar_ros.evaluation.baselines.dense import (
    KIND,
    VARIANTS,
    DenseConfig,
    DenseNetwork,
    allowed_box,
    mask_evidence,
    refined,
)
from autocar_ros.sbp.backproject import box_origin
from autocar_ros.sbp.observation import Evidence
from autocar_ros.sparse.voxels import Voxels
from autocar_ros.synthetic.cases import case_rng, draw_case
from autocar_ros.training.dense_losses import adversarial_loss, overlap_loss, projection_loss, vessel_share
from autocar_ros.training.labels import Labels, label_tree
from autocar_ros.training.sbp import FEWEST_NODES, VALIDATION_CASES, draw_disturbances, told_of

THRESHOLDS = tuple(round(0.06 + 0.04 * k, 2) for k in range(15))  # of the interpolated chance, tried in validation


class DenseSample(NamedTuple):
    """One prepared case."""

    seen: Evidence
    labels: Labels


class DenseTask:
    """Task of the trainer (`training.loop.Task`): a dense baseline."""

    def __init__(
        self,
        variant: str = "L2",
        seed: int = 0,
        network: DenseConfig | None = None,
        cases: CaseConfig | None = None,
    ) -> None:
        """`network` replaces the variant's configuration, `cases` says from which views and trees cases are drawn.

        Raises `ConfigError` for an unknown variant.
        """
        if variant not in VARIANTS:
            raise ConfigError(f"there is no dense variant {variant}: there are {', '.join(VARIANTS)}")
        self.variant, self.seed, self.cases = variant, seed, cases or CaseConfig()
        self.model = DenseNetwork(network or VARIANTS[variant])
        self.config = ReconstructionConfig()

    def sample(self, k: int) -> DenseSample:
        """Draw and prepare training case `k`; what cannot be reconstructed at all is drawn anew."""
        rng = case_rng("train", self.seed, k)
        while True:
            found = self._prepare(rng, draw_disturbances(rng, self.cases))
            if found is not None:
                return found

    def validation(self) -> list[DenseSample]:
        """Perfect cases of the validation split, the same for every seed and network."""
        found = (self._prepare(case_rng("validation", 0, k), CaseConfig()) for k in range(VALIDATION_CASES))
        return [sample for sample in found if sample is not None]

    def loss(self, model: nn.Module, sample: DenseSample) -> tuple[Tensor, dict[str, float]]:
        """Loss of one case: the sum of those that the variant has."""
        volume = model(sample.seen, self.config)
        share, square = vessel_share(sample.labels, volume)
        losses = self.model.config.losses
        parts: dict[str, Tensor] = {}
        if "reconstruction" in losses:
            parts["reconstruction"] = overlap_loss(volume.logit, share, square)
        if "projection" in losses:
            parts["projection"] = projection_loss(volume, sample.seen)
        if "adversarial" in losses:
            critic = model.critic
            assert isinstance(critic, nn.Module)
            parts["adversarial"] = adversarial_loss(critic, torch.sigmoid(volume.logit), share)
        chance = torch.sigmoid(volume.logit.detach())
        dice = float(2 * (chance * share).sum() / (chance.square().sum() + square))
        return torch.stack(list(parts.values())).sum(), {"dice": dice, **{n: p.item() for n, p in parts.items()}}

    def validate(self, model: nn.Module, samples: Sequence[DenseSample]) -> dict[str, float]:
        """DICE at 0.5 mm, at the threshold that is best for all samples together."""
        dice = []
        for sample in samples:
            with torch.inference_mode():
                voxels, chance = refined(model(sample.seen, self.config))
            truth = Voxels.from_indices(sample.labels.voxels)[0]
            hit = truth.find(voxels) >= 0
            said = [chance >= threshold for threshold in THRESHOLDS]
            dice.append([float(2 * (s & hit).sum() / (s.sum() + len(truth))) for s in said])
        mean = np.mean(dice, axis=0)
        best = int(mean.argmax())
        return {"dice": float(mean[best]), "threshold": THRESHOLDS[best]}

    def metadata(self) -> dict[str, str]:
        """Kind and shape of the network, and what it is trained on."""
        return {
            "kind": KIND,
            "architecture": self.model.config.to_json(),
            "variant": self.variant,
            **told_of(self.cases),
        }

    def _prepare(self, rng: np.random.Generator, disturbances: CaseConfig) -> DenseSample | None:
        case = draw_case(rng, disturbances)
        if len(case.truth) < FEWEST_NODES:
            return None
        seen = mask_evidence(case.pair, self.config)
        try:
            allowed_box(seen)
        except ReconstructionError:
            return None
        return DenseSample(seen, label_tree(case.truth, box_origin(self.config.box_size)))
