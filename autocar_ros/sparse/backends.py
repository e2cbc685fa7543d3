"""Who computes the 3 x 3 x 3 convolution: torch everywhere, or torchsparse on CUDA once it has shown that it agrees.

The strided convolutions are one gather and one matrix product, and stay with torch. Weights have the same layout in
every backend (`conv`).
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from autocar_ros.sparse.conv import submanifold_conv
from autocar_ros.sparse.voxels import Voxels

TOLERANCE = 5e-3  # of the largest value: CUDA kernels may multiply in TF32, and a wrong order of weights differs by 1


class Backend(Protocol):
    """Computes convolutions over sparse voxels."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    def submanifold(self, x: Tensor, weight: Tensor, voxels: Voxels) -> Tensor:
        """Features (N, C_in) with weight (27, C_in, C_out) to (N, C_out), as `conv.submanifold_conv`."""


class TorchBackend:
    """The reference: plain torch on any device."""

    name = "torch"

    def submanifold(self, x: Tensor, weight: Tensor, voxels: Voxels) -> Tensor:
        """See `Backend`."""
        return submanifold_conv(x, weight, voxels)


class TorchSparseBackend:
    """torchsparse 2.1. Importing it asks for a CUDA device, so it is imported here and not before."""

    name = "torchsparse"

    def __init__(self) -> None:
        self._tensor = importlib.import_module("torchsparse").SparseTensor
        self._conv3d = importlib.import_module("torchsparse.nn.functional").conv3d
        self._known: WeakKeyDictionary[Voxels, Any] = WeakKeyDictionary()  # tensors carry their kernel maps

    def submanifold(self, x: Tensor, weight: Tensor, voxels: Voxels) -> Tensor:
        """See `Backend`."""
        tensor = self._known.get(voxels)
        if tensor is None:
            coordinates = torch.cat([voxels.batch[:, None], voxels.index], 1).int()
            tensor = self._known[voxels] = self._tensor(x, coordinates)
        tensor.feats = x
        # its first axis is the fastest, ours the last; kernel maps always with what the backward pass needs
        turned = weight.unflatten(0, (3, 3, 3)).permute(2, 1, 0, 3, 4).flatten(0, 2)
        result: Tensor = self._conv3d(tensor, turned, kernel_size=3, training=True).feats
        return result


class Choice(NamedTuple):
    """A backend and why it was taken, for the log."""

    backend: Backend
    reason: str


def choose_backend(device: torch.device | str) -> Choice:
    """Take torchsparse where it is installed, works on this device and agrees with torch; otherwise torch."""
    if torch.device(device).type != "cuda" or not torch.cuda.is_available():
        return Choice(TorchBackend(), f"torch: torchsparse needs CUDA, and the device is {torch.device(device).type}")
    try:
        backend = TorchSparseBackend()
    except Exception as error:  # an optional package: whatever is wrong with it must not stop the program
        return Choice(TorchBackend(), f"torch: torchsparse cannot be imported ({type(error).__name__}: {error})")
    fault = disagreement(backend, device)
    if fault:
        return Choice(TorchBackend(), f"torch: torchsparse was refused, {fault}")
    return Choice(backend, "torchsparse: agrees with torch on random voxels")


def disagreement(backend: Backend, device: torch.device | str) -> str | None:
    """Compare a backend with torch, values and gradients, on random voxels of two batch items.

    Returns
    -------
    What differs, or None when all agree.
    """
    generator = torch.Generator().manual_seed(0)
    place = torch.randperm(2 * 12**3, generator=generator)[:1500]
    index = torch.stack([place // 144 % 12, place // 12 % 12, place % 12], 1)
    voxels, _ = Voxels.from_indices(index.to(device), (place // 12**3).to(device))
    x, weight, gradient = (
        torch.randn(shape, generator=generator).to(device) for shape in ((1500, 16), (27, 16, 32), (1500, 32))
    )
    try:
        found, expected = (_results(b, x, weight, voxels, gradient) for b in (backend, TorchBackend()))
    except Exception as error:  # see choose_backend
        return f"it failed ({type(error).__name__}: {error})"
    for what, a, b in zip(
        ("values", "gradients of the features", "gradients of the weights"), found, expected, strict=True
    ):
        if a.shape != b.shape:
            return f"its {what} have shape {tuple(a.shape)} instead of {tuple(b.shape)}"
        difference = float((a - b).abs().max() / b.abs().max())
        if not difference <= TOLERANCE:
            return f"its {what} differ by {difference:.2g} of the largest"
    return None


def _results(
    backend: Backend, x: Tensor, weight: Tensor, voxels: Voxels, gradient: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    with torch.enable_grad():
        y = backend.submanifold(x, weight, voxels)
        of_x, of_weight = torch.autograd.grad(y, (x, weight), gradient)
    return y.detach(), of_x, of_weight
