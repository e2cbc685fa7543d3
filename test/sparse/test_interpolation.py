"""Interpolation against torch's on a dense grid."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sparse.clouds import SIDE, cloud, clouds, to_dense

from autocar_ros.sparse.interpolation import interpolate


def dense(values, voxels, points, batch):
    """Trilinear interpolation by grid_sample, 0 outside; its axes run z, y, x from -1 to 1."""
    grid = to_dense(values, voxels)
    place = (2 * points / SIDE - 1).flip(1)
    items = [
        torch.nn.functional.grid_sample(grid[b : b + 1], place[None, None, None], align_corners=False)[0, :, 0, 0].T
        for b in range(3)
    ]
    return torch.stack(items)[batch, torch.arange(len(points))]


@settings(max_examples=20)
@given(voxels=clouds(least=1), seed=st.integers(0, 1000))
def test_same_as_dense(voxels, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(len(voxels), 4, generator=generator, dtype=torch.float64, requires_grad=True)
    points = torch.rand(100, 3, generator=generator, dtype=torch.float64) * (SIDE + 4) - 2  # some outside
    batch = torch.randint(0, 3, (100,), generator=generator)
    gradient = torch.randn(100, 4, generator=generator, dtype=torch.float64)
    results = []
    for function in (interpolate, dense):
        y = function(values, voxels, points, batch=batch)
        results.append((y, *torch.autograd.grad(y, values, gradient)))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_at_a_centre_it_is_the_value():
    voxels = cloud(0, 200, 2)
    values = torch.randn(200, 3)
    torch.testing.assert_close(interpolate(values, voxels, voxels.index + 0.5, voxels.batch), values)


def test_without_a_batch_the_points_are_of_item_0():
    voxels = cloud(1, 300, 2)
    values, points = torch.randn(300, 2), torch.rand(50, 3) * SIDE
    zero = torch.zeros(50, dtype=torch.int64)
    assert torch.equal(interpolate(values, voxels, points), interpolate(values, voxels, points, zero))


def test_normalized_is_a_mean_of_the_voxels_there():
    voxels = cloud(2, 300)
    points = torch.rand(400, 3, dtype=torch.float64) * SIDE
    constant = interpolate(torch.full((300, 1), 7.0, dtype=torch.float64), voxels, points, normalize=True)
    near = interpolate(torch.ones(300, 1, dtype=torch.float64), voxels, points) > 0
    assert near.any()
    assert not near.all()
    torch.testing.assert_close(constant, torch.where(near, 7.0, 0.0).double())


def test_gradients_are_the_slopes():
    voxels = cloud(3, 30, side=4)
    values = torch.randn(30, 2, dtype=torch.float64, requires_grad=True)
    points = (torch.rand(10, 3, dtype=torch.float64) * 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda v, p: interpolate(v, voxels, p), (values, points))


@pytest.mark.parametrize("points", [torch.zeros(0, 3), torch.full((2, 3), float("nan")), torch.full((2, 3), -1e30)])
def test_nothing_near_is_zero(points):
    for count in (5, 0):
        assert torch.equal(interpolate(torch.ones(count, 2), cloud(4, count), points), torch.zeros(len(points), 2))
