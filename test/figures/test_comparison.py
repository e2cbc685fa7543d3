"""Pictures of several methods."""

from __future__ import annotations

import numpy as np
import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.figures.comparison import FALSE, RIGHT, draw_scores, draw_volumes


@pytest.fixture
def tube():
    volume = np.zeros((60, 50, 70), bool)
    volume[28:32, 20:24, 5:65] = True
    return volume


def colors(axes):
    """Hues of what is drawn: shares of red, green, blue."""
    picture = axes.images[0].get_array()
    drawn = picture[(picture < 1).any(-1)]
    return np.unique(np.round(drawn / drawn.sum(1, keepdims=True), 2), axis=0)


def test_a_column_for_every_method_and_the_truth(tube):
    figure = draw_volumes({"ours": tube, "nothing": np.zeros_like(tube)}, tube, 0.5)
    assert len(figure.axes) == 9
    assert [axes.get_title() for axes in figure.axes[:3]] == ["ours", "nothing", "ground truth"]
    assert figure.axes[0].images[0].get_array().shape == (70, 60, 3)
    assert figure.axes[6].images[0].get_array().shape == (50, 50, 3)  # 25 mm
    assert (figure.axes[4].images[0].get_array() == 1).all()


def test_what_is_far_from_the_truth_has_another_colour(tube):
    ghost = np.roll(tube, 10, 0)
    figure = draw_volumes({"ours": tube, "ghost": ghost}, tube, 0.5)
    for row in range(2):
        ours, other = figure.axes[3 * row], figure.axes[3 * row + 1]
        assert np.allclose(colors(ours), np.array([RIGHT]) / sum(RIGHT), atol=0.02)
        assert np.allclose(colors(other), np.array([FALSE]) / sum(FALSE), atol=0.02)


def test_first_voxels_hide_what_is_behind(tube):
    ghost = np.zeros_like(tube)
    ghost[28:32, 40:44, 5:65] = True  # behind the vessel
    axes = draw_volumes({"both": tube | ghost}, tube, 0.5).axes[2]
    assert np.allclose(colors(axes), np.array([RIGHT]) / sum(RIGHT), atol=0.02)


def test_volumes_that_cannot_be_drawn(tube):
    with pytest.raises(InvalidInputError, match="grid"):
        draw_volumes({"ours": tube[1:]}, tube, 0.5)
    with pytest.raises(InvalidInputError, match="empty"):
        draw_volumes({}, np.zeros_like(tube), 0.5)


def test_one_box_for_every_method():
    cases = {"sbp": [{"dice": 0.8, "hd95_mm": 3.0}] * 3, "hull": [{"dice": 0.2, "hd95_mm": np.nan}] * 3, "none": []}
    dice, distance = draw_scores(cases, ("dice", "hd95_mm")).axes
    assert [label.get_text() for label in dice.get_yticklabels()] == ["sbp", "hull"]
    assert dice.get_xlim() == (0, 1)
    assert distance.get_xlim() != (0, 1)


def test_no_scores():
    with pytest.raises(InvalidInputError, match="no scores"):
        draw_scores({"sbp": []})
