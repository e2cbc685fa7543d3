"""Dense networks at 2 mm: the learned baselines L1 to L6 of the paper (its Extended Data Table 1).

With back-projection (L2 to L6) features of both images are gathered at every voxel of the box around what both masks
allow, and a 3D U-Net decides. Without (L1) both masks are channels of one image, whose features a 3D decoder spreads
over the whole box; the poses go unused. The answer is interpolated to 0.5 mm.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import ConfigError, ReconstructionError
from autocar_ros.evaluation.baselines.volumes import ReshapeDecoder, UNet3d
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.sbp.backproject import COARSEST, HULL_VOXEL, coarse_voxels, gather, make_views, project, refine
from autocar_ros.sbp.features import picture_pixels
from autocar_ros.sbp.network import ImageEncoder
from autocar_ros.sbp.observation import Evidence, mask_picture, signed_distance
from autocar_ros.types import FramePair, SparseVolume
from autocar_ros.vessels.graph import NOTHING_IN_COMMON
from autocar_ros.vessels.skeleton import distance_outside
from autocar_ros.weights import Calibrated, load_model

KIND = "dense"  # of weights (weights.py)
VOXEL = HULL_VOXEL
FINER = 4  # voxels of the answer, 0.5 mm, along the edge of one of the network's
PER_COARSE = int(COARSEST / VOXEL)
LOSSES = ("reconstruction", "projection", "adversarial")
IMAGE_CHANNELS = 8
LEAST_SHOWN = 0.05  # chance; voxels below are left out of an answer
MOST_SHOWN = 30_000  # voxels of 2 mm that are interpolated: some 10 times what a tree has


@dataclass(frozen=True)
class DenseConfig:
    """A learned baseline; travels with its weights."""

    back_projection: bool = True
    losses: tuple[str, ...] = ("reconstruction",)
    width: int = 16  # channels of the volume at 2 mm; twice as many on each of two coarser levels

    def __post_init__(self) -> None:
        unknown = sorted(set(self.losses) - set(LOSSES))
        if unknown or not set(self.losses) & {"reconstruction", "projection"}:
            raise ConfigError(f"losses must be some of {', '.join(LOSSES)}, one of the first two at least: "
                              f"got {', '.join(self.losses) or 'none'}")  # fmt: skip

    def to_json(self) -> str:
        """Text that `from_json` reads."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> DenseConfig:
        """Inverse of `to_json`; raises `ValueError`, `TypeError` or `KeyError` when the text is none."""
        values = json.loads(text)
        return DenseConfig(values["back_projection"], tuple(values["losses"]), values["width"])


# The paper's names (Extended Data Table 1). All of them see poses as clinics choose them, which the paper's did not.
VARIANTS = {
    "L1": DenseConfig(back_projection=False),
    "L2": DenseConfig(),
    "L3": DenseConfig(losses=("reconstruction", "projection", "adversarial")),
    "L4": DenseConfig(losses=("projection",)),
    "L5": DenseConfig(losses=("reconstruction", "adversarial")),
    "L6": DenseConfig(losses=("reconstruction", "projection")),
}


class DenseVolume(NamedTuple):
    """What a network says of a box of voxels of 2 mm."""

    logit: Tensor  # (I, J, K)
    corner: Tensor  # (3,) voxel of the reconstructed box with which this one begins
    origin: Tensor  # (3,) mm, corner of the reconstructed box


class DenseNetwork(Calibrated):
    """Masks and poses to occupancy at 2 mm."""

    def __init__(self, config: DenseConfig | None = None) -> None:
        super().__init__()
        self.config = config or DenseConfig()
        width = self.config.width
        if self.config.back_projection:
            self.encoder = ImageEncoder(IMAGE_CHANNELS)
            self.enter = nn.Linear(2 * (IMAGE_CHANNELS + 2), width)
            self.body: nn.Module = UNet3d(width)
        else:
            self.body = ReshapeDecoder(2 * width)
        self.critic = _critic() if "adversarial" in self.config.losses else None

    def forward(self, seen: Evidence, config: ReconstructionConfig) -> DenseVolume:
        """Occupancy of the box around what both masks allow, or of the whole one without back-projection.

        Raises
        ------
        ReconstructionError
            When the masks have no voxel in common.
        """
        if not self.config.back_projection:
            index, origin = coarse_voxels(config.box_size, seen.views)
            shape = (index[-1] + 1) * PER_COARSE
            return DenseVolume(self.body(seen.pictures, shape.tolist()), torch.zeros_like(shape), origin)
        low, shape, origin = allowed_box(seen)
        axes = [torch.arange(n, device=origin.device) for n in shape.tolist()]
        points = origin + (torch.cartesian_prod(*axes) + low + 0.5) * VOXEL
        x = self.enter(self._gathered(points, seen)).reshape(1, *shape.tolist(), -1)
        return DenseVolume(self.body(x.movedim(-1, 1)), low, origin)

    def _gathered(self, points: Tensor, seen: Evidence) -> Tensor:
        """Features (N, C) of points (N, 3) mm, whatever the order of the views."""
        pixels, depth = project(points, seen.views)
        signed = gather(seen.signed, pixels) * (depth * seen.views.pixel_size[:, None])[..., None]
        image = gather(tuple(self.encoder(seen.pictures)), picture_pixels(pixels, seen))
        x = torch.cat([signed.clamp(-3, 6) / 3, torch.exp(-signed.clamp_min(0)), image], 2)
        return torch.cat([x.amax(0), x.mean(0)], 1)


