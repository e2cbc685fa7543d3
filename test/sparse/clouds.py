"""Random voxels for the tests of the sparse engine, and the same features on a dense grid."""

import numpy as np
import torch
from hypothesis import strategies as st

from autocar_ros.sparse.voxels import Voxels

SIDE = 10  # voxels an edge of the dense grids; no multiple of a brick
OFFSETS = [(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)]


def indices(seed, count, items=1, side=SIDE):
    """Distinct voxels (count, 3) and their batch items (count,) in random order."""
    place = np.random.default_rng(seed).choice(items * side**3, count, replace=False)
    item, i, j, k = np.unravel_index(place, (items, side, side, side))
    return torch.from_numpy(np.stack([i, j, k], 1)), torch.from_numpy(item)


def cloud(seed, count, items=1, side=SIDE):
    return Voxels.from_indices(*indices(seed, count, items, side))[0]


@st.composite
def clouds(draw, least=0):
    """Empty to nearly full, of one to three items."""
    items = draw(st.integers(1, 3))
    return cloud(draw(st.integers(0, 10**6)), draw(st.integers(least, 300 * items)), items)


def to_dense(x, voxels, items=3, side=SIDE):
    """Features (N, C) as (items, C, side, side, side), 0 where there is no voxel; differentiable."""
    grid = x.new_zeros(items, side, side, side, x.shape[1])
    grid = grid.index_put((voxels.batch, *voxels.index.unbind(1)), x)
    return grid.movedim(-1, 1)


def from_dense(grid, voxels):
    return grid.movedim(1, -1)[(voxels.batch, *voxels.index.unbind(1))]


def rows_of(voxels):
    """{(item, i, j, k): row} of all voxels."""
    every = torch.cat([voxels.batch[:, None], voxels.index], 1).tolist()
    return {tuple(voxel): row for row, voxel in enumerate(every)}
