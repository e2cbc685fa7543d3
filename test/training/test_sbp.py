"""The loss and the samples of the reconstruction network."""

import dataclasses

import numpy as np
import pytest
import torch
from training.test_labels import ORIGIN, label_tree, rod

from autocar_ros.config import CaseConfig
from autocar_ros.sbp.backproject import box_origin
from autocar_ros.sbp.network import Architecture, Stage
from autocar_ros.sparse.voxels import Voxels
from autocar_ros.training.labels import truth_of
from autocar_ros.training.sbp import SbpTask, dice_loss, draw_disturbances, stage_loss

SMALL = Architecture(widths=(8, 8), width_1mm=8, width_half_mm=8, image_channels=2, most=(400, 800))


@pytest.fixture(scope="module")
def task():
    torch.manual_seed(0)
    return SbpTask(SMALL, seed=700001)


@pytest.fixture(scope="module")
def sample(task):
    return task.sample(0)


def perfect_stages(truth, sure=12.0):
    """What a network would say that knows the truth."""
    origin = torch.tensor(ORIGIN, dtype=torch.float32)
    stages = []
    for size, voxels in zip((2.0, 1.0, 0.5), truth.levels, strict=True):
        logit = torch.full((len(voxels),), sure)
        centreness = torch.logit(truth.centreness.clamp(1e-4, 1 - 1e-4)) if size == 0.5 else None
        stages.append(Stage(voxels, size, origin, logit, centreness))
    return tuple(stages)


def test_dice_loss_of_known_sets():
    target = torch.tensor([1.0, 1.0, 0.0, 0.0])
    assert dice_loss(target, target, 2.0).item() == pytest.approx(0.0)
    assert dice_loss(1 - target, target, 2.0).item() == pytest.approx(1 - 1 / 5)  # the 1 keeps empty sets defined
    # a true voxel that is no candidate any more counts as missed
    assert dice_loss(target, target, 3.0).item() == pytest.approx(1 - 5 / 6)


def test_truth_has_the_least_loss():
    truth = truth_of(label_tree(rod(1.5), ORIGIN))
    best, said = stage_loss(perfect_stages(truth), truth)
    unsure, _ = stage_loss(perfect_stages(truth, sure=0.5), truth)
    assert best < unsure
    assert said["dice_0.5mm"] == pytest.approx(1.0, abs=1e-3)


def test_lost_candidates_cost(task):
    truth = truth_of(label_tree(rod(1.5), ORIGIN))
    whole = perfect_stages(truth)
    last = whole[-1]
    half = torch.arange(len(last.voxels) // 2)
    lost = last._replace(
        voxels=Voxels.from_indices(last.voxels.index[half])[0],
        occupancy=last.occupancy[half],
        centreness=last.centreness[half],
    )
    assert stage_loss((*whole[:2], lost), truth)[0] > stage_loss(whole, truth)[0] + 0.2


def test_samples_follow_from_their_number(task, sample):
    again, other = task.sample(0), task.sample(1)
    assert torch.equal(again.labels.voxels, sample.labels.voxels)
    assert all(torch.allclose(a, b) for a, b in zip(again.seen.signed, sample.seen.signed, strict=True))
    assert len(other.labels.voxels) != len(sample.labels.voxels)


def test_truth_lies_in_the_box(sample):
    assert sample.labels.voxels.min() >= 0
    assert sample.labels.voxels.max() < -2 * box_origin(200.0)[0] / 0.5


def test_training_learns_one_case(task, sample):
    torch.manual_seed(1)
    model = SbpTask(SMALL).model
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(8):
        loss, _ = task.loss(model, sample)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_every_parameter_learns(task, sample):
    loss, _ = task.loss(task.model, sample)
    task.model.zero_grad()
    loss.backward()
    without = [name for name, p in task.model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert without == []


def test_validation_gives_a_threshold(task, sample):
    found = task.validate(task.model, [sample])
    assert 0 <= found["dice"] <= 1
    assert 0 < found["threshold"] < 1
    assert 0 < found["kept"] <= 1


def test_half_of_the_cases_are_perfect():
    rng = np.random.default_rng(5)
    drawn = [draw_disturbances(rng, CaseConfig()) for _ in range(400)]
    flaws = [max(c.misalignment, c.elastic, c.damage, c.pose_angle, c.pose_shift) for c in drawn]
    assert 0.4 < np.mean(np.array(flaws) == 0) < 0.75
    assert {c.views for c in drawn} == {"clinical"}


def test_trees_of_one_side():
    rng = np.random.default_rng(6)
    drawn = {draw_disturbances(rng, CaseConfig(tree="left")).tree for _ in range(60)}
    assert drawn == {"left", "tubes"}
    assert SbpTask(SMALL, cases=CaseConfig(tree="left")).metadata()["tree"] == "left"
    assert "tree" not in SbpTask(SMALL).metadata()


def test_metadata_rebuilds_the_network(task):
    told = task.metadata()
    assert Architecture.from_json(told["architecture"]) == SMALL == Architecture(**dataclasses.asdict(SMALL))
