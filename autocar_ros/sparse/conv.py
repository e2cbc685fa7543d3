"""Convolutions over sparse voxels, forward and backward, as gathers and matrix products.

Rows of neighbours are gathered block by block into a buffer that stays in the cache, and every block is one matrix
product (im2col). The backward pass is the same with flipped offsets, so nothing is ever scattered, and the result does
not depend on the number of threads.

Weights are (K, C_in, C_out): K = 27 offsets in lexicographic order, or 8 octants.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from autocar_ros.sparse.voxels import DownMap, Voxels

BUFFER = 1 << 20  # bytes of gathered rows: about half of a core's second-level cache
LEAST_ROWS = 64  # of a block


def submanifold_conv(x: Tensor, weight: Tensor, voxels: Voxels) -> Tensor:
    """Convolution 3 x 3 x 3 on the voxels themselves (Graham et al. 2018).

    Parameters
    ----------
    x : (N, C_in)
    weight : (27, C_in, C_out)

    Returns
    -------
    (N, C_out)
    """
    result: Tensor = _Submanifold.apply(x, weight, voxels.neighbours)
    return result


def down_conv(x: Tensor, weight: Tensor, down: DownMap) -> Tensor:
    """Convolution 2 x 2 x 2 of stride 2: features (N, C_in) to (M, C_out), weight (8, C_in, C_out)."""
    result: Tensor = _Down.apply(x, weight, down.children, down.child)
    return result


def up_conv(x: Tensor, weight: Tensor, down: DownMap) -> Tensor:
    """Transposed convolution 2 x 2 x 2 of stride 2: features (M, C_in) to (N, C_out), weight (8, C_in, C_out)."""
    result: Tensor = _Up.apply(x, weight, down.children, down.child)
    return result


def gather_product(x: Tensor, rows: Tensor, matrix: Tensor) -> Tensor:
    """Rows (N, K) of x (M, C), those of number M being zero, side by side and times `matrix` (K C, D): (N, D)."""
    count, width = rows.shape
    padded, channels = _with_zero_row(x), x.shape[1]
    result = x.new_empty(count, matrix.shape[1])
    for begin, end, gathered in _blocks(padded, rows):
        torch.mm(gathered.view(end - begin, width * channels), matrix, out=result[begin:end])
    return result


def _gather_outer(x: Tensor, rows: Tensor, y: Tensor) -> Tensor:
    """Sum over n of x[rows[n, k]] outer y[n], x (M, C), rows (N, K), y (N, D): (K, C, D), in float32 at least."""
    width, channels = rows.shape[1], x.shape[1]
    wide = torch.promote_types(x.dtype, torch.float32)
    total = torch.zeros(width * channels, y.shape[1], dtype=wide, device=x.device)
    for begin, end, gathered in _blocks(_with_zero_row(x), rows):
        part = gathered.view(end - begin, width * channels).t()
        if x.dtype == wide:
            total.addmm_(part, y[begin:end])
        else:
            total += part @ y[begin:end]
    return total.view(width, channels, -1).to(x.dtype)


def _blocks(padded: Tensor, rows: Tensor) -> Any:
    """Blocks of gathered rows: (begin, end, (end - begin) * K rows of `padded`)."""
    count, width = rows.shape
    channels, flat = padded.shape[1], rows.reshape(-1)
    size = BUFFER // (width * max(channels, 1) * padded.element_size()) // 16 * 16
    size = min(max(size, LEAST_ROWS), max(count, 1)) if padded.device.type == "cpu" else max(count, 1)
    buffer = padded.new_empty(size * width, channels)
    for begin in range(0, count, size):
        end = min(count, begin + size)
        gathered = buffer[: (end - begin) * width]
        torch.index_select(padded, 0, flat[begin * width : end * width], out=gathered)
        yield begin, end, gathered


def _with_zero_row(x: Tensor) -> Tensor:
    return torch.cat([x, x.new_zeros(1, x.shape[1])])


class _Submanifold(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, neighbours: Tensor) -> Tensor:
        x, weight = _same_type(x, weight)
        ctx.save_for_backward(x, weight, neighbours)
        return gather_product(x, neighbours, weight.reshape(-1, weight.shape[2]))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # type: ignore[override]
        x, weight, neighbours = ctx.saved_tensors
        gradient = gradient.contiguous().to(x.dtype)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            # who is at offset k of me has me at offset -k
            flipped = weight.flip(0).transpose(1, 2).reshape(-1, weight.shape[1])
            of_x = gather_product(gradient, neighbours, flipped)
        if ctx.needs_input_grad[1]:
            of_weight = _gather_outer(x, neighbours, gradient)
        return of_x, of_weight, None


class _Down(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, children: Tensor, child: Tensor) -> Tensor:
        x, weight = _same_type(x, weight)
        ctx.save_for_backward(x, weight, children, child)
        return gather_product(x, children, weight.reshape(-1, weight.shape[2]))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:  # type: ignore[override]
        x, weight, children, child = ctx.saved_tensors
        gradient = gradient.contiguous().to(x.dtype)
        of_x = _spread(gradient, weight.transpose(1, 2), child) if ctx.needs_input_grad[0] else None
        of_weight = _gather_outer(x, children, gradient) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, None, None


class _Up(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, children: Tensor, child: Tensor) -> Tensor:
        x, weight = _same_type(x, weight)
        ctx.save_for_backward(x, weight, children)
        return _spread(x, weight, child)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:  # type: ignore[override]
        x, weight, children = ctx.saved_tensors
        gradient = gradient.contiguous().to(x.dtype)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = gather_product(gradient, children, weight.transpose(1, 2).reshape(-1, weight.shape[1]))
        if ctx.needs_input_grad[1]:
            of_weight = _gather_outer(gradient, children, x).transpose(1, 2)
        return of_x, of_weight, None, None


def _spread(x: Tensor, weight: Tensor, child: Tensor) -> Tensor:
    """Every coarse row (M, C) times the weight (8, C, D) of each of its children: (N, D)."""
    product = x @ weight.permute(1, 0, 2).reshape(x.shape[1], -1)
    return product.view(-1, weight.shape[2]).index_select(0, child)


def _same_type(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the type of autocast where it is on, else the weight in the type of the features."""
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    return x.contiguous(), weight.to(x.dtype)
