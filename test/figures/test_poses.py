"""Picture of a pose history."""

import numpy as np
import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.figures.poses import COLUMNS, draw_pose_history


def test_every_cluster_and_every_distance_is_drawn():
    rng = np.random.default_rng(0)
    label = np.arange(30) % 3
    figure = draw_pose_history(rng.normal(size=(30, 2)), label, ["a", "b", "c"], rng.normal(size=(30, 3)))
    _, *histograms = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a (10)", "b (10)", "c (10)"]
    assert [axes.get_xlabel() for axes in histograms] == list(COLUMNS)
    assert all(sum(bar.get_height() for bar in axes.patches) == 30 for axes in histograms)


@pytest.mark.parametrize("lengths", [(0, 0, 0), (3, 2, 3)])
def test_what_does_not_belong_together_is_refused(lengths):
    n, m, k = lengths
    with pytest.raises(InvalidInputError, match="same views"):
        draw_pose_history(np.zeros((n, 2)), np.zeros(m, int), ["a"], np.zeros((k, 3)))