def mask_evidence(pair: FramePair, config: ReconstructionConfig) -> Evidence:
    """What a dense network looks at: masks and poses, no lifted centrelines."""
    outside = [distance_outside(mask) for mask in (pair.mask_a, pair.mask_b)]
    signed = [signed_distance(o) for o in outside]
    views = make_views([camera_from_pose(pose) for pose in (pair.pose_a, pair.pose_b)], outside)
    pictures = torch.from_numpy(np.stack([mask_picture(s) for s in signed]))
    index, origin = refine(views, VOXEL, config)
    maps = tuple(torch.from_numpy(s[None]) for s in signed)
    return Evidence(views, maps, (), (), (), torch.zeros(0), pictures, index, origin)


def load_dense(path: Path) -> DenseNetwork:
    """Network with the weights of a file; raises `WeightsError` when it is missing, damaged or of another network."""
    return load_model(path, KIND, lambda text: DenseNetwork(DenseConfig.from_json(text)))


def predict_dense(network: DenseNetwork, pair: FramePair, config: ReconstructionConfig) -> SparseVolume:
    """Occupancy at 0.5 mm, 0.5 being the threshold that was best in validation; there is no centreness.

    Raises
    ------
    ReconstructionError
        When the masks have no voxel in common.
    """
    with torch.inference_mode():
        found = network(mask_evidence(pair, config), config)
        voxels, chance = refined(found)
    shift = torch.logit(torch.tensor(network.threshold))
    occupancy = torch.sigmoid(torch.logit(chance, 1e-6) - shift).double().numpy()
    return SparseVolume(
        voxels.numpy(), found.origin.double().numpy(), VOXEL / FINER, occupancy, np.zeros(len(occupancy))
    )


def refined(volume: DenseVolume) -> tuple[Tensor, Tensor]:
    """Interpolate linearly to 0.5 mm: voxels (N, 3) counted from `volume.origin`, and their chance (N,).

    Only where a voxel of 2 mm may be vessel, or one beside it.
    """
    chance = torch.sigmoid(volume.logit)
    around = functional.max_pool3d(chance[None], 3, 1, 1)[0]
    least = max(LEAST_SHOWN, float(around.flatten().topk(min(MOST_SHOWN, around.numel())).values[-1]))
    coarse = (around >= least).nonzero()
    step = torch.arange(FINER, device=coarse.device)
    voxels = (FINER * coarse[:, None] + torch.cartesian_prod(step, step, step)).reshape(-1, 3)
    values = sample_volume(chance, (voxels + 0.5) / FINER, "border")
    shown = values >= LEAST_SHOWN
    return voxels[shown] + FINER * volume.corner, values[shown]


def sample_volume(values: Tensor, places: Tensor, beyond: str = "zeros") -> Tensor:
    """Interpolate (I, J, K) linearly at places (..., 3) in voxels, the centre of voxel (i, j, k) at (i, j, k) + 0.5."""
    size = torch.tensor(values.shape, device=values.device)
    grid = (2 * places / size - 1).flip(-1).reshape(1, 1, 1, -1, 3)
    found = functional.grid_sample(values[None, None], grid, padding_mode=beyond, align_corners=False)
    return found.reshape(places.shape[:-1])


def allowed_box(seen: Evidence) -> tuple[Tensor, Tensor, Tensor]:
    """Box of all voxels of 2 mm that both masks allow, in whole voxels of 8 mm.

    Returns its first voxel (3,), the number of voxels (3,) along it, and the corner (3,) mm of the reconstructed box.

    Raises
    ------
    ReconstructionError
        When the masks have no voxel in common.
    """
    if len(seen.allowed) == 0:
        raise ReconstructionError(NOTHING_IN_COMMON)
    low, high = seen.allowed.amin(0) // PER_COARSE, seen.allowed.amax(0) // PER_COARSE + 1
    return low * PER_COARSE, (high - low) * PER_COARSE, seen.origin


def _critic(width: int = 8) -> nn.Module:
    """Patch discriminator: (1, 1, I, J, K) chances to one logit for about every 20 mm."""
    return nn.Sequential(
        nn.Conv3d(1, width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv3d(width, 2 * width, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv3d(2 * width, 1, 3, padding=1),
    )
