"""torchsparse is taken only where it is there and agrees; a stand-in plays its part, for it needs a GPU."""

import importlib
import re
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from sparse.clouds import cloud

from autocar_ros.sparse import backends
from autocar_ros.sparse.backends import TorchBackend, TorchSparseBackend, choose_backend, disagreement
from autocar_ros.sparse.conv import submanifold_conv
from autocar_ros.sparse.voxels import Voxels


class SparseTensor:
    """As torchsparse 2.1 has it: features, and coordinates (N, 4) with the batch item first."""

    def __init__(self, feats, coords):
        self.feats, self.coords, self.maps = feats, coords, []


def conv3d(tensor, weight, kernel_size, training):
    """A 3 x 3 x 3 convolution whose first axis is the fastest."""
    assert kernel_size == 3
    assert training
    assert tensor.coords.dtype == torch.int32
    tensor.maps.append("built" if not tensor.maps else "reused")
    voxels, order = Voxels.from_indices(tensor.coords[:, 1:], tensor.coords[:, 0])
    assert torch.equal(order, torch.arange(len(voxels)))
    ours = weight.unflatten(0, (3, 3, 3)).transpose(0, 2).flatten(0, 2)
    return SimpleNamespace(feats=submanifold_conv(tensor.feats, ours, voxels))


@pytest.fixture
def install(monkeypatch):
    """Pretend that there is a GPU (its tensors stay on the CPU), and a torchsparse with this convolution."""

    def pretend(convolution):
        package, functional = ModuleType("torchsparse"), ModuleType("torchsparse.nn.functional")
        package.SparseTensor, functional.conv3d = SparseTensor, convolution
        for module in (package, ModuleType("torchsparse.nn"), functional):
            monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        compare = disagreement
        monkeypatch.setattr(backends, "disagreement", lambda backend, device: compare(backend, "cpu"))

    return pretend


def test_torch_agrees_with_itself():
    assert disagreement(TorchBackend(), "cpu") is None


def test_torch_without_cuda(install):
    install(conv3d)
    choice = choose_backend("cpu")
    assert choice.backend.name == "torch"
    assert "needs CUDA" in choice.reason


def test_torchsparse_is_not_imported_without_a_gpu(monkeypatch):
    """Its import raises AssertionError there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(importlib, "import_module", lambda name: pytest.fail(f"imported {name}"))
    assert choose_backend("cuda").backend.name == "torch"


@pytest.mark.parametrize("error", [ImportError("no module"), AssertionError("no GPU"), OSError("libcudart")])
def test_torch_where_torchsparse_cannot_be_imported(monkeypatch, error):
    def fail(name):
        raise error

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(importlib, "import_module", fail)
    choice = choose_backend("cuda")
    assert choice.backend.name == "torch"
    assert "cannot be imported" in choice.reason
    assert str(error) in choice.reason


def test_torchsparse_is_taken_when_it_agrees(install):
    install(conv3d)
    choice = choose_backend("cuda")
    assert choice.backend.name == "torchsparse"
    assert "agrees" in choice.reason


def other_order(tensor, weight, **options):
    return conv3d(tensor, weight.flip(0), **options)


def no_weights(tensor, weight, **options):
    return conv3d(tensor, weight.detach() + 0 * weight, **options)


def cut_features(tensor, weight, **options):
    result = conv3d(tensor, weight, **options)
    half = tensor.feats.detach() + 0.5 * (tensor.feats - tensor.feats.detach())
    return SimpleNamespace(feats=conv3d(SparseTensor(half, tensor.coords), weight, **options).feats + 0 * result.feats)


def not_a_number(tensor, weight, **options):
    return SimpleNamespace(feats=conv3d(tensor, weight, **options).feats * float("nan"))


def too_short(tensor, weight, **options):
    return SimpleNamespace(feats=conv3d(tensor, weight, **options).feats[1:])


def broken(tensor, weight, **options):
    raise RuntimeError("illegal memory access")


@pytest.mark.parametrize(
    ("convolution", "message"),
    [
        (other_order, "values differ"),
        (no_weights, "gradients of the weights differ"),
        (not_a_number, "values differ"),
        (too_short, "failed|shape"),
        (cut_features, "gradients of the features differ"),
        (broken, "illegal memory access"),
    ],
)
def test_torchsparse_is_refused_when_it_does_not_agree(install, convolution, message):
    install(convolution)
    choice = choose_backend("cuda")
    assert choice.backend.name == "torch"
    assert "refused" in choice.reason

    assert re.search(message, choice.reason), choice.reason


def test_kernel_maps_live_as_long_as_their_voxels(install):
    install(conv3d)
    backend = TorchSparseBackend()
    voxels, x, weight = cloud(0, 50), torch.randn(50, 4), torch.randn(27, 4, 4)
    for features in (x, 2 * x):
        torch.testing.assert_close(
            backend.submanifold(features, weight, voxels), submanifold_conv(features, weight, voxels)
        )
    (tensor,) = backend._known.values()
    assert tensor.maps == ["built", "reused"]
    del voxels, tensor
    assert not backend._known
