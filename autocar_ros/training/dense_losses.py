"""Losses of the dense baselines: against the volume, against the masks, against a critic."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from autocar_ros.evaluation.baselines.dense import FINER, VOXEL, DenseVolume, sample_volume
from autocar_ros.sbp.backproject import Views
from autocar_ros.sbp.observation import Evidence
from autocar_ros.training.labels import Labels

RAYS = 64  # along an edge of the image
RAY_STEP = 2.0  # mm
SHADE = 1e-4  # least and largest shadow: keeps the logarithms finite
CRITIC_WEIGHT = 0.05  # of what the critic says to the network


def overlap_loss(logit: Tensor, target: Tensor, square_of_truth: float) -> Tensor:
    """DICE + BCE (paper, equation 11) of logits and targets 0..1; truth outside counts in DICE as missed."""
    chance = torch.sigmoid(logit)
    dice = 1 - (2 * (chance * target).sum() + 1) / (chance.square().sum() + square_of_truth + 1)
    return dice + functional.binary_cross_entropy_with_logits(logit, target)


def vessel_share(labels: Labels, volume: DenseVolume) -> tuple[Tensor, float]:
    """Share (I, J, K) of each voxel of 2 mm that is vessel, and the sum of its squares with what lies outside."""
    coarse = labels.voxels // FINER
    span = int(coarse.max()) + 1
    key, count = torch.unique((coarse[:, 0] * span + coarse[:, 1]) * span + coarse[:, 2], return_counts=True)
    share = count.float() / FINER**3
    place = torch.stack([key // span**2, key // span % span, key % span], 1) - volume.corner
    size = torch.tensor(volume.logit.shape, device=place.device)
    inside = ((place >= 0) & (place < size)).all(1)
    found = torch.zeros(volume.logit.shape, device=place.device)
    found[tuple(place[inside].T)] = share[inside]
    return found, float(share.square().sum())


def projection_loss(volume: DenseVolume, seen: Evidence) -> Tensor:
    """Compare the shadows of a volume with the masks; means over the views."""
    wanted = functional.adaptive_avg_pool2d(seen.pictures[:, 0], RAYS)
    losses = [
        overlap_loss(torch.logit(shadow.clamp(SHADE, 1 - SHADE)), mask, float(mask.square().sum()))
        for shadow, mask in zip(shadows(volume, seen), wanted, strict=True)
    ]
    return torch.stack(losses).mean()


def shadows(volume: DenseVolume, seen: Evidence) -> Tensor:
    """Chance (V, RAYS, RAYS) that a ray of each view meets a vessel: 1 - the product of the chances that it does not.

    Differentiable: the product is taken as the sum of logarithms along the ray, interpolated between voxels.
    """
    clear = functional.softplus(volume.logit)  # -log(1 - chance) of a voxel
    places = (ray_points(seen.views, volume) - volume.origin) / VOXEL - volume.corner
    return 1 - torch.exp(-sample_volume(clear, places).sum(-1) * (RAY_STEP / VOXEL))


def ray_points(views: Views, volume: DenseVolume) -> Tensor:
    """Points (V, RAYS, RAYS, D, 3) mm along rays through the middles of equal parts of the images, across the box."""
    corner = volume.origin + volume.corner * VOXEL
    half = torch.tensor(volume.logit.shape, device=corner.device) * (VOXEL / 2)
    reach = float(torch.linalg.vector_norm(half))
    found = []
    for projection, outside in zip(views.projection, views.outside, strict=True):
        rows, columns = ((torch.arange(RAYS, device=corner.device) + 0.5) * (n / RAYS) - 0.5 for n in outside.shape)
        row, column = torch.meshgrid(rows, columns, indexing="ij")
        inverse = torch.linalg.inv(projection[:, :3].double()).to(corner)
        source = -inverse @ projection[:, 3]
        direction = torch.stack([column, row, torch.ones_like(row)], -1) @ inverse.T  # for 1 mm of depth
        length = torch.linalg.vector_norm(direction, dim=-1, keepdim=True)
        middle = torch.linalg.vector_norm(corner + half - source)
        along = torch.arange(-reach, reach, RAY_STEP, device=corner.device) + middle
        found.append(source + (direction / length)[..., None, :] * along[:, None])
    return torch.stack(found)


def adversarial_loss(critic: nn.Module, chance: Tensor, truth: Tensor) -> Tensor:
    """Loss of a critic that tells true volumes (I, J, K) from predicted ones; its gradient turns round on the way.

    So one step of one optimizer teaches the critic to tell, and the network to be taken for true.
    """
    real = critic(truth[None, None])
    fake = critic(_turned(chance)[None, None])
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


class _Turn(Function):
    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(_: Any, *gradient: Tensor) -> Tensor:
        return -CRITIC_WEIGHT * gradient[0]


def _turned(x: Tensor) -> Tensor:
    """Return the same values, with the gradient turned round and made smaller."""
    turned: Tensor = _Turn.apply(x)  # type: ignore[no-untyped-call]
    return turned
