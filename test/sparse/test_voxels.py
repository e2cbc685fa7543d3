"""Sets of voxels against Python's dictionaries and sets."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sparse.clouds import OFFSETS, cloud, clouds, indices, rows_of

from autocar_ros.errors import InvalidInputError
from autocar_ros.sparse import voxels as module
from autocar_ros.sparse.voxels import BITS, ITEMS, Voxels, intersection, union

LAST = 2**BITS - 1


def voxels_of(*rows):
    return Voxels.from_indices(torch.tensor(rows).reshape(-1, 3))[0]


@given(seed=st.integers(0, 10**6), count=st.integers(0, 300))
def test_order_brings_the_rows_to_the_voxels(seed, count):
    index, batch = indices(seed, count, 3)
    voxels, order = Voxels.from_indices(index, batch)
    assert torch.equal(voxels.index, index[order])
    assert torch.equal(voxels.batch, batch[order])
    assert (voxels.key.diff() > 0).all()
    assert (voxels.batch.diff() >= 0).all()


@given(st.lists(st.tuples(*[st.integers(0, LAST)] * 3), unique=True), st.integers(0, ITEMS - 1))
def test_every_index_has_a_key(rows, item):
    index = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)
    voxels, order = Voxels.from_indices(index, torch.full((len(rows),), item))
    assert torch.equal(voxels.index, index[order])
    assert (voxels.batch == item).all()
    assert (voxels.key >= 0).all()


@pytest.mark.parametrize(
    ("index", "batch", "message"),
    [
        ([[0, 0, -1]], None, "0 .. 262143"),
        ([[0, LAST + 1, 0]], None, "0 .. 262143"),
        ([[1, 2, 3], [1, 2, 3]], None, "twice"),
        ([[0.5, 0.0, 0.0]], None, "integers"),
        ([[1, 2]], None, "integers"),
        ([[0, 0, 0]], [-1], "batch items"),
        ([[0, 0, 0]], [ITEMS], "batch items"),
        ([[0, 0, 0]], [0, 1], "one batch item"),
    ],
)
def test_what_is_no_set_of_voxels_is_refused(index, batch, message):
    with pytest.raises(InvalidInputError, match=message):
        Voxels.from_indices(torch.tensor(index), None if batch is None else torch.tensor(batch))


@settings(max_examples=30)
@given(clouds())
def test_neighbours_are_those_of_brute_force(voxels):
    rows, found = rows_of(voxels), voxels.neighbours
    assert found.shape == (len(voxels), 27)
    assert found.dtype == torch.int32
    expected = [[rows.get((b, i + x, j + y, k + z), len(voxels)) for x, y, z in OFFSETS] for b, i, j, k in rows]
    assert found.tolist() == expected


def test_neighbours_by_numba_are_those_by_torch(monkeypatch):
    voxels = cloud(0, 3000, side=20)
    found = []

    def both(*arrays):
        module.look_up_torch(*(torch.from_numpy(a) for a in arrays))
        found.append(arrays[-1].copy())
        arrays[-1][:] = -1
        original(*arrays)

    original = module.look_up
    monkeypatch.setattr(module, "look_up", both)
    assert (voxels.neighbours.numpy() == found[0]).all()


@settings(max_examples=30)
@given(clouds())
def test_search_by_numba_is_that_by_torch(voxels):
    found = [torch.full((27 * len(voxels),), -2, dtype=torch.int32) for _ in range(2)]
    module.adjacent(voxels.key.numpy(), found[0].numpy())
    module.adjacent_torch(voxels, found[1])
    assert torch.equal(*found)


def test_neighbours_where_the_space_ends():
    """Voxels at opposite faces are no neighbours, nor are those of the next batch item; far ones cost no memory."""
    corners = torch.cartesian_prod(*[torch.tensor([0, 1, LAST - 1, LAST])] * 3)
    both = torch.cat([corners, corners])
    voxels, _ = Voxels.from_indices(both, torch.arange(2).repeat_interleave(len(corners)))
    assert ((voxels.neighbours < len(voxels)).sum(1) == 8).all()
    rows = voxels.neighbours[voxels.neighbours < len(voxels)].view(-1, 8).long()
    assert (voxels.batch[rows] == voxels.batch[:, None]).all()
    assert ((voxels.index[rows] - voxels.index[:, None]).abs() <= 1).all()


@given(clouds())
def test_neighbours_are_mutual(voxels):
    """The backward pass stands on this: who is at offset k of me has me at offset -k."""
    row, offset = (voxels.neighbours < len(voxels)).nonzero(as_tuple=True)
    other = voxels.neighbours[row, offset].long()
    assert torch.equal(voxels.neighbours[other, 26 - offset].long(), row)


@given(clouds())
def test_down_map(voxels):
    down = voxels.down
    assert set(rows_of(down.coarse)) == {(b, i // 2, j // 2, k // 2) for b, i, j, k in rows_of(voxels)}
    assert (down.coarse.key.diff() > 0).all()
    assert torch.equal(down.coarse.index[down.parent], voxels.index >> 1)
    assert torch.equal(down.coarse.batch[down.parent], voxels.batch)
    i, j, k = (voxels.index & 1).unbind(1)
    assert torch.equal(down.octant, 4 * i + 2 * j + k)
    assert down.children.dtype == torch.int32
    table = torch.full((len(down.coarse), 8), len(voxels))
    table[down.parent, down.octant] = torch.arange(len(voxels))
    assert torch.equal(down.children.long(), table)


@given(clouds())
def test_refined_is_the_inverse_of_down(voxels):
    fine = voxels.refined()
    assert (fine.key.diff() > 0).all()
    assert torch.equal(fine.down.coarse.key, voxels.key)
    assert torch.equal(fine.down.child, torch.arange(8 * len(voxels)))
    assert torch.equal(fine.index >> 1, voxels.index.repeat_interleave(8, 0))


def test_refined_refuses_what_has_no_key():
    assert voxels_of([0, 0, LAST // 2]).refined().index.amax() == LAST
    with pytest.raises(InvalidInputError, match="cannot be divided"):
        voxels_of([0, LAST // 2 + 1, 0]).refined()


@given(clouds(), st.integers(0, 10**6))
def test_select_keeps_the_order(voxels, seed):
    mask = torch.rand(len(voxels), generator=torch.Generator().manual_seed(seed)) < 0.5
    by_mask, by_rows = voxels.select(mask), voxels.select(mask.nonzero()[:, 0])
    assert torch.equal(by_mask.key, by_rows.key)
    assert torch.equal(by_mask.index, voxels.index[mask])


@given(clouds(), st.integers(0, 10**6))
def test_find(voxels, seed):
    """Also of places outside of all that has a key, and of batch items that cannot be."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(-2, 12, (200, 3), generator=generator)
    batch = torch.randint(-1, 4, (200,), generator=generator)
    index[::20] += LAST
    batch[::30] += 2 * ITEMS  # whose bits above the key would fall on item 0
    rows = rows_of(voxels)
    expected = [rows.get((b, *place), -1) for b, place in zip(batch.tolist(), index.tolist(), strict=True)]
    assert voxels.find(index, batch).tolist() == expected
    assert voxels.find(index).tolist() == [rows.get((0, *place), -1) for place in index.tolist()]


@given(clouds(), clouds())
def test_union_and_intersection(first, second):
    one, two = rows_of(first), rows_of(second)
    for merged, expected in (
        (union(first, second), one.keys() | two.keys()),
        (intersection(first, second), one.keys() & two.keys()),
    ):
        found = rows_of(merged.voxels)
        assert found.keys() == expected
        assert (merged.voxels.key.diff() > 0).all()
        assert merged.of_first.tolist() == [one.get(voxel, -1) for voxel in found]
        assert merged.of_second.tolist() == [two.get(voxel, -1) for voxel in found]
