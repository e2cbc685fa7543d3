"""Layers: what they add to the convolutions, and the norm."""

import pytest
import torch
from sparse.clouds import cloud

from autocar_ros.sparse.conv import down_conv, submanifold_conv, up_conv
from autocar_ros.sparse.layers import EPSILON, DownConv, SubmanifoldConv, UpConv, VoxelNorm, use_backend
from autocar_ros.sparse.voxels import Voxels


@pytest.fixture
def voxels():
    return cloud(0, 600, 2)


def test_convolutions_add_their_bias(voxels):
    down = voxels.down
    fine, coarse = torch.randn(600, 3), torch.randn(len(down.coarse), 3)
    for layer, function, x, where in (
        (SubmanifoldConv(3, 5), submanifold_conv, fine, voxels),
        (DownConv(3, 5), down_conv, fine, down),
        (UpConv(3, 5), up_conv, coarse, down),
    ):
        torch.nn.init.normal_(layer.bias)
        torch.testing.assert_close(layer(x, where), function(x, layer.weight, where) + layer.bias)


def test_weights_are_of_one_layout():
    """Offsets, channels in, channels out: checkpoints depend on it."""
    shapes = {name: tuple(p.shape) for name, p in SubmanifoldConv(3, 5).named_parameters()}
    assert shapes == {"weight": (27, 3, 5), "bias": (5,)}
    assert [tuple(layer(3, 5, bias=False).weight.shape) for layer in (DownConv, UpConv)] == [(8, 3, 5)] * 2
    assert SubmanifoldConv(3, 5, bias=False).bias is None


def test_start_keeps_the_size_of_the_features():
    """With relu in between, as He et al. 2015; half of the neighbours are there."""
    voxels = cloud(1, 4000, side=20)
    x = torch.randn(4000, 32)
    for _ in range(4):
        x = torch.relu(SubmanifoldConv(32, 32)(x, voxels))
    assert 0.5 < x.square().mean() < 2


def test_norm_of_every_item_alone(voxels):
    norm = VoxelNorm(4)
    x = torch.randn(600, 4) * 3 + 5
    y = norm(x, voxels)
    for item in (0, 1):
        rows = voxels.batch == item
        torch.testing.assert_close(y[rows].mean(0), torch.zeros(4), atol=1e-5, rtol=0)
        torch.testing.assert_close(y[rows].var(0, unbiased=False), torch.ones(4), atol=1e-3, rtol=0)
        alone, _ = Voxels.from_indices(voxels.index[rows])
        assert torch.equal(norm(x[rows], alone), y[rows])


def test_norm_is_the_same_in_training_and_use(voxels):
    norm, x = VoxelNorm(4), torch.randn(600, 4)
    assert torch.equal(norm.train()(x, voxels), norm.eval()(x, voxels))


def test_norm_of_one_voxel_passes_it():
    """Of an item of one voxel beside a larger one too."""
    norm = VoxelNorm(2)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    index = torch.tensor([[0, 0, 0], [1, 0, 0], [5, 5, 5]])
    voxels, _ = Voxels.from_indices(index, torch.tensor([0, 0, 1]))
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    torch.testing.assert_close(norm(x, voxels)[2], x[2] * norm.weight + norm.bias)
    torch.testing.assert_close(norm(x[:1], Voxels.from_indices(index[:1])[0]), x[:1] * norm.weight + norm.bias)
    torch.testing.assert_close(norm(x, voxels)[0], norm.bias - norm.weight / (1 + EPSILON) ** 0.5)
    assert norm(x[:0], Voxels.from_indices(index[:0])[0]).shape == (0, 2)


def test_norm_of_constant_features_is_finite(voxels):
    x = torch.full((600, 3), 2.0, requires_grad=True)
    y = VoxelNorm(3)(x, voxels)
    y.sum().backward()
    assert not y.any()
    assert torch.isfinite(x.grad).all()


def test_layers_under_autocast(voxels):
    layers = torch.nn.ModuleList([SubmanifoldConv(3, 8), VoxelNorm(8), SubmanifoldConv(8, 4)])

    def run():
        x = torch.ones(600, 3)
        for layer in layers:
            x = layer(x, voxels)
        return x

    exact = run()
    with torch.autocast("cpu", torch.bfloat16):
        short = run()
    short.float().sum().backward()
    assert all(torch.isfinite(p.grad).all() and p.grad.dtype == torch.float32 for p in layers.parameters())
    assert (short.float() - exact).abs().max() < 0.05 * exact.abs().max()


def test_use_backend_reaches_every_convolution(voxels):
    class Zeros:
        name = "zeros"

        def submanifold(self, x, weight, voxels):
            return x.new_zeros(len(voxels), weight.shape[2])

    network = torch.nn.ModuleList(
        [SubmanifoldConv(3, 3, bias=False), torch.nn.ModuleList([SubmanifoldConv(3, 3, bias=False)])]
    )
    saved = network.state_dict()
    use_backend(network, Zeros())
    assert not any(layer(torch.ones(600, 3), voxels).any() for layer in (network[0], network[1][0]))
    assert network.state_dict().keys() == saved.keys()
