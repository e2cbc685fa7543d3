"""Curve of a training run."""

import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.figures.training import training_curve


def test_loss_left_and_dice_right_over_minutes():
    lines = [
        {"kind": "train", "step": k, "elapsed": 6.0 * k, "loss": 1 / k, "dice_2mm": 0.5} for k in range(10, 60, 10)
    ]
    lines += [{"kind": "validation", "step": 50, "elapsed": 300.0, "dice": 0.7, "threshold": 0.4}]
    left, right = training_curve(lines).axes
    assert [line.get_label() for line in left.lines] == ["loss, train"]
    assert [line.get_label() for line in right.lines] == ["dice_2mm, train", "dice, validation"]
    assert list(left.lines[0].get_xdata()) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert list(right.lines[1].get_ydata()) == [0.7]


def test_a_short_run_without_validation():
    _, right = training_curve([{"kind": "train", "step": 10, "elapsed": 1.0, "loss": 1.0}]).axes
    assert not right.lines


def test_no_log():
    with pytest.raises(InvalidInputError, match="empty"):
        training_curve([])
