"""Losses and task of the dense baselines, on one bent vessel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation.bent_vessel import bent_vessel, masks_of

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import ConfigError
from autocar_ros.evaluation.baselines.dense import VARIANTS, DenseConfig, DenseVolume, mask_evidence
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.sbp.backproject import box_origin
from autocar_ros.training.dense import DenseSample, DenseTask
from autocar_ros.training.dense_losses import (
    RAYS,
    adversarial_loss,
    overlap_loss,
    projection_loss,
    shadows,
    vessel_share,
)
from autocar_ros.training.labels import label_tree

BOX = 80.0  # mm
ORIGIN = torch.from_numpy(box_origin(BOX)).float()


@pytest.fixture(scope="module")
def sample():
    vessel = bent_vessel()
    return DenseSample(mask_evidence(masks_of(vessel), ReconstructionConfig()), label_tree(vessel, box_origin(BOX)))


def volume(value=-20.0, size=40, corner=(0, 0, 0)):
    return DenseVolume(torch.full((size, size, size), value), torch.tensor(corner), ORIGIN)


def small_task(variant, width=4):
    torch.manual_seed(0)
    task = DenseTask(variant, network=replace(VARIANTS[variant], width=width))
    task.config = ReconstructionConfig(box_size=BOX)
    return task


def true_volume(sample):
    share = vessel_share(sample.labels, volume())[0]
    return DenseVolume(torch.logit(share, 1e-6), torch.zeros(3, dtype=torch.int64), ORIGIN)


@pytest.mark.parametrize("variant", VARIANTS)
def test_training_learns_one_case(variant, sample):
    task = small_task(variant)
    optimizer = torch.optim.Adam(task.model.parameters(), 1e-2)
    losses = []
    for _ in range(5):
        loss, said = task.loss(task.model, sample)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert set(said) == {"dice", *VARIANTS[variant].losses}
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in task.model.parameters())


def test_share_keeps_the_volume(sample):
    share, square = vessel_share(sample.labels, volume())
    assert share.sum().item() * 64 == pytest.approx(len(sample.labels.voxels))
    assert share.square().sum().item() == pytest.approx(square)
    middle = np.floor((bent_vessel().position[30] - ORIGIN.numpy()) / 2).astype(int)
    assert share[tuple(middle)] > 0.4


def test_truth_outside_the_box_counts_as_missed(sample):
    small = volume(size=4, corner=(30, 30, 30))
    share, square = vessel_share(sample.labels, small)
    assert share.sum() == 0
    assert square > 1
    assert overlap_loss(small.logit, share, square) > overlap_loss(small.logit, share, 0.0) + 0.5


def test_truth_has_the_least_loss(sample):
    share, square = vessel_share(sample.labels, volume())
    truth = true_volume(sample)
    shifted = truth._replace(logit=truth.logit.roll(2, 0))
    assert overlap_loss(truth.logit, share, square) < overlap_loss(shifted.logit, share, square)
    assert projection_loss(truth, sample.seen) < projection_loss(shifted, sample.seen)


def test_shadow_of_a_voxel_is_where_it_projects(sample):
    seen = volume()
    seen.logit[12, 25, 30] = 20.0
    point = ORIGIN.numpy() + (np.array([12, 25, 30]) + 0.5) * 2.0
    for shadow, pose in zip(
        shadows(seen, sample.seen), (masks_of(bent_vessel()).pose_a, masks_of(bent_vessel()).pose_b), strict=True
    ):
        column, row = camera_from_pose(pose).project(point[None])[0][0]
        rows, columns = torch.meshgrid(torch.arange(RAYS), torch.arange(RAYS), indexing="ij")
        weight = shadow / shadow.sum()
        found = np.array([(weight * columns).sum(), (weight * rows).sum()])
        assert np.allclose(found, (np.array([column, row]) + 0.5) * RAYS / 512 - 0.5, atol=0.3)
        assert shadow.max() > 0.5


def test_shadow_follows_the_product_of_chances(sample):
    # rays pass through the whole box of 80 mm: 40 voxels or somewhat more
    chance = 0.05
    seen = volume(float(torch.logit(torch.tensor(chance))))
    shadow = shadows(seen, sample.seen)[:, RAYS // 2, RAYS // 2]
    assert torch.allclose(shadow, torch.tensor(1 - (1 - chance) ** 41.0), atol=0.02)


def test_empty_volume_has_no_shadow(sample):
    assert shadows(volume(), sample.seen).max() < 1e-3


def test_critic_and_network_want_the_opposite():
    critic = torch.nn.Sequential(torch.nn.Conv3d(1, 1, 1))
    chance = torch.full((2, 2, 2), 0.3, requires_grad=True)
    adversarial_loss(critic, chance, torch.ones(2, 2, 2)).backward()
    for_network = chance.grad.clone()
    direct = torch.full((2, 2, 2), 0.3, requires_grad=True)
    torch.nn.functional.softplus(critic(direct[None, None])).mean().backward()
    assert torch.allclose(for_network, -0.05 * direct.grad)


def test_validation_finds_the_truth(sample):
    task = small_task("L2")
    model = torch.nn.Module()
    model.forward = lambda *_: true_volume(sample)
    found = task.validate(model, [sample])
    assert found["dice"] > 0.7  # what 2 mm can hold of a vessel of 3 mm
    assert 0 < found["threshold"] < 1


def test_cases_are_those_of_the_other_networks():
    task = DenseTask("L2", seed=700001, network=DenseConfig(width=4))
    one, again = task.sample(0), task.sample(0)
    assert torch.equal(one.labels.voxels, again.labels.voxels)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one.seen.signed, again.seen.signed, strict=True))


def test_metadata_rebuilds_the_network():
    told = DenseTask("L5").metadata()
    assert DenseConfig.from_json(told["architecture"]) == VARIANTS["L5"]
    assert (told["kind"], told["variant"]) == ("dense", "L5")


def test_unknown_variant():
    with pytest.raises(ConfigError, match="no dense variant L9: there are L1"):
        DenseTask("L9")
