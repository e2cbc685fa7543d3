"""What training changes, its steps and its checkpoints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from autocar_ros.config import TrainConfig
from autocar_ros.errors import TrainingError

FORMAT = 1  # of a checkpoint


class Gradient:
    """The gradient of a model as one vector, with room for a few more numbers at its end."""

    def __init__(self, model: nn.Module, extra: int) -> None:
        parameters = [p for p in model.parameters() if p.requires_grad]
        sizes = [p.numel() for p in parameters]
        self.all = torch.zeros(sum(sizes) + extra, device=parameters[0].device)
        self.vector, self.extra = self.all[: sum(sizes)], self.all[sum(sizes) :]
        for p, part in zip(parameters, self.vector.split(sizes), strict=True):
            p.grad = part.view_as(p)  # backward adds to it in place

    def clip(self, largest: float) -> float:
        """Shorten the gradient to a largest norm; return the norm it had."""
        norm = float(self.vector.norm())
        if norm > largest:
            self.vector *= largest / norm
        return norm


class State:
    """Model, running average of its weights, optimizer."""

    def __init__(self, model: nn.Module, config: TrainConfig, device: torch.device) -> None:
        self.model = model.to(device).train()
        self.averaged = AveragedModel(model, multi_avg_fn=_averaging(config.averaging), use_buffers=False)
        parameters = [p for p in model.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=config.learning_rate)

    def step(self, learning_rate: float) -> None:
        """Follow the gradient."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.averaged.update_parameters(self.model)

    def content(self) -> dict[str, Any]:
        """Return all of it, to be saved."""
        return {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
        }

    def restore(self, content: dict[str, Any]) -> None:
        """Take over what `content` returned."""
        self.model.load_state_dict(content["model"])
        self.averaged.load_state_dict(content["averaged"])
        self.optimizer.load_state_dict(content["optimizer"])
        torch.set_rng_state(content["random"])


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint; the one before stays until the new one is whole."""
    new = path.with_suffix(".new")
    torch.save({"format": FORMAT, **content}, new)
    os.replace(new, path)


def load_checkpoint(path: Path, run: dict[str, Any]) -> dict[str, Any] | None:
    """Read the checkpoint of a run, if there is one; tensors and plain values only, nothing of it is executed.

    Raises
    ------
    TrainingError
        When it cannot be read, or is of another run than `run` describes.
    """
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its parts raise
        raise TrainingError(f"{path} cannot be read ({error}): remove it to start anew") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise TrainingError(f"{path} is no checkpoint of this version: remove it to start anew")
    before = content["run"]
    changed = sorted(name for name in before.keys() | run.keys() if before.get(name) != run.get(name))
    if changed:
        what = "; ".join(f"{name} was {before.get(name)}, now {run.get(name)}" for name in changed)
        raise TrainingError(f"{path} is of another run ({what}): use its settings, another folder, or --restart")
    return content


def _averaging(decay: float) -> Any:
    """Running average that forgets the first weights: its decay grows to `decay`."""

    def update(averaged: list[Tensor], current: list[Tensor], number: Tensor | int) -> None:
        n = int(number)
        weight = 1 - min(decay, (1 + n) / (10 + n))
        torch._foreach_lerp_(averaged, current, weight)

    return torch.no_grad()(update)
