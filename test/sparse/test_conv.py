"""Sparse convolutions against dense ones, values and gradients, in double precision."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sparse.clouds import SIDE, cloud, clouds, from_dense, indices, to_dense
from torch.nn import functional

from autocar_ros.sparse import conv
from autocar_ros.sparse.conv import down_conv, submanifold_conv, up_conv
from autocar_ros.sparse.voxels import Voxels

channels = st.integers(1, 5)
KINDS = ("submanifold", "down", "up")


def sparse(kind, x, weight, voxels):
    if kind == "submanifold":
        return submanifold_conv(x, weight, voxels)
    return (down_conv if kind == "down" else up_conv)(x, weight, voxels.down)


def dense(kind, x, weight, voxels):
    """The same by torch on a dense grid, read off at the voxels."""
    if kind == "submanifold":
        kernel = weight.unflatten(0, (3, 3, 3)).permute(4, 3, 0, 1, 2)
        return from_dense(functional.conv3d(to_dense(x, voxels), kernel, padding=1), voxels)
    kernel, coarse = weight.unflatten(0, (2, 2, 2)), voxels.down.coarse
    if kind == "down":
        return from_dense(functional.conv3d(to_dense(x, voxels), kernel.permute(4, 3, 0, 1, 2), stride=2), coarse)
    grid = to_dense(x, coarse, side=SIDE // 2)
    return from_dense(functional.conv_transpose3d(grid, kernel.permute(3, 4, 0, 1, 2), stride=2), voxels)


def case(kind, voxels, of_input, of_output, dtype=torch.float64, seed=0):
    """Features, weights and gradient of the result that fit a kind of convolution."""
    generator = torch.Generator().manual_seed(seed)
    fine, coarse = len(voxels), len(voxels.down.coarse)
    rows, results = {"submanifold": (fine, fine), "down": (fine, coarse), "up": (coarse, fine)}[kind]
    shapes = ((rows, of_input), (27 if kind == "submanifold" else 8, of_input, of_output), (results, of_output))
    x, weight, gradient = (torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes)
    return x.requires_grad_(), weight.requires_grad_(), gradient


def with_gradients(function, kind, voxels, x, weight, gradient):
    y = function(kind, x, weight, voxels)
    return y, *torch.autograd.grad(y, (x, weight), gradient)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20)
@given(voxels=clouds(least=1), of_input=channels, of_output=channels, seed=st.integers(0, 1000))
def test_same_as_dense(kind, voxels, of_input, of_output, seed):
    args = (kind, voxels, *case(kind, voxels, of_input, of_output, seed=seed))
    for found, expected in zip(with_gradients(sparse, *args), with_gradients(dense, *args), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_the_slopes(kind):
    voxels = cloud(1, 14, 2, side=3)
    x, weight, _ = case(kind, voxels, 2, 3)
    assert torch.autograd.gradcheck(lambda x, weight: sparse(kind, x, weight, voxels), (x, weight))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", ["x", "weight"])
def test_gradient_of_one_alone(kind, wanted):
    voxels = cloud(2, 100)
    x, weight, gradient = case(kind, voxels, 3, 2)
    both = with_gradients(sparse, kind, voxels, x, weight, gradient)[1 if wanted == "x" else 2]
    (weight if wanted == "x" else x).requires_grad_(False)
    (alone,) = torch.autograd.grad(sparse(kind, x, weight, voxels), x if wanted == "x" else weight, gradient)
    torch.testing.assert_close(alone, both)


@pytest.mark.parametrize("kind", KINDS)
def test_no_voxels(kind):
    voxels = cloud(0, 0)
    y, of_x, of_weight = with_gradients(sparse, kind, voxels, *case(kind, voxels, 3, 4))
    assert y.shape == (0, 4)
    assert of_x.shape == (0, 3)
    assert of_weight.shape[1:] == (3, 4)
    assert not of_weight.any()


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_do_not_show(kind, monkeypatch):
    voxels = cloud(3, 700)
    args = (kind, voxels, *case(kind, voxels, 4, 5))
    whole = with_gradients(sparse, *args)
    monkeypatch.setattr(conv, "BUFFER", 1)
    monkeypatch.setattr(conv, "LEAST_ROWS", 48)
    for found, expected in zip(with_gradients(sparse, *args), whole, strict=True):
        torch.testing.assert_close(found, expected)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_order_of_the_rows_does_not_matter(seed):
    index, batch = indices(seed, 200, 2)
    x, shuffle = torch.randn(200, 3, dtype=torch.float64), torch.randperm(200)
    weight = torch.randn(27, 3, 2, dtype=torch.float64)
    results = []
    for rows in (torch.arange(200), shuffle):
        voxels, order = Voxels.from_indices(index[rows], batch[rows])
        results.append(submanifold_conv(x[rows][order], weight, voxels))
    assert torch.equal(*results)


def test_batch_items_do_not_touch():
    """Both items alone and together, though their voxels are the same or next to each other."""
    (first, _), (second, _) = indices(4, 300), indices(5, 250)
    together, _ = Voxels.from_indices(
        torch.cat([first, second]), torch.arange(2).repeat_interleave(torch.tensor([300, 250]))
    )
    x, weight, _ = case("submanifold", together, 3, 3)
    y = submanifold_conv(x, weight, together)
    for index, rows in ((first, slice(0, 300)), (second, slice(300, 550))):
        alone, _ = Voxels.from_indices(index)
        torch.testing.assert_close(submanifold_conv(x[rows], weight, alone), y[rows])


@pytest.mark.parametrize("kind", KINDS)
def test_number_of_threads_does_not_matter(kind):
    voxels = cloud(6, 4000, side=20)
    args = (kind, voxels, *case(kind, voxels, 16, 24, torch.float32))
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(with_gradients(sparse, *args))
    finally:
        torch.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5 * float(one.detach().abs().max()))


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_is_close(kind):
    voxels = cloud(7, 1500, side=20)
    x, weight, gradient = case(kind, voxels, 16, 16, torch.float32)
    exact = with_gradients(sparse, kind, voxels, x, weight, gradient)
    short = (t.detach().bfloat16().requires_grad_() for t in (x, weight))
    results = [with_gradients(sparse, kind, voxels, *short, gradient.bfloat16())]
    with torch.autocast("cpu", torch.bfloat16):
        results.append(with_gradients(sparse, kind, voxels, x, weight, gradient.bfloat16()))
    assert {t.dtype for t in results[0]} == {torch.bfloat16}
    assert [t.dtype for t in results[1]] == [torch.bfloat16, torch.float32, torch.float32]
    for result in results:
        for found, expected in zip(result, exact, strict=True):
            torch.testing.assert_close(
                found.float(), expected, rtol=0, atol=0.02 * float(expected.detach().abs().max())
            )


def test_same_as_spconv(monkeypatch):
    """An independent library, at a size and sparsity that a dense grid does not reach."""
    spconv = pytest.importorskip("spconv.pytorch", reason="spconv is not installed: pip install spconv to compare")

    # its CPU wheel asks for a CUDA stream all the same
    monkeypatch.setattr(spconv.ops, "get_current_stream", lambda: 0)
    voxels = cloud(8, 3000, 2, side=24)
    x, weight, gradient = case("submanifold", voxels, 16, 8, torch.float32)
    layer = spconv.SubMConv3d(16, 8, 3, bias=False, algo=spconv.ConvAlgo.Native)
    layer.weight = torch.nn.Parameter(weight.detach().unflatten(0, (3, 3, 3)).permute(4, 0, 1, 2, 3).contiguous())
    place = torch.cat([voxels.batch[:, None], voxels.index], 1).int().contiguous()
    theirs = layer(spconv.SparseConvTensor(x, place, [24, 24, 24], 2)).features
    of_x, of_weight = torch.autograd.grad(theirs, (x, layer.weight), gradient)
    ours = with_gradients(sparse, "submanifold", voxels, x, weight, gradient)
    for found, expected in zip(ours, (theirs, of_x, of_weight.permute(1, 2, 3, 4, 0).flatten(0, 2)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.detach().abs().max()))
