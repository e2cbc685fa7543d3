"""Methods by their names, and weights that are missing."""

from __future__ import annotations

import pytest
from evaluation.bent_vessel import bent_vessel, masks_of

from autocar_ros.errors import ConfigError, WeightsError
from autocar_ros.evaluation.baselines.dense import DenseConfig, DenseNetwork
from autocar_ros.evaluation.methods import METHODS, load_method, named_methods, usable_methods
from autocar_ros.evaluation.protocols import score_static
from autocar_ros.weights import save_weights

TINY = DenseConfig(width=2)


def save_dense(folder, name="dense", threshold=0.5, config=TINY):
    metadata = {"kind": "dense", "architecture": config.to_json(), "threshold": str(threshold)}
    save_weights(folder / f"{name}.safetensors", DenseNetwork(config).state_dict(), metadata)


def test_methods_without_weights_always_work(tmp_path):
    usable, missing = usable_methods(tmp_path)
    assert usable == ["lifting", "visual_hull"]
    assert set(usable) | set(missing) == set(METHODS)


def test_weights_make_a_method_usable(tmp_path):
    save_dense(tmp_path)
    assert "dense" in usable_methods(tmp_path)[0]
    assert named_methods(" dense, lifting,dense ", tmp_path) == ["dense", "lifting"]


def test_missing_weights_tell_how_to_train_them(tmp_path):
    with pytest.raises(WeightsError, match=r"sbp_uniform has no weights in .*autocar train sbp --variant uniform"):
        named_methods("lifting,sbp_uniform", tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"), [("magic", "no method magic: there are sbp"), (" , ", "no method is named")]
)
def test_unknown_names(text, reason):
    with pytest.raises(ConfigError, match=reason):
        named_methods(text)


def test_weights_of_another_network(tmp_path):
    save_dense(tmp_path, "sbp")
    with pytest.raises(WeightsError, match="of the kind 'dense'"):
        load_method("sbp", tmp_path)


@pytest.mark.parametrize("threshold", [0.01, 0.99])
def test_an_untrained_network_is_scored(tmp_path, threshold):
    save_dense(tmp_path, threshold=threshold)
    vessel = bent_vessel()
    score = score_static(masks_of(vessel), vessel, load_method("dense", tmp_path))
    assert 0 <= score["dice"] < 0.5
    assert score["failed"] == (threshold > 0.5)
