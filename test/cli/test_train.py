"""`autocar train` with a toy in the place of the networks."""

from __future__ import annotations

import pytest
import torch
from training.toy import SLOPE, ToyTask

from autocar_ros.cli import train as command
from autocar_ros.cli.train import Network, make_task, read_settings
from autocar_ros.config import CaseConfig
from autocar_ros.errors import ConfigError
from autocar_ros.weights import load_weights

QUICK = ("--steps", 60, "--workers", 0)


@pytest.fixture
def tasks(monkeypatch):
    """Tasks that were made, each a toy."""
    made = []

    def make(network, variant, seed, cases, *_):
        made.append(ToyTask())
        return f"{network}_toy", made[-1]

    monkeypatch.setattr(command, "make_task", make)
    return made


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text("learning_rate: 0.1\nwarm_up: 2\naveraging: 0.5\nsteps: 5\nreuse: 1\n")
    return path


def test_writes_weights_card_and_curve(autocar, tasks, settings, tmp_path):
    out = tmp_path / "out"
    result = autocar("train", "sbp", "--out", out, *QUICK, "--config", settings)
    assert result.exit_code == 0, result.stderr
    assert {"sbp_toy.safetensors", "sbp_toy.safetensors.sha256", "MODEL.md", "curve.png", "log.jsonl"} <= {
        p.name for p in out.iterdir()
    }
    state, metadata = load_weights(out / "sbp_toy.safetensors", "toy")
    assert torch.allclose(state["weight"][0], SLOPE, atol=0.3)
    assert metadata["steps"] == "60"
    assert "after 60 steps" in result.stdout
    assert "learning_rate" in result.stdout  # the settings are shown


def test_goes_on_or_starts_anew(autocar, tasks, settings, tmp_path):
    for flags in ((), (), ("--restart",)):
        assert autocar("train", "sbp", "--out", tmp_path, *QUICK, "--config", settings, *flags).exit_code == 0
    assert [len(task.used) > 0 for task in tasks] == [True, False, True]


def test_starts_from_weights(autocar, tasks, settings, tmp_path):
    autocar("train", "sbp", "--out", tmp_path / "a", *QUICK, "--config", settings)
    first = tmp_path / "a" / "sbp_toy.safetensors"
    result = autocar("train", "sbp", "--out", tmp_path / "b", "--steps", 1, "--workers", 0, "--from", first)
    assert result.exit_code == 0, result.stderr
    state, metadata = load_weights(tmp_path / "b" / "sbp_toy.safetensors", "toy")
    assert torch.allclose(state["weight"][0], SLOPE, atol=0.3)
    assert metadata["started_from"] == "sbp_toy.safetensors"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "set minutes, steps or both"),
        ((*QUICK, "--from", "nowhere.safetensors"), "no weights at nowhere.safetensors"),
        ((*QUICK, "--config", "nowhere.yaml"), "nowhere.yaml"),
        ((*QUICK, "--device", "tpu"), "device must be one of cpu, cuda"),
    ],
)
def test_errors_in_one_line(autocar, tasks, tmp_path, arguments, reason):
    result = autocar("train", "sbp", "--out", tmp_path, *arguments)
    assert result.exit_code == 1
    assert reason in result.stderr


def test_settings_of_the_command_line_go_before(settings):
    found = read_settings(settings, {"steps": 7})
    assert (found.steps, found.learning_rate, found.batch) == (7, 0.1, read_settings(None, {}).batch)


@pytest.mark.parametrize(
    ("text", "reason"), [("speed: 3", "unknown setting speed: there are minutes"), ("- 3", "name: value")]
)
def test_settings_that_make_no_sense(tmp_path, text, reason):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(ConfigError, match=reason):
        read_settings(tmp_path / "s.yaml", {})


@pytest.mark.parametrize("network", Network)
def test_unknown_variant(network):
    with pytest.raises(ConfigError, match="has no variant L9: there are"):
        make_task(network, "L9", 0, CaseConfig())
