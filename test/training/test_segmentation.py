"""Task of the segmentation network."""

import cv2
import numpy as np
import pytest
import torch

from autocar_ros.errors import ConfigError
from autocar_ros.imaging.vessel_network import Architecture
from autocar_ros.training.segmentation import Sample, SegmentationTask, real_frames
from autocar_ros.weights import save_weights

SMALL = Architecture((8, 12), stem=4)


@pytest.fixture(scope="module")
def task():
    torch.manual_seed(0)
    return SegmentationTask(SMALL, seed=700001)


@pytest.fixture(scope="module")
def sample(task):
    return task.sample(0)


class Oracle(torch.nn.Module):
    """Says what it was given."""

    def __init__(self, truth, sure=8.0):
        super().__init__()
        self.logits = (2 * (truth.float() / 255) - 1) * sure

    def forward(self, _):
        return self.logits


def test_a_sample_is_what_the_network_takes(task, sample):
    pictures = len(sample.picture)
    assert sample.picture.shape == (pictures, 1, 512, 512)
    assert sample.truth.shape == sample.weight.shape == (pictures, 2, 256, 256)
    assert task.model(sample.picture.float()).shape == sample.truth.shape
    again = task.sample(0)
    assert all(torch.equal(a, b) for a, b in zip(sample, again, strict=True))
    assert not torch.equal(sample.picture, task.sample(1).picture)


def test_truth_has_the_least_loss(task, sample):
    best, said = task.loss(Oracle(sample.truth), sample)
    unsure, _ = task.loss(Oracle(sample.truth, sure=0.5), sample)
    wrong, _ = task.loss(Oracle(255 - sample.truth), sample)
    assert best < unsure < wrong
    assert said["dice"] > 0.95


def test_what_nobody_knows_costs_nothing(task, sample):
    blind = Sample(sample.picture, sample.truth, sample.weight.clone())
    blind.weight[..., :100, :] = 0
    other = sample.truth.clone()
    other[..., :100, :] = 255 - other[..., :100, :]
    assert task.loss(Oracle(other), blind)[0] == pytest.approx(float(task.loss(Oracle(sample.truth), blind)[0]))


def test_a_few_steps_lower_the_loss(sample):
    torch.manual_seed(0)
    task = SegmentationTask(SMALL)
    optimizer = torch.optim.Adam(task.model.parameters(), 0.01)
    losses = []
    for _ in range(6):
        optimizer.zero_grad()
        loss, _ = task.loss(task.model, sample)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_validation_of_an_oracle_is_perfect(task, sample):
    scores = task.validate(Oracle(sample.truth), [sample])
    assert scores["dice"] == pytest.approx(1.0)
    assert scores["dice_catheter"] == pytest.approx(1.0)


def test_real_frames_are_trusted_when_a_network_saw_them(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "notes.txt").write_text("no picture")
    cv2.imwrite(str(folder / "one.png"), np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8))
    assert [frame.trusted for frame in real_frames(folder)] == [False]
    metadata = {**SegmentationTask(SMALL).metadata(), "threshold": "0.5"}
    weights = tmp_path / "w.safetensors"
    save_weights(weights, SegmentationTask(SMALL).model.state_dict(), metadata)
    assert [frame.trusted for frame in real_frames(folder, weights)] == [True]
    with pytest.raises(ConfigError, match="holds no pictures"):
        real_frames(tmp_path / "nowhere")
