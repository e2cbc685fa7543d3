"""Convolutions over sparse voxels, forward and backward, as gathers and matrix products.

Rows of neighbours are gathered block by block into a buffer that stays in the cache, and every block is one matrix
product (im2col). The backward pass is the same with flipped offsets, so nothing is ever scattered, and the result does
not depend on the number of threads.

Weights are (K, C_in, C_out): K = 27 offsets in lexicographic order, or 8 octants.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from autocar_ros.sparse import tiles
from autocar_ros.sparse.voxels import DownMap, Voxels

BUFFER = 1 << 20  # bytes of gathered rows: 1 to 2 MiB measure best on cores of 512 KiB to 1 MiB of cache
BUFFER_CUDA = 1 << 28
LEAST_ROWS = 64  # of a block
FEW_THREADS = 2  # up to so many, one core's own kernel is faster than all of them with a library's product


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
    result: Tensor = _Submanifold.apply(x, weight, voxels.neighbours)  # type: ignore[no-untyped-call]
    return result


def down_conv(x: Tensor, weight: Tensor, down: DownMap) -> Tensor:
    """Convolution 2 x 2 x 2 of stride 2: features (N, C_in) to (M, C_out), weight (8, C_in, C_out)."""
    result: Tensor = _Down.apply(x, weight, down.children, down.child)  # type: ignore[no-untyped-call]
    return result


def up_conv(x: Tensor, weight: Tensor, down: DownMap) -> Tensor:
    """Transposed convolution 2 x 2 x 2 of stride 2: features (M, C_in) to (N, C_out), weight (8, C_in, C_out)."""
    result: Tensor = _Up.apply(x, weight, down.children, down.child)  # type: ignore[no-untyped-call]
    return result


def gather_product(x: Tensor, rows: Tensor, matrix: Tensor) -> Tensor:
    """Rows (N, K) of x (M, C), those of number M being zero, side by side and times `matrix` (K C, D): (N, D)."""
    count, width = rows.shape
    channels, result = x.shape[1], x.new_empty(count, matrix.shape[1])
    if _is_tiled(x, rows, matrix):
        given = (x.contiguous(), x.new_zeros(channels), rows.contiguous(), matrix.contiguous(), result)
        tiles.tiled_product(*(t.detach().numpy() for t in given))
        return result
    for begin, end, gathered in _blocks(_with_zero_row(x), rows):
        torch.mm(gathered.view(end - begin, width * channels), matrix, out=result[begin:end])
    return result


def gather_products(
    x: Tensor, rows: Tensor, matrix: Tensor | None, y: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """Both products of the backward pass with one gathering of x (M, C), rows (N, K) as in `gather_product`.

    Returns
    -------
    (N, D), rows side by side times `matrix` (K C, D); and the sum over n of y[n] outer x[rows[n, k]], y (N, E), as
    (K, E, C), added up in float32 at least. None for what is not given.
    """
    (count, width), channels = rows.shape, x.shape[1]
    product = None if matrix is None else x.new_empty(count, matrix.shape[1])
    outer = None if y is None else _zeros(y.shape[1], width * channels, x)
    for begin, end, gathered in _blocks(_with_zero_row(x), rows):
        beside = gathered.view(end - begin, width * channels)
        if matrix is not None and product is not None:
            torch.mm(beside, matrix, out=product[begin:end])
        if y is not None and outer is not None:
            _add_product(outer, y[begin:end].t(), beside)
    if outer is not None:
        outer = outer.view(-1, width, channels).transpose(0, 1).to(x.dtype)
    return product, outer


def _is_tiled(x: Tensor, rows: Tensor, matrix: Tensor) -> bool:
    """Whether `tiles` makes the product."""
    on_core = x.device.type == "cpu" and x.dtype == matrix.dtype == torch.float32 and rows.dtype == torch.int32
    return on_core and torch.get_num_threads() <= FEW_THREADS and tiles.fits(len(rows), matrix.shape[1])


def _zeros(rows: int, columns: int, like: Tensor) -> Tensor:
    return torch.zeros(rows, columns, dtype=torch.promote_types(like.dtype, torch.float32), device=like.device)


def _add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    if total.dtype == a.dtype:
        total.addmm_(a, b)
    else:
        total += a @ b


def _blocks(padded: Tensor, rows: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    """Blocks of gathered rows: (begin, end, (end - begin) * K rows of `padded`)."""
    count, width = rows.shape
    channels, flat = padded.shape[1], rows.reshape(-1)
    bytes_a_row = width * max(channels, 1) * padded.element_size()
    size = (BUFFER if padded.device.type == "cpu" else BUFFER_CUDA) // bytes_a_row // 16 * 16
    size = min(max(size, LEAST_ROWS), max(count, 1))
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
        return gather_product(x, neighbours, _flat(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight, neighbours = ctx.saved_tensors
        # who is at offset k of me has me at offset -k
        flipped = _flat(weight.flip(0).transpose(1, 2)) if ctx.needs_input_grad[0] else None
        wanted = x if ctx.needs_input_grad[1] else None
        of_x, of_weight = gather_products(_like(gradient, x), neighbours, flipped, wanted)
        return of_x, None if of_weight is None else of_weight.flip(0), None


class _Down(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, children: Tensor, child: Tensor) -> Tensor:
        x, weight = _same_type(x, weight)
        ctx.save_for_backward(x, weight, children, child)
        return gather_product(x, children, _flat(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight, children, child = ctx.saved_tensors
        gradient = _like(gradient, x)
        of_x = _spread(gradient, weight.transpose(1, 2), child) if ctx.needs_input_grad[0] else None
        _, outer = gather_products(x, children, None, gradient if ctx.needs_input_grad[1] else None)
        return of_x, None if outer is None else outer.transpose(1, 2), None, None


class _Up(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, children: Tensor, child: Tensor) -> Tensor:
        x, weight = _same_type(x, weight)
        ctx.save_for_backward(x, weight, children)
        return _spread(x, weight, child)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        x, weight, children = ctx.saved_tensors
        turned = _flat(weight.transpose(1, 2)) if ctx.needs_input_grad[0] else None
        wanted = x if ctx.needs_input_grad[1] else None
        return *gather_products(_like(gradient, x), children, turned, wanted), None, None


def _spread(x: Tensor, weight: Tensor, child: Tensor) -> Tensor:
    """Every coarse row (M, C) times the weight (8, C, D) of each of its children: (N, D)."""
    product = x @ weight.permute(1, 0, 2).reshape(x.shape[1], -1)
    return product.view(-1, weight.shape[2]).index_select(0, child)


def _same_type(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the type of autocast where it is on, else the weight in the type of the features."""
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    return x.contiguous(), weight.to(x.dtype)


def _like(gradient: Tensor, x: Tensor) -> Tensor:
    return gradient.to(x.dtype).contiguous()


def _flat(weight: Tensor) -> Tensor:
    """(K, C, D) as a matrix (K C, D)."""
    return weight.reshape(-1, weight.shape[2])
