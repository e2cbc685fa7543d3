"""Sets of voxels and who is next to whom: the geometry that all layers of one level share.

A voxel's key holds its batch item in the high bits and its place on the Morton curve in the low ones. Sorted by key,
voxels that are near in space are near in memory, the eight children of a voxel follow each other, and the parent's key
is the child's without its last three bits.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from autocar_ros.errors import InvalidInputError

BITS = 18  # of an index along an axis; the rest of a key of 63 bits is the batch item
BRICK_BITS = 3  # neighbours are looked up in blocks of 2^3 voxels an edge
BRICK = 1 << BRICK_BITS
# Spreads 21 bits so that two zeros follow each, and back: (shift, mask) from coarse to fine
_SPREAD = (
    (32, 0x1F00000000FFFF),
    (16, 0x1F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)
_GATHER = (
    (2, 0x10C30C30C30C30C3),
    (4, 0x100F00F00F00F00F),
    (8, 0x1F0000FF0000FF),
    (16, 0x1F00000000FFFF),
    (32, 0x1FFFFF),
)


class DownMap(NamedTuple):
    """Voxels of one level and of the next coarser, twice their size."""

    coarse: Voxels  # M voxels
    children: Tensor  # (M, 8) int32 row of every child, N where it is absent
    parent: Tensor  # (N,) int64 row of the parent
    octant: Tensor  # (N,) int64 0..7, which child of its parent a voxel is

    @property
    def child(self) -> Tensor:
        """(N,) int64: 8 * parent + octant."""
        return self.parent * 8 + self.octant


class Voxels:
    """A sorted set of N voxels of one size; may hold several batch items, which never touch each other."""

    def __init__(self, key: Tensor) -> None:
        self.key = key  # (N,) int64, ascending

    @classmethod
    def from_indices(cls, index: Tensor, batch: Tensor | None = None) -> tuple[Voxels, Tensor]:
        """Voxels of indices (N, 3) and batch items (N,), and the order (N,) in which the rows were put.

        Raises
        ------
        InvalidInputError
            When an index is negative or 2^18 or more, or two voxels are the same.
        """
        if len(index) and not bool(_encodable(index).all()):
            raise InvalidInputError(f"voxel indices must be 0 .. {2**BITS - 1}, got {index.min()} .. {index.max()}")
        key, order = _encode(index, batch).sort()
        if bool((key[1:] == key[:-1]).any()):
            raise InvalidInputError("the same voxel is given twice")
        return cls(key), order

    def __len__(self) -> int:
        return len(self.key)

    @property
    def device(self) -> torch.device:
        """Where the voxels are."""
        return self.key.device

    @cached_property
    def index(self) -> Tensor:
        """(N, 3) int64."""
        place = self.key & ((1 << 3 * BITS) - 1)
        return torch.stack([_gather_bits(place >> 2), _gather_bits(place >> 1), _gather_bits(place)], 1)

    @property
    def batch(self) -> Tensor:
        """(N,) int64 batch item."""
        return self.key >> 3 * BITS

    @cached_property
    def neighbours(self) -> Tensor:
        """(N, 27) int32 row of every voxel around, offsets -1 .. 1 in lexicographic order; N where it is absent."""
        return _neighbours(self)

    @cached_property
    def down(self) -> DownMap:
        """The next coarser level."""
        coarse, parent = torch.unique_consecutive(self.key >> 3, return_inverse=True)
        octant = self.key & 7
        children = torch.full((len(coarse), 8), len(self), dtype=torch.int32, device=self.device)
        children[parent, octant] = torch.arange(len(self), dtype=torch.int32, device=self.device)
        # a coarser index has one bit less: the batch item moves back to its place
        item = (coarse >> 3 * (BITS - 1)) << 3 * BITS
        return DownMap(Voxels(item | (coarse & ((1 << 3 * (BITS - 1)) - 1))), children, parent, octant)

    def refined(self) -> Voxels:
        """All voxels of half the size; those of voxel r are the rows 8 r to 8 r + 7, in the order of octants."""
        if len(self) and bool((self.index >= 1 << BITS - 1).any()):
            raise InvalidInputError(f"voxels with an index of {2 ** (BITS - 1)} or more cannot be divided")
        place = self.key & ((1 << 3 * BITS) - 1)
        first = (self.batch << 3 * BITS) | (place << 3)
        return Voxels((first[:, None] + torch.arange(8, device=self.device)).reshape(-1))

    def select(self, rows: Tensor) -> Voxels:
        """Subset by a mask (N,) or by ascending rows (M,)."""
        return Voxels(self.key[rows])

    def find(self, index: Tensor, batch: Tensor | None = None) -> Tensor:
        """Rows (P,) int64 of voxels (P, 3), -1 where they are absent."""
        if len(self) == 0:
            return torch.full((len(index),), -1, dtype=torch.int64, device=self.device)
        possible = _encodable(index)
        key = _encode(index.clamp(0, 2**BITS - 1), batch)
        row = torch.searchsorted(self.key, key).clamp_max(len(self) - 1)
        return torch.where(possible & (self.key[row] == key), row, -1)


class Merged(NamedTuple):
    """A set made of two, and where its voxels were in both."""

    voxels: Voxels
    of_first: Tensor  # (N,) int64 row in the first set, -1 where it was not in it
    of_second: Tensor  # (N,) the same for the second


def union(first: Voxels, second: Voxels) -> Merged:
    """Voxels of either set."""
    return _merged(Voxels(torch.unique(torch.cat([first.key, second.key]))), first, second)


def intersection(first: Voxels, second: Voxels) -> Merged:
    """Voxels of both sets (the paper's equation 8 without its distances)."""
    return _merged(first.select(_rows(first, second.key) >= 0), first, second)


def _merged(voxels: Voxels, first: Voxels, second: Voxels) -> Merged:
    return Merged(voxels, _rows(first, voxels.key), _rows(second, voxels.key))


def _rows(voxels: Voxels, key: Tensor) -> Tensor:
    if len(voxels) == 0:
        return torch.full_like(key, -1)
    row = torch.searchsorted(voxels.key, key).clamp_max(len(voxels) - 1)
    return torch.where(voxels.key[row] == key, row, -1)


def _encodable(index: Tensor) -> Tensor:
    return ((index >= 0) & (index < 2**BITS)).all(1)


def _encode(index: Tensor, batch: Tensor | None) -> Tensor:
    i, j, k = index.long().unbind(1)
    key = _spread_bits(i) << 2 | _spread_bits(j) << 1 | _spread_bits(k)
    return key if batch is None else key | batch.long() << 3 * BITS


def _spread_bits(x: Tensor) -> Tensor:
    for shift, mask in _SPREAD:
        x = (x | x << shift) & mask
    return x


def _gather_bits(x: Tensor) -> Tensor:
    x = x & _SPREAD[-1][1]
    for shift, mask in _GATHER:
        x = (x ^ x >> shift) & mask
    return x


def _neighbours(voxels: Voxels) -> Tensor:
    """Look all neighbours up in bricks: a small dense table of bricks, and a dense table of voxels in every brick.

    Batch items lie one above the other along the first axis, with a brick of nothing in between.
    """
    count, device = len(voxels), voxels.device
    if count == 0:
        return torch.zeros((0, 27), dtype=torch.int32, device=device)
    index, batch = voxels.index, voxels.batch
    index = index - index.amin(0) + 1
    pitch = (int(index[:, 0].max()) // BRICK + 2) * BRICK
    index = torch.stack([index[:, 0] + batch * pitch, index[:, 1], index[:, 2]], 1).int()
    brick = index >> BRICK_BITS
    shape = (brick.amax(0) + 2).tolist()
    stride = (shape[1] * shape[2], shape[2], 1)
    number = (brick[:, 0] * stride[0] + brick[:, 1] * stride[1] + brick[:, 2]).long()
    table = torch.zeros(shape[0] * shape[1] * shape[2], dtype=torch.int32, device=device)  # 0: an empty brick
    table[number] = 1
    used = table.nonzero()[:, 0]
    table[used] = torch.arange(1, len(used) + 1, dtype=torch.int32, device=device) * BRICK**3
    within = index & (BRICK - 1)
    local = (within[:, 0] << 2 * BRICK_BITS) + (within[:, 1] << BRICK_BITS) + within[:, 2]
    rows = torch.full(((len(used) + 1) * BRICK**3,), count, dtype=torch.int32, device=device)
    rows[(table[number] + local).long()] = torch.arange(count, dtype=torch.int32, device=device)
    # brick and place in it of both neighbours along every axis, the last axis the fastest
    bricks, places = [], []
    for axis, size in enumerate((BRICK * BRICK, BRICK, 1)):
        shifted = torch.stack([index[:, axis] - 1, index[:, axis], index[:, axis] + 1])
        bricks.append((shifted >> BRICK_BITS) * stride[axis])
        places.append((shifted & (BRICK - 1)) * size)
    found = torch.empty((27, count), dtype=torch.int32, device=device)
    for offset in range(27):
        i, j, k = offset // 9, offset // 3 % 3, offset % 3
        address = table.index_select(0, bricks[0][i] + bricks[1][j] + bricks[2][k])
        address += places[0][i] + places[1][j] + places[2][k]
        torch.index_select(rows, 0, address, out=found[offset])
    return found.t().contiguous()
