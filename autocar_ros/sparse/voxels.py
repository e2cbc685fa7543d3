"""Sets of voxels and who is next to whom: the geometry that all layers of one level share.

A voxel's key holds its batch item in the high bits and its place on the Morton curve in the low ones. Sorted by key,
voxels that are near in space are near in memory, the eight children of a voxel follow each other, and the parent's key
is the child's without its last three bits.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from autocar_ros.errors import InvalidInputError

BITS = 18  # of an index along an axis; the rest of a key of 63 bits is the batch item
PLACE = (1 << 3 * BITS) - 1  # the bits of a key that are not the batch item
ITEMS = 1 << 63 - 3 * BITS  # batch items that a key can hold
BRICK_BITS = 3  # neighbours are looked up in bricks of 2^3 voxels an edge
BRICK = 1 << BRICK_BITS
_AXES = (int("4" * BITS, 8), int("2" * BITS, 8), int("1" * BITS, 8))  # the bits of a key of every axis
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
            When an index is no integer of 0 .. 2^18 - 1, a batch item none of 0 .. 511, or two voxels are the same.
        """
        _check(index, batch)
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
        return _decode(self.key & PLACE)

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
        coarse, parent = _coarser(self, 1)
        octant = self.key & 7
        children = torch.full((len(coarse), 8), len(self), dtype=torch.int32, device=self.device)
        children[parent, octant] = torch.arange(len(self), dtype=torch.int32, device=self.device)
        return DownMap(coarse, children, parent, octant)

    def refined(self) -> Voxels:
        """All voxels of half the size; those of voxel r are the rows 8 r to 8 r + 7, in the order of octants."""
        place = self.key & PLACE
        if bool((place >> 3 * (BITS - 1) != 0).any()):
            raise InvalidInputError(f"voxels with an index of {2 ** (BITS - 1)} or more cannot be divided")
        first = (self.key & ~PLACE) | (place << 3)
        return Voxels((first[:, None] + torch.arange(8, device=self.device)).reshape(-1))

    def select(self, rows: Tensor) -> Voxels:
        """Subset by a mask (N,) or by ascending rows (M,)."""
        return Voxels(self.key[rows])

    def find(self, index: Tensor, batch: Tensor | None = None) -> Tensor:
        """Rows (P,) int64 of voxels (P, 3) of batch items (P,), all 0 unless given; -1 where they are absent."""
        possible = ((index >= 0) & (index < 2**BITS)).all(1)
        if batch is not None:
            possible &= (batch >= 0) & (batch < ITEMS)
        key = _encode(index.clamp(0, 2**BITS - 1), batch)
        return torch.where(possible, _rows(self, key), -1)


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
    return _merged(first.select(_rows(second, first.key) >= 0), first, second)


def _merged(voxels: Voxels, first: Voxels, second: Voxels) -> Merged:
    return Merged(voxels, _rows(first, voxels.key), _rows(second, voxels.key))


def _rows(voxels: Voxels, key: Tensor) -> Tensor:
    if len(voxels) == 0:
        return torch.full_like(key, -1)
    row = torch.searchsorted(voxels.key, key).clamp_max(len(voxels) - 1)
    return torch.where(voxels.key[row] == key, row, -1)


def _check(index: Tensor, batch: Tensor | None) -> None:
    if index.ndim != 2 or index.shape[1] != 3 or index.is_floating_point():
        raise InvalidInputError(f"voxel indices must be integers (N, 3), got {index.dtype} {tuple(index.shape)}")
    if len(index) and not 0 <= int(index.min()) <= int(index.max()) < 2**BITS:
        raise InvalidInputError(f"voxel indices must be 0 .. {2**BITS - 1}, got {index.min()} .. {index.max()}")
    if batch is None:
        return
    if batch.shape != index.shape[:1] or batch.is_floating_point():
        raise InvalidInputError(f"one batch item a voxel: need integers ({len(index)},), got {tuple(batch.shape)}")
    if len(batch) and not 0 <= int(batch.min()) <= int(batch.max()) < ITEMS:
        raise InvalidInputError(f"batch items must be 0 .. {ITEMS - 1}, got {batch.min()} .. {batch.max()}")


def _encode(index: Tensor, batch: Tensor | None = None) -> Tensor:
    i, j, k = index.long().unbind(-1)
    key = _spread_bits(i) << 2 | _spread_bits(j) << 1 | _spread_bits(k)
    return key if batch is None else key | batch.long() << 3 * BITS


def _decode(place: Tensor) -> Tensor:
    return torch.stack([_gather_bits(place >> 2), _gather_bits(place >> 1), _gather_bits(place)], -1)


def _spread_bits(x: Tensor) -> Tensor:
    for shift, mask in _SPREAD:
        x = (x | x << shift) & mask
    return x


def _gather_bits(x: Tensor) -> Tensor:
    x = x & _SPREAD[-1][1]
    for shift, mask in _GATHER:
        x = (x ^ x >> shift) & mask
    return x


def _coarser(voxels: Voxels, levels: int) -> tuple[Voxels, Tensor]:
    """Voxels of 2^levels the size, and the row (N,) of the one that each voxel is in."""
    coarse, parent = torch.unique_consecutive(voxels.key >> 3 * levels, return_inverse=True)
    # an index has lost so many bits: the batch item moves back to its place
    place = PLACE >> 3 * levels
    return Voxels((coarse & ~place) << 3 * levels | (coarse & place)), parent


