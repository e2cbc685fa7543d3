"""Several training processes that act as one; one alone when not started by torchrun."""

from __future__ import annotations

import atexit
import os
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed

from autocar_ros.errors import TrainingError


class Ranks(NamedTuple):
    """One process among the others."""

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process validates, logs and saves."""
        return self.rank == 0

    def average(self, vector: Tensor) -> None:
        """Replace a vector by its mean over all processes."""
        if self.world > 1:
            distributed.all_reduce(vector)
            vector /= self.world

    def share(self, value: Any) -> Any:
        """Return what the leading process has."""
        if self.world == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box)
        return box[0]


def join(device: str) -> Ranks:
    """Join the processes that torchrun started, until this one ends: gloo on the CPU, nccl on CUDA.

    Raises
    ------
    TrainingError
        When there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("no CUDA device was found: train with the device cpu, or install torch for CUDA")
    place = torch.device(device)
    if device == "cuda":
        place = torch.device(device, int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(place)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Ranks(0, 1, place)
    if not distributed.is_initialized():  # once a process: a second group would meet the addresses of the first
        distributed.init_process_group("nccl" if device == "cuda" else "gloo")
        atexit.register(distributed.destroy_process_group)
    return Ranks(distributed.get_rank(), distributed.get_world_size(), place)
