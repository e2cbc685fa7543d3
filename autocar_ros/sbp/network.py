"""The reconstruction network: sparse back-projection from 2 to 0.5 mm with pruning (paper, equations 5-10).

At 2 mm a sparse U-Net sees every voxel that both masks allow and decides which may hold a vessel; those are divided
and looked at again at 1 mm and at 0.5 mm, where occupancy and centreness are read off. So the cost follows the vessels,
not the box.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import ReconstructionError
from autocar_ros.sbp.backproject import HALF_DIAGONAL, HULL_VOXEL, candidates, gather
from autocar_ros.sbp.features import JOINT_FEATURES, VIEW_FEATURES, Features, features, picture_pixels
from autocar_ros.sbp.observation import Evidence
from autocar_ros.sparse.conv import gather_product
from autocar_ros.sparse.layers import DownConv, SubmanifoldConv, UpConv, VoxelNorm
from autocar_ros.sparse.voxels import Voxels
from autocar_ros.weights import Calibrated, Described

KIND = "sbp"  # of weights (weights.py)
SIZES = (HULL_VOXEL, 1.0, 0.5)  # mm, voxels of the three stages
SMOOTHING = 0.5  # voxels, of the occupancy that is told
LIFTED = slice(5, 15)  # features of a view that come from lifting


@dataclass(frozen=True)
class Architecture(Described):
    """Shape of the network; travels with its weights."""

    widths: tuple[int, ...] = (24, 32, 48, 64)  # channels at 2, 4, 8, 16 mm
    width_1mm: int = 24
    width_half_mm: int = 16
    image_channels: int = 8  # of the 2D encoder
    lifting: bool = True  # look at the lifted centrelines
    keep: tuple[float, float] = (0.1, 0.2)  # occupancy down to which a voxel of 2 and of 1 mm is divided
    most: tuple[int, int] = (4000, 9000)  # voxels of 2 and of 1 mm that are divided at most


class Stage(NamedTuple):
    """Voxels of one size and what the network says of them."""

    voxels: Voxels
    size: float  # mm
    origin: Tensor  # (3,) mm
    occupancy: Tensor  # (N,) logit
    centreness: Tensor | None  # (N,) logit, of the last stage

    @property
    def points(self) -> Tensor:
        """Voxel centres (N, 3) mm."""
        return self.origin + (self.voxels.index + 0.5) * self.size

    @property
    def chance(self) -> Tensor:
        """Occupancy (N,) 0..1, averaged over the voxels around with Gaussian weights; what is absent is empty.

        Pieces of a thin vessel hold together better so: cl-DICE of the validation cases rises by a point.
        """
        axis = torch.exp(-0.5 * (torch.arange(-1.0, 2.0, device=self.occupancy.device) / SMOOTHING) ** 2)
        weight = (axis[:, None, None] * axis[:, None] * axis).view(27, 1) / axis.sum() ** 3
        return gather_product(torch.sigmoid(self.occupancy)[:, None], self.voxels.neighbours, weight)[:, 0]


class Block(nn.Module):
    """One or two submanifold convolutions with a way around them."""

    def __init__(self, width: int, convolutions: int = 2) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList([SubmanifoldConv(width, width, bias=False) for _ in range(convolutions)])
        self.norms = nn.ModuleList([VoxelNorm(width) for _ in range(convolutions)])

    def forward(self, x: Tensor, voxels: Voxels) -> Tensor:
        """Features (N, width) to (N, width)."""
        y = x
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            y = norm(convolution(y if y is x else y.relu_(), voxels), voxels)
        return (x + y).relu_()


class ImageEncoder(nn.Module):
    """2D hourglass on the masks' distance maps, (V, 3, rows, columns) to (V, channels, rows, columns)."""

    def __init__(self, channels: int, width: int = 8) -> None:
        super().__init__()

        def layer(a: int, b: int) -> nn.Module:
            return nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.GroupNorm(2, b), nn.ReLU())

        self.down = nn.ModuleList([layer(3, width), layer(width, 2 * width), layer(2 * width, 2 * width)])
        self.bottom = layer(2 * width, 2 * width)
        self.up = nn.ModuleList([layer(4 * width, 2 * width), layer(4 * width, width), layer(2 * width, width)])
        self.out = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the size of the pictures."""
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
            x = nn.functional.max_pool2d(x, 2)
        x = self.bottom(x)
        for layer, skip in zip(self.up, reversed(skips), strict=True):
            x = layer(torch.cat([nn.functional.interpolate(x, size=skip.shape[2:]), skip], 1))
        maps: Tensor = self.out(x)
        return maps


class ViewFusion(nn.Module):
    """Features of any number of views in any order to one vector a voxel."""

    def __init__(self, per_view: int, joint: int, width: int) -> None:
        super().__init__()
        self.view = nn.Linear(per_view, width)
        self.joint = nn.Linear(2 * width + joint, width)

    def forward(self, of_views: Sequence[Sequence[Tensor]], joint: Tensor) -> Tensor:
        """Features, of every view parts (C, N) that are per_view rows together, and (joint, N) to (N, width)."""
        # a product of one matrix with several is an order of magnitude slower, and putting parts together takes as long
        views = [_plus(self.view.bias[:, None], _columns(self.view.weight, parts)).relu_() for parts in of_views]
        beside = [reduce(torch.maximum, views), reduce(torch.add, views) / len(views), joint]
        of_rows = ((part.t(), columns.t()) for columns, part in _columns(self.joint.weight, beside))
        return _plus(self.joint.bias, of_rows)


class SparseUNet(nn.Module):
    """Sparse U-Net over as many levels as there are widths."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        steps = list(pairwise(widths))
        self.encode = nn.ModuleList([Block(w, 2 if level else 1) for level, w in enumerate(widths)])
        self.decode = nn.ModuleList([Block(w) for w in widths[:-1]])
        self.down = nn.ModuleList([DownConv(a, b, bias=False) for a, b in steps])
        self.norm = nn.ModuleList([VoxelNorm(b) for _, b in steps])
        self.up = nn.ModuleList([UpConv(b, a) for a, b in steps])

    def forward(self, x: Tensor, voxels: Voxels) -> Tensor:
        """Features (N, widths[0]) to (N, widths[0])."""
        levels, skips = [voxels], []
        for level, block in enumerate(self.encode):
            x = block(x, levels[-1])
            if level < len(self.down):
                skips.append(x)
                down = levels[-1].down
                levels.append(down.coarse)
                x = self.norm[level](self.down[level](x, down), down.coarse).relu_()
        for level in reversed(range(len(self.decode))):
            x = (skips[level] + self.up[level](x, levels[level].down)).relu_()
            x = self.decode[level](x, levels[level])
        return x


