"""Weights files: what goes in comes out, and whatever is wrong with one is told."""

import hashlib

import pytest
import torch
from torch import nn

from autocar_ros.errors import WeightsError
from autocar_ros.weights import checksum_file, fill, load_weights, save_weights

METADATA = {"kind": "toy", "architecture": '{"width": 3}', "threshold": "0.4"}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "models" / "toy.safetensors"
    save_weights(path, nn.Linear(3, 2).state_dict(), METADATA)
    return path


def test_round_trip(path):
    state, metadata = load_weights(path, "toy")
    assert metadata == METADATA
    torch.manual_seed(0)
    assert torch.equal(state["weight"], nn.Linear(3, 2).weight)


def test_views_of_one_tensor_are_saved(tmp_path):
    whole = torch.arange(6.0)
    save_weights(tmp_path / "a.safetensors", {"a": whole[:3], "b": whole.view(2, 3).T}, METADATA)
    state = load_weights(tmp_path / "a.safetensors", "toy").state
    assert torch.equal(state["a"], whole[:3])
    assert torch.equal(state["b"], whole.view(2, 3).T)


def test_checksum_is_that_of_sha256sum(path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert checksum_file(path).read_text() == f"{digest}  toy.safetensors\n"


def test_saving_again_replaces(path):
    save_weights(path, {"x": torch.ones(1)}, METADATA)
    assert list(load_weights(path, "toy").state) == ["x"]
    assert sorted(p.name for p in path.parent.iterdir()) == ["toy.safetensors", "toy.safetensors.sha256"]


def cut(path):
    path.write_bytes(path.read_bytes()[:-4])


def replaced(path):
    torch.save({"x": torch.ones(1)}, path)
    checksum_file(path).write_text(hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda path: path.unlink(), "no weights at .*autocar train"),
        (lambda path: checksum_file(path).unlink(), "no checksum beside it: copy toy.safetensors.sha256"),
        (lambda path: checksum_file(path).write_text(""), "does not fit its checksum"),
        (cut, "damaged or incomplete"),
        (replaced, "is no weights file"),
    ],
)
def test_harm_is_told(path, harm, reason):
    harm(path)
    with pytest.raises(WeightsError, match=reason):
        load_weights(path, "toy")


def test_other_kind(path):
    with pytest.raises(WeightsError, match="of the kind 'toy', wanted are those of 'sbp'"):
        load_weights(path, "sbp")


def test_kind_is_needed(tmp_path):
    with pytest.raises(WeightsError, match="kind"):
        save_weights(tmp_path / "a.safetensors", {}, {})


def test_fill(path):
    model = nn.Linear(3, 2)
    fill(model, load_weights(path, "toy").state)
    assert torch.equal(model.weight, load_weights(path, "toy").state["weight"])


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Linear(4, 2), r"a.st are of another architecture: 1 tensors differ.*weight, \(2, 3\) for \(2, 4\)"),
        (nn.Linear(3, 2, bias=False), r"bias, \(2,\) for none"),
        (nn.Sequential(nn.Linear(3, 2)), r"4 tensors differ, the first is 0.bias, missing for \(2,\)"),
    ],
)
def test_other_architecture(path, model, reason):
    with pytest.raises(WeightsError, match=reason):
        fill(model, load_weights(path, "toy").state, "a.st")
