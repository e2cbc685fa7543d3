"""Parts of the dense networks: a 3D U-Net, and a decoder from an image to a volume."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

UNLIKELY = -3.0  # logit of the chance that any voxel is vessel, to begin with
BEND = 26  # voxels along the edge of the volume, and pixels of the image, where 2D becomes 3D
LEVELS = 2  # of the U-Net below the finest


class UNet3d(nn.Module):
    """(1, width, I, J, K) to logits (I, J, K); I, J, K multiples of 4."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(LEVELS + 1)]
        self.encode = nn.ModuleList([layer(a, b) for a, b in zip([width, *widths], widths, strict=False)])
        self.bottom = layer(widths[-1], widths[-1])
        self.narrow = nn.ModuleList([nn.Linear(2 * w, w) for w in widths[:-1]])
        self.decode = nn.ModuleList([layer(w, w) for w in widths[:-1]])
        self.out = nn.Linear(width, 1)
        nn.init.constant_(self.out.bias, UNLIKELY)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (I, J, K) of (1, width, I, J, K)."""
        x, skips = x.contiguous(memory_format=torch.channels_last_3d), []  # three times as fast on the CPU
        for level, encode in enumerate(self.encode):
            x = encode(functional.max_pool3d(x, 2) if level else x)
            skips.append(x)
        x = self.bottom(x)
        for level in reversed(range(LEVELS)):
            wider = functional.interpolate(_per_voxel(self.narrow[level], x), scale_factor=2.0)
            x = self.decode[level](skips[level] + wider)
        return _per_voxel(self.out, x)[0, 0]


class ReshapeDecoder(nn.Module):
    """Channel concatenation: both images to a volume, without poses; the depth is channels of the image's features."""

    def __init__(self, width: int, image_channels: int = 6) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            _layer2d(image_channels, width, 2),
            _layer2d(width, 2 * width, 2),
            _layer2d(2 * width, 4 * width, 2),
            _layer2d(4 * width, 4 * width, 1),
            nn.Upsample((BEND, BEND)),
            _layer2d(4 * width, 4 * width, 1),
            nn.Conv2d(4 * width, width * BEND, 1),
        )
        self.decode = nn.ModuleList([layer(width, width // 2), layer(width // 2, width // 4)])
        self.out = nn.Conv3d(width // 4, 1, 3, padding=1)
        nn.init.constant_(self.out.bias, UNLIKELY)  # type: ignore[arg-type]

    def forward(self, pictures: Tensor, shape: Sequence[int]) -> Tensor:
        """Logits (I, J, K) of the given shape from pictures (V, C, rows, columns)."""
        x = self.encode(pictures.flatten(0, 1)[None])
        x = x.reshape(1, -1, BEND, BEND, BEND).contiguous(memory_format=torch.channels_last_3d)
        x = self.decode[0](x)
        x = self.decode[1](functional.interpolate(x, [n // 2 for n in shape]))
        logit: Tensor = self.out(functional.interpolate(x, list(shape)))[0, 0]
        return logit


def layer(channels: int, wanted: int) -> nn.Module:
    """3D convolution, norm and ReLU."""
    return nn.Sequential(nn.Conv3d(channels, wanted, 3, padding=1, bias=False), nn.GroupNorm(2, wanted), nn.ReLU())


def _per_voxel(linear: nn.Module, x: Tensor) -> Tensor:
    """Apply a linear layer to the channels: what a convolution of one voxel is, but fast."""
    y: Tensor = linear(x.movedim(1, -1))
    return y.movedim(-1, 1)


def _layer2d(channels: int, wanted: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, wanted, 3, stride, padding=1, bias=False), nn.GroupNorm(2, wanted), nn.ReLU()
    )
