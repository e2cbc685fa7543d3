"""Layers over sparse voxels. Weights are (K, C_in, C_out) in every backend, so that one checkpoint serves them all."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autocar_ros.sparse.backends import Backend, TorchBackend
from autocar_ros.sparse.conv import down_conv, up_conv
from autocar_ros.sparse.voxels import DownMap, Voxels

EPSILON = 1e-4


class _Convolution(nn.Module):
    def __init__(self, kernel: int, fan_in: float, in_channels: int, out_channels: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(kernel, in_channels, out_channels) * (2 / fan_in) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None

    def _biased(self, y: Tensor) -> Tensor:
        return y if self.bias is None else y + self.bias.to(y.dtype)


class SubmanifoldConv(_Convolution):
    """Convolution 3 x 3 x 3, (N, C_in) to (N, C_out); starts as He et al. 2015 with half of the neighbours there."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(27, 27 / 2 * in_channels, in_channels, out_channels, bias)
        self.backend: Backend = TorchBackend()

    def forward(self, x: Tensor, voxels: Voxels) -> Tensor:
        """Convolve features (N, C_in) of voxels."""
        return self._biased(self.backend.submanifold(x, self.weight, voxels))


class DownConv(_Convolution):
    """Convolution 2 x 2 x 2 of stride 2, (N, C_in) to (M, C_out)."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(8, 8 / 2 * in_channels, in_channels, out_channels, bias)

    def forward(self, x: Tensor, down: DownMap) -> Tensor:
        """Convolve features (N, C_in) of the finer level."""
        return self._biased(down_conv(x, self.weight, down))


class UpConv(_Convolution):
    """Transposed convolution 2 x 2 x 2 of stride 2, (M, C_in) to (N, C_out)."""

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(8, in_channels, in_channels, out_channels, bias)

    def forward(self, x: Tensor, down: DownMap) -> Tensor:
        """Convolve features (M, C_in) of the coarser level."""
        return self._biased(up_conv(x, self.weight, down))


class VoxelNorm(nn.Module):
    """Normalises every channel over the voxels of each batch item: the same in training and inference.

    One voxel alone has no spread; it passes with its scale and offset only.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, voxels: Voxels) -> Tensor:
        """Normalise features (N, C) of voxels."""
        if len(x) == 0:
            return x
        if int(voxels.batch[-1]) == int(voxels.batch[0]):  # sorted: all are of one item
            return self._of_item(x)
        counts = torch.unique_consecutive(voxels.batch, return_counts=True)[1]
        return torch.cat([self._of_item(part) for part in x.split(counts.tolist())])

    def _of_item(self, x: Tensor) -> Tensor:
        if len(x) == 1:
            return x * self.weight.to(x.dtype) + self.bias.to(x.dtype)
        return nn.functional.batch_norm(x, None, None, self.weight, self.bias, True, 0.0, EPSILON)


def use_backend(network: nn.Module, backend: Backend) -> None:
    """Let a backend (`backends.choose_backend`) compute all submanifold convolutions of a network."""
    for module in network.modules():
        if isinstance(module, SubmanifoldConv):
            module.backend = backend
