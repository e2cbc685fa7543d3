"""A network that is trained in no time: a line through noisy points."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import nn

SLOPE = torch.tensor([1.0, -2.0, 0.5])


class Points(NamedTuple):
    x: torch.Tensor  # (8, 3)
    y: torch.Tensor  # (8,)


class ToyTask:
    """Linear regression; `bad` says which samples have no finite loss."""

    def __init__(self, name="toy", bad=lambda k: False):
        torch.manual_seed(0)
        self.model = nn.Linear(3, 1)
        self.name, self.bad = name, bad
        self.used = []  # numbers of the samples, in order

    def sample(self, k):
        rng = np.random.default_rng([7, k])
        x = torch.from_numpy(rng.normal(size=(8, 3))).float()
        y = x @ SLOPE + 0.01 * torch.from_numpy(rng.normal(size=8)).float()
        return k, Points(x, y * (float("nan") if self.bad(k) else 1))

    def loss(self, model, sample):
        k, points = sample
        self.used.append(k)
        loss = (model(points.x)[:, 0] - points.y).square().mean()
        return loss, {"dice": 1 / (1 + loss.item())}

    def validation(self):
        return [self.sample(10**6 + k)[1] for k in range(3)]

    def validate(self, model, samples):
        error = np.mean([(model(s.x)[:, 0] - s.y).square().mean().item() for s in samples])
        return {"dice": 1 / (1 + error), "threshold": 0.5}

    def metadata(self):
        return {"kind": self.name, "architecture": "{}"}
