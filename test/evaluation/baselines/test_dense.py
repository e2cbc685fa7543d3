"""Dense networks on one bent vessel, and their interpolation to 0.5 mm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation.bent_vessel import bent_vessel, masks_of
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import ConfigError, ReconstructionError, WeightsError
from autocar_ros.evaluation.baselines.dense import (
    VARIANTS,
    DenseConfig,
    DenseNetwork,
    DenseVolume,
    load_dense,
    mask_evidence,
    predict_dense,
    refined,
    sample_volume,
)
from autocar_ros.weights import save_weights

CONFIG = ReconstructionConfig(box_size=80.0)
ORIGIN = torch.full((3,), -40.0)


@pytest.fixture(scope="module")
def pair():
    return masks_of(bent_vessel())


@pytest.fixture
def network():
    torch.manual_seed(0)
    return DenseNetwork(DenseConfig(width=4)).eval()


def test_variants_are_the_papers():
    assert [name for name, c in VARIANTS.items() if not c.back_projection] == ["L1"]
    assert [name for name, c in VARIANTS.items() if "adversarial" in c.losses] == ["L3", "L5"]
    assert [name for name, c in VARIANTS.items() if "projection" in c.losses] == ["L3", "L4", "L6"]
    assert [name for name, c in VARIANTS.items() if "reconstruction" not in c.losses] == ["L4"]


@pytest.mark.parametrize("losses", [(), ("adversarial",), ("reconstruction", "perceptual")])
def test_losses_that_make_no_sense(losses):
    with pytest.raises(ConfigError, match="losses must be some of"):
        DenseConfig(losses=losses)


@pytest.mark.parametrize("config", VARIANTS.values())
def test_configuration_travels_as_json(config):
    assert DenseConfig.from_json(config.to_json()) == config


def test_box_holds_the_vessel(network, pair):
    volume = network(mask_evidence(pair, CONFIG), CONFIG)
    assert all(n % 4 == 0 for n in volume.logit.shape)
    voxel = np.floor((bent_vessel().position - volume.origin.numpy()) / 2.0) - volume.corner.numpy()
    assert (voxel >= 0).all()
    assert (voxel < np.array(volume.logit.shape)).all()
    assert volume.logit.numel() < 40**3 / 4  # and little else


def test_order_of_the_views_does_not_matter(network, pair):
    swapped = replace(pair, mask_a=pair.mask_b, mask_b=pair.mask_a, pose_a=pair.pose_b, pose_b=pair.pose_a)
    with torch.no_grad():
        one, other = network(mask_evidence(pair, CONFIG), CONFIG), network(mask_evidence(swapped, CONFIG), CONFIG)
    assert torch.equal(one.corner, other.corner)
    assert torch.allclose(one.logit, other.logit, atol=1e-4)


def test_without_back_projection_poses_go_unused(pair):
    torch.manual_seed(0)
    network = DenseNetwork(DenseConfig(back_projection=False, width=4)).eval()
    turned = replace(pair, pose_b=replace(pair.pose_b, primary_angle=0.6))
    with torch.no_grad():
        one, other = network(mask_evidence(pair, CONFIG), CONFIG), network(mask_evidence(turned, CONFIG), CONFIG)
    assert one.logit.shape == (40, 40, 40)
    assert torch.allclose(one.logit, other.logit, atol=1e-4)
    assert one.corner.tolist() == [0, 0, 0]


def test_masks_without_a_common_voxel(network, pair):
    with pytest.raises(ReconstructionError, match="no vessel in common"):
        network(mask_evidence(replace(pair, mask_b=np.zeros_like(pair.mask_b)), CONFIG), CONFIG)


@given(st.integers(0, 10**6))
def test_sampling_is_linear_interpolation(seed):
    rng = np.random.default_rng(seed)
    values, places = rng.normal(size=(4, 5, 6)), rng.uniform(-1, 7, (20, 3))
    found = sample_volume(torch.from_numpy(values), torch.from_numpy(places), "border")
    assert np.allclose(found, map_coordinates(values, (places - 0.5).T, order=1, mode="nearest"), atol=1e-9)


def test_interpolated_voxels_lie_where_the_coarse_ones_are():
    logit = torch.full((6, 6, 6), -20.0)
    logit[2, 3, 4] = 20.0
    corner = torch.tensor([10, 0, 4])
    voxels, chance = refined(DenseVolume(logit, corner, ORIGIN))
    mean = (voxels.double() * chance[:, None]).sum(0) / chance.sum()
    centre = (torch.tensor([12.5, 3.5, 8.5]) * 4 - 0.5).double()  # of the coarse voxel, in fine ones
    assert torch.allclose(mean, centre, atol=1e-3)
    assert float(chance.max()) == pytest.approx((1 - 0.125) ** 3, abs=1e-3)
    assert len(voxels.unique(dim=0)) == len(voxels)


def test_a_full_volume_is_cut_to_its_likeliest_part():
    logit = torch.linspace(0, 1, 40**3).reshape(40, 40, 40)
    voxels, _ = refined(DenseVolume(logit, torch.zeros(3, dtype=torch.int64), ORIGIN))
    assert len(voxels) <= 64 * 31_000


@pytest.mark.parametrize("threshold", [0.2, 0.5])
def test_threshold_becomes_one_half(network, pair, threshold):
    network.threshold = threshold
    with torch.no_grad():
        network.body.out.bias.fill_(-1.0)
        chance = refined(network(mask_evidence(pair, CONFIG), CONFIG))[1]
    volume = predict_dense(network, pair, CONFIG)
    assert int((volume.occupancy >= 0.5).sum()) == pytest.approx(int((chance >= threshold).sum()), abs=2)
    assert volume.voxel_size == 0.5
    assert np.abs(volume.points).max() < 40


def test_weights_come_back(tmp_path, network):
    path = tmp_path / "dense.safetensors"
    metadata = {"kind": "dense", "architecture": network.config.to_json(), "threshold": "0.3"}
    save_weights(path, network.state_dict(), metadata)
    loaded = load_dense(path)
    assert loaded.threshold == 0.3
    assert all(
        torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), network.state_dict().values(), strict=True)
    )
    save_weights(path, network.state_dict(), {**metadata, "architecture": "{}"})
    with pytest.raises(WeightsError, match="how its network is made"):
        load_dense(path)
