"""The handover of a training run: weights with all that is known of them, and a card to read."""

import json
from dataclasses import replace

import pytest
import torch

from autocar_ros.config import TrainConfig
from autocar_ros.training.card import write_model
from autocar_ros.training.loop import Best
from autocar_ros.weights import checksum_file, load_weights

BEST = Best({"dice": 0.8125, "threshold": 0.35}, 1200, 5400.0, {"w": torch.ones(3, 5), "b": torch.zeros(5)})
OF_TASK = {"kind": "toy", "architecture": '{"width": 3, "lifting": true}', "data": "Lines and points."}


@pytest.fixture
def folder(tmp_path):
    write_model(tmp_path, "toy_small", OF_TASK, replace(TrainConfig(seed=7), minutes=90.0), BEST)
    return tmp_path


def test_weights_say_where_they_come_from(folder):
    state, metadata = load_weights(folder / "toy_small.safetensors", "toy")
    assert torch.equal(state["w"], BEST.state["w"])
    assert float(metadata["threshold"]) == 0.35
    assert metadata.items() >= {"seed": "7", "steps": "1200", "hours": "1.50", **OF_TASK}.items()
    assert json.loads(metadata["validation"]) == BEST.scores
    assert TrainConfig(**json.loads(metadata["settings"])).minutes == 90.0
    assert metadata["commit"]
    assert "started_from" not in metadata


def test_card(folder):
    card = (folder / "MODEL.md").read_text()
    assert card.startswith("# toy_small\n")
    assert checksum_file(folder / "toy_small.safetensors").read_text().split()[0] in card
    for text in (
        "20 numbers",
        "Lines and points.",
        "| dice | 0.8125 |",
        "| width | 3 |",
        "| hours | 1.50 |",
        "curve.png",
        "not a medical device",
        "simulated vessel trees alone",
    ):
        assert text in card
    assert "$" not in card


def test_limits_and_origin_are_told(tmp_path):
    write_model(tmp_path, "toy", {**OF_TASK, "limits": "Right trees only."}, TrainConfig(), BEST, "older.safetensors")
    card = (tmp_path / "MODEL.md").read_text()
    assert "Right trees only." in card
    assert "| started_from | older.safetensors |" in card
    assert load_weights(tmp_path / "toy.safetensors", "toy").metadata["started_from"] == "older.safetensors"
