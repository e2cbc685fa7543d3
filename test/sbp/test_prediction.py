"""From the network's answer to centreline points, and weights files."""

import json
import logging
from dataclasses import asdict

import numpy as np
import pytest
import torch
from sbp.test_network import SMALL
from scipy.spatial import KDTree

from autocar_ros.config import CaseConfig, ReconstructionConfig
from autocar_ros.errors import ReconstructionError, WeightsError
from autocar_ros.sbp.network import KIND, SbpNetwork, Stage
from autocar_ros.sbp.observation import observe
from autocar_ros.sbp.prediction import guided, load_network, network_for, ridge_cloud, volume_of
from autocar_ros.sparse.backends import Choice, TorchBackend
from autocar_ros.synthetic.cases import case_rng, draw_case
from autocar_ros.training.labels import label_tree, truth_of
from autocar_ros.types import SparseVolume
from autocar_ros.weights import save_weights

ORIGIN = np.full(3, -104.0)


@pytest.fixture(scope="module")
def case():
    return draw_case(case_rng("train", 700003, 1), CaseConfig())


def true_volume(case) -> SparseVolume:
    """What a perfect network would say."""
    truth = truth_of(label_tree(case.truth, ORIGIN))
    fine = truth.levels[-1]
    return SparseVolume(fine.index.numpy(), ORIGIN, 0.5, np.ones(len(fine)), truth.centreness.double().numpy())


def test_points_of_a_perfect_volume_lie_on_the_centreline(case):
    seen = observe(case.pair, ReconstructionConfig())
    cloud = ridge_cloud(true_volume(case), seen.lines, seen.cameras)
    line = np.concatenate([case.truth.position[e].mean(0, keepdims=True) for e in case.truth.edges])
    away = KDTree(np.concatenate([line, case.truth.position])).query(cloud.points)[0]
    assert np.median(away) < 0.3
    assert np.quantile(away, 0.95) < 1.0
    # and the whole of it has points
    assert np.mean(KDTree(cloud.points).query(case.truth.position)[0] < 1.5) > 0.97
    assert (cloud.confidence == 1).all()
    assert np.isfinite(cloud.radius).all()


def test_empty_volume_is_an_error(case):
    seen = observe(case.pair, ReconstructionConfig())
    volume = true_volume(case)
    nothing = SparseVolume(volume.voxels, ORIGIN, 0.5, np.zeros(len(volume.voxels)), volume.centreness)
    with pytest.raises(ReconstructionError, match="no vessel in common"):
        ridge_cloud(nothing, seen.lines, seen.cameras)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_threshold_becomes_one_half(case, threshold):
    truth = truth_of(label_tree(case.truth, ORIGIN))
    fine = truth.levels[-1]
    chance = torch.linspace(0.01, 0.99, len(fine))
    stage = Stage(fine, 0.5, torch.tensor(ORIGIN, dtype=torch.float32), torch.logit(chance), torch.zeros(len(fine)))
    volume = volume_of(stage, threshold)
    assert np.sum(volume.occupancy >= 0.5) == pytest.approx(int((stage.chance >= threshold).sum()), abs=1)


def metadata(**changes) -> dict[str, str]:
    return {"kind": KIND, "architecture": json.dumps(asdict(SMALL)), "threshold": "0.4", **changes}


def test_weights_come_back(tmp_path):
    torch.manual_seed(0)
    network = SbpNetwork(SMALL)
    save_weights(tmp_path / "sbp.safetensors", network.state_dict(), metadata())
    loaded = load_network(str(tmp_path / "sbp.safetensors"))
    assert loaded.threshold == 0.4
    assert not loaded.training
    pairs = zip(loaded.state_dict().values(), network.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_wrong_weights_are_told(tmp_path):
    torch.manual_seed(0)
    state = SbpNetwork(SMALL).state_dict()
    with pytest.raises(WeightsError, match="no weights at"):
        load_network(str(tmp_path / "none.safetensors"))
    save_weights(tmp_path / "a.safetensors", state, metadata(architecture="{}"))
    with pytest.raises(WeightsError, match="another architecture"):
        load_network(str(tmp_path / "a.safetensors"))
    save_weights(tmp_path / "b.safetensors", state, metadata(architecture='{"depth": 3}'))
    with pytest.raises(WeightsError, match="how its network is made"):
        load_network(str(tmp_path / "b.safetensors"))
    save_weights(tmp_path / "c.safetensors", state, metadata(kind="segmentation"))
    with pytest.raises(WeightsError, match="segmentation"):
        load_network(str(tmp_path / "c.safetensors"))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_refused_backend_is_reported(monkeypatch, caplog, device):
    """Where there was a choice; a stand-in plays the GPU."""
    prediction = "autocar_ros.sbp.prediction"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(f"{prediction}.load_network", lambda weights, device: SbpNetwork(SMALL))
    monkeypatch.setattr(f"{prediction}.choose_backend", lambda device: Choice(TorchBackend(), "torch: it was refused"))
    with caplog.at_level(logging.WARNING, prediction):
        network_for(ReconstructionConfig(device=device))
    assert ("it was refused" in caplog.text) == (device == "cuda")


def test_predicted_centreness_leads_through_the_hull():
    def volume(voxels, size, centreness):
        return SparseVolume(np.array(voxels), np.full(3, -8.0), size, np.ones(len(voxels)), np.array(centreness))

    hull = volume([[0, 0, 0], [0, 0, 1], [5, 5, 5]], 2.0, [1.0, 0.5, 0.0])
    predicted = volume([[1, 1, 1], [0, 3, 3], [20, 21, 22], [39, 39, 39]], 0.5, [0.2, 0.7, 1.0, 1.0])
    found = guided(hull, predicted)
    assert found.centreness == pytest.approx([1.0 + 0.4 * 0.7, 0.5, 0.4])
    assert (guided(hull, volume(np.zeros((0, 3), int), 0.5, [])).centreness == hull.centreness).all()