def _around(index: Tensor) -> Tensor:
    """Of indices (N, 3), those along every axis from one before to one after: (N, 3, 3), axis by offset."""
    return index[:, :, None] + torch.arange(-1, 2, device=index.device)


def _sums(x: Tensor) -> Tensor:
    """Sums over the axes of (N, 3, 3), axis by offset, for all offsets in lexicographic order: (N, 27) int32."""
    i, j, k = x.int().unbind(1)
    return (i[:, :, None, None] + j[:, None, :, None] + k[:, None, None, :]).view(-1, 27)


def _neighbours(voxels: Voxels) -> Tensor:
    """Look all neighbours up in bricks of 8 x 8 x 8 voxels, each with a dense table of its rows.

    A search finds the 26 bricks around every brick; a voxel's neighbours are at places in these that depend on its own
    place in its brick alone. So memory follows the bricks in use, however far apart they are.
    """
    count, device, volume = len(voxels), voxels.device, BRICK**3
    bricks, brick = _coarser(voxels, BRICK_BITS)
    local = voxels.key & volume - 1
    table = torch.full(((len(bricks) + 1) * volume,), count, dtype=torch.int32, device=device)
    table[(brick + 1) * volume + local] = torch.arange(count, dtype=torch.int32, device=device)
    start = (_adjacent(bricks) + 1) * volume  # the first table is that of absent bricks: nothing is in it
    step, place = _brick_steps(device)
    found = torch.empty((count, 27), dtype=torch.int32, device=device)
    if device.type == "cpu":
        look_up(*(t.numpy() for t in (brick, local, start, step, place, table, found)))
    else:
        look_up_torch(brick, local, start, step, place, table, found)
    return found


@cache
def _brick_steps(device: torch.device) -> tuple[Tensor, Tensor]:
    """Of every place in a brick, which brick around it each neighbour is in, and where there: (BRICK^3, 27) int32."""
    around = _around(_decode(torch.arange(BRICK**3, device=device)))
    step = _sums(((around >> BRICK_BITS) + 1) * torch.tensor([[9], [3], [1]], device=device))
    place = _sums(_spread_bits(around & BRICK - 1) << torch.tensor([[2], [1], [0]], device=device))
    return step, place


@njit(cache=True)
def look_up(brick, local, start, step, place, table, found):  # type: ignore[no-untyped-def]
    """Fill `found` (N, 27), for voxels at places `local` (N,) in bricks `brick` (N,); tables as in `_neighbours`."""
    for n in range(len(brick)):
        first, at = 27 * brick[n], local[n]
        for k in range(27):
            found[n, k] = table[start[first + step[at, k]] + place[at, k]]


def look_up_torch(
    brick: Tensor, local: Tensor, start: Tensor, step: Tensor, place: Tensor, table: Tensor, found: Tensor
) -> None:
    """Twin of `look_up` in torch, for all devices."""
    address = step.index_select(0, local) + brick[:, None].int() * 27
    address = start.index_select(0, address.view(-1)).view(-1, 27) + place.index_select(0, local)
    torch.index_select(table, 0, address.view(-1), out=found.view(-1))


def _adjacent(voxels: Voxels) -> Tensor:
    """Rows (27 N,) int32 of all neighbours: -1 where they are absent."""
    near = torch.empty(27 * len(voxels), dtype=torch.int32, device=voxels.device)
    if voxels.device.type == "cpu":
        adjacent(voxels.key.numpy(), near.numpy())
    else:
        adjacent_torch(voxels, near)
    return near


@njit(cache=True)
def adjacent(key, near):  # type: ignore[no-untyped-def]
    """Fill `near` (27 N,) with the rows of all neighbours of voxels `key` (N,), found by search: -1 where absent."""
    along = np.empty((3, 3), np.int64)  # axis by offset: the bits of that index, -1 beyond the ends of space
    for n in range(len(key)):
        batch = key[n] & ~PLACE
        for axis in range(3):
            bits = _AXES[axis]
            here, low = key[n] & bits, bits & -bits
            along[axis, 0] = (here - low) & bits if here != 0 else -1
            along[axis, 1] = here
            along[axis, 2] = ((here | ~bits) + low) & bits if here != bits else -1
        for k in range(27):
            i, j, m = along[0, k // 9], along[1, k // 3 % 3], along[2, k % 3]
            near[27 * n + k] = -1
            if i >= 0 and j >= 0 and m >= 0:
                wanted = batch | i | j | m
                row = np.searchsorted(key, wanted)
                if row < len(key) and key[row] == wanted:
                    near[27 * n + k] = row


def adjacent_torch(voxels: Voxels, near: Tensor) -> None:
    """Twin of `adjacent` in torch, for all devices."""
    i, j, k = _around(voxels.index).unbind(1)
    shape = (len(voxels), 3, 3, 3)
    index = [i[:, :, None, None].expand(shape), j[:, None, :, None].expand(shape), k[:, None, None, :].expand(shape)]
    near.copy_(voxels.find(torch.stack(index, -1).view(-1, 3), voxels.batch.repeat_interleave(27)))
