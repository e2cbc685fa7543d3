"""The product of gathered rows and a matrix on a CPU core, as fast as the core multiplies.

Gathering rows into a buffer for a library's matrix product costs as much as the product where there are few channels.
Here a tile of the result stays in the core's registers while the rows are read where they lie: numba has no word for
registers, so the tile is written as vectors of LLVM's. `conv.gather_product` is the plain twin.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from llvmlite import ir
from llvmlite.ir import IRBuilder, Value
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 8  # floats of a vector register; LLVM makes two of it where they are shorter
TILE = 12  # vectors of a tile: with the columns of the matrix and one broadcast they fill the 16 registers of AVX2
NARROW, WIDE = 2, 3  # vectors side by side in a tile: 16 or 24 columns
LEAST_ROWS = TILE // NARROW

_FLOAT, _INDEX = ir.FloatType(), ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)


def fits(rows: int, columns: int) -> bool:
    """Whether `tiled_product` can make a result of this shape."""
    return rows >= LEAST_ROWS and (columns % (NARROW * LANES) == 0 or columns % (WIDE * LANES) == 0)


@njit(cache=True)
def tiled_product(x, nothing, rows, matrix, out):  # type: ignore[no-untyped-def]
    """Rows (N, K) int32 of x (M, C) side by side times matrix (K C, D) into out (N, D), all float32 and contiguous.

    Row M is `nothing` (C,), the zeros of what is absent. N and D must pass `fits`.
    """
    narrow = out.shape[1] % (NARROW * LANES) == 0
    columns, height = (NARROW * LANES, TILE // NARROW) if narrow else (WIDE * LANES, TILE // WIDE)
    count, width = rows.shape
    absent, channels, pitch = x.shape[0], x.shape[1], out.shape[1]
    start, empty = x.ctypes.data, nothing.ctypes.data
    for column in range(0, out.shape[1], columns):
        weight = matrix.ctypes.data + 4 * column
        for row in range(0, count, height):
            first = min(row, count - height)  # the last tile overlaps that before it
            near = rows.ctypes.data + 4 * width * first
            to = out.ctypes.data + 4 * (out.shape[1] * first + column)
            if narrow:
                _tile(NARROW, start, empty, near, weight, to, absent, channels, pitch, width)  # type: ignore[call-arg]
            else:
                _tile(WIDE, start, empty, near, weight, to, absent, channels, pitch, width)  # type: ignore[call-arg]


@intrinsic(prefer_literal=True)
def _tile(_context, vectors, x, nothing, rows, weight, out, absent, channels, pitch, width):  # type: ignore[no-untyped-def]
    """One tile of the product, `vectors` x LANES columns wide: addresses of its rows, its columns, and its corner.

    `absent` is the number of the row that is `nothing`, `channels` are those of x, `pitch` the columns of the matrix
    and the result, `width` the rows side by side.
    """
    wide = vectors.literal_value
    numbers = (types.intp,) * 9
    return types.void(vectors, *numbers), _emit_tile(wide, TILE // wide)


def _emit_tile(wide: int, high: int) -> Callable[..., Value]:
    """Code of a tile of `high` rows and `wide` vectors."""

    def emit(context: Any, builder: IRBuilder, _signature: Any, arguments: list[Value]) -> Value:
        _, x, nothing, rows, weight, out, absent, channels, pitch, width = arguments
        x, nothing, weight, out = (builder.inttoptr(a, _FLOAT.as_pointer()) for a in (x, nothing, weight, out))
        rows = builder.inttoptr(rows, ir.IntType(32).as_pointer())
        # memory to numba; LLVM turns it into registers
        total = [[cgutils.alloca_once(builder, _VECTOR) for _ in range(wide)] for _ in range(high)]  # type: ignore[no-untyped-call]
        for cell in chain.from_iterable(total):
            builder.store(ir.Constant(_VECTOR, [0.0] * LANES), cell)
        with cgutils.for_range(builder, width) as around:
            near = []
            for r in range(high):
                place = builder.add(builder.mul(width, _INDEX(r)), around.index)
                row = builder.zext(builder.load(builder.gep(rows, [place])), _INDEX)
                there = builder.gep(x, [builder.mul(row, channels)])
                near.append(builder.select(builder.icmp_unsigned("==", row, absent), nothing, there))
            block = builder.mul(around.index, channels)
            with cgutils.for_range(builder, channels) as channel:
                line = builder.gep(weight, [builder.mul(builder.add(block, channel.index), pitch)])
                values = [builder.load(builder.gep(start, [channel.index])) for start in near]
                _add_products(builder, total, values, line)
        for r, cells in enumerate(total):
            line = builder.gep(out, [builder.mul(pitch, _INDEX(r))])
            for v, cell in enumerate(cells):
                builder.store(builder.load(cell), _vector_at(builder, line, v), align=4)
        return context.get_dummy_value()

    return emit


def _add_products(builder: IRBuilder, total: list[list[Value]], values: list[Value], line: Value) -> None:
    """Add to every row of a tile its value times the vectors of a line."""
    columns = [builder.load(_vector_at(builder, line, v), align=4) for v in range(len(total[0]))]
    for cells, value in zip(total, values, strict=True):
        factor = _broadcast(builder, value)
        for cell, column in zip(cells, columns, strict=True):
            builder.store(_multiply_add(builder, factor, column, builder.load(cell)), cell)


def _vector_at(builder: IRBuilder, line: Value, number: int) -> Value:
    """Pointer to a vector of a line of floats."""
    return builder.bitcast(builder.gep(line, [_INDEX(number * LANES)]), _VECTOR.as_pointer())


def _broadcast(builder: IRBuilder, value: Value) -> Value:
    nothing = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.IntType(32)(0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _multiply_add(builder: IRBuilder, a: Value, b: Value, c: Value) -> Value:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32")  # type: ignore[no-untyped-call]
    return builder.call(function, [a, b, c])