class SbpNetwork(Calibrated):
    """Evidence of two or more views to occupancy and centreness on sparse voxels."""

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        a = self.architecture = architecture or Architecture()
        per_view, first = VIEW_FEATURES - (0 if a.lifting else LIFTED.stop - LIFTED.start), a.widths[0]
        self.encoder = ImageEncoder(a.image_channels)
        self.enter = nn.ModuleList(
            [
                ViewFusion(per_view + a.image_channels, JOINT_FEATURES, first),
                ViewFusion(per_view + a.image_channels, JOINT_FEATURES, a.width_1mm),
                ViewFusion(per_view, JOINT_FEATURES, a.width_half_mm),
            ]
        )
        self.norm = nn.ModuleList([VoxelNorm(w) for w in (first, a.width_1mm, a.width_half_mm)])
        self.up = nn.ModuleList([UpConv(first, a.width_1mm), UpConv(a.width_1mm, a.width_half_mm)])
        self.unet = SparseUNet(a.widths)
        self.blocks = nn.ModuleList([Block(a.width_1mm), Block(a.width_half_mm, 1)])
        self.last = Block(a.width_half_mm, 1)
        self.heads = nn.ModuleList([nn.Linear(first, 1), nn.Linear(a.width_1mm, 1), nn.Linear(a.width_half_mm, 2)])
        self.direct = nn.Linear(2 * per_view + JOINT_FEATURES, 2, bias=False)  # what lifting says, to begin with
        with torch.no_grad():
            for head in (self.heads[0], self.heads[1]):  # few candidates are vessel
                head.bias.fill_(-1.5)  # type: ignore[operator]
        nn.init.zeros_(self.direct.weight)

    def forward(
        self, seen: Evidence, config: ReconstructionConfig, truth: Sequence[Voxels] | None = None
    ) -> tuple[Stage, Stage, Stage]:
        """Run all three stages; `truth` (occupied voxels of 2 and 1 mm) is never pruned, for training.

        Raises
        ------
        ReconstructionError
            When the masks have no voxel in common.
        """
        a = self.architecture
        voxels, origin = allowed_voxels(seen), seen.origin
        maps = self.encoder(seen.pictures).float()
        stages: list[Stage] = []
        x = inherited = torch.zeros(0)
        for k, size in enumerate(SIZES):
            if k:
                kept = _kept(stages[-1], a.keep[k - 1], a.most[k - 1], truth[k - 1] if truth else None)
                voxels = voxels.select(kept).refined()
                inherited = self.up[k - 1](x.index_select(0, kept), voxels.down)
                with _exact(seen):
                    inside = candidates(voxels.index, size, origin, seen.views, config.tolerance, size * HALF_DIAGONAL)
                rows = inside.nonzero()[:, 0]
                voxels, inherited = voxels.select(rows), inherited.index_select(0, rows)
            with _exact(seen):
                at = features(origin + (voxels.index + 0.5) * size, seen)
            x = self._enter(k, at, maps, seen)
            x = self.norm[k](x + inherited if k else x, voxels).relu_()
            x = self.blocks[k - 1](x, voxels) if k else self.unet(x, voxels)
            if size == SIZES[-1]:
                x = self.last(x, voxels)
            logits = self.heads[k](x).float()
            if size == SIZES[-1]:
                logits = logits + self._direct(at).float()
            stages.append(Stage(voxels, size, origin, logits[:, 0], logits[:, 1] if size == SIZES[-1] else None))
        return stages[0], stages[1], stages[2]

    def _enter(self, k: int, at: Features, maps: Tensor, seen: Evidence) -> Tensor:
        parts = [[told] for told in self._of_views(at)]
        if k < len(SIZES) - 1:  # the finest stage inherits what the others saw in the images
            shown = gather(tuple(maps), picture_pixels(at.pixels, seen)).transpose(1, 2)
            parts = [[*told, of_view] for told, of_view in zip(parts, shown, strict=True)]
        entered: Tensor = self.enter[k](parts, at.joint)
        return entered

    def _of_views(self, at: Features) -> list[Tensor]:
        return at.of_views if self.architecture.lifting else [told[: LIFTED.start] for told in at.of_views]

    def _direct(self, at: Features) -> Tensor:
        of_views = self._of_views(at)
        most, least = reduce(torch.maximum, of_views), reduce(torch.minimum, of_views)
        return _plus(most.new_zeros(1), _columns(self.direct.weight, [most, least, at.joint])).t()


def _plus(total: Tensor, factors: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """A bias, which spreads over what is missing of its shape, and the products of all pairs of matrices."""
    for first, second in factors:
        total = torch.addmm(total, first, second)
    return total


def _columns(weight: Tensor, parts: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Columns of a weight (D, C), and the parts (C_k, N) that they are for, which are C rows together."""
    return zip(weight.split([len(part) for part in parts], 1), parts, strict=True)


def _exact(seen: Evidence) -> torch.autocast:
    """Geometry stays in float32 where autocast computes the layers in bfloat16: 8 bits do not find a pixel."""
    return torch.autocast(seen.pictures.device.type, enabled=False)


def allowed_voxels(seen: Evidence) -> Voxels:
    """Voxels of the first stage: all that the masks allow."""
    if len(seen.allowed) == 0:
        raise ReconstructionError(
            "the masks have no voxel in common: check that both show the same artery at one heart phase, and the poses"
        )
    return Voxels.from_indices(seen.allowed)[0]


def _kept(stage: Stage, least: float, most: int, truth: Voxels | None) -> Tensor:
    """Rows of a stage's voxels that are divided."""
    logit = stage.occupancy.detach()
    keep = logit > torch.logit(torch.tensor(least)).item()
    if int(keep.sum()) > most:
        keep &= logit >= logit.topk(most).values[-1]
    if truth is not None:
        row = stage.voxels.find(truth.index)
        keep[row[row >= 0]] = True
    if not bool(keep.any()):
        keep[logit.argmax()] = True
    return keep.nonzero()[:, 0]
