"""Pictures of heart phase and contrast."""

import numpy as np
import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.figures.phase import draw_curves, draw_phase, draw_rates
from autocar_ros.sync.runs import observe_run

SHOWN = {"found": "frames found", "pairs": "pairs"}


def test_a_run_is_drawn_though_its_phase_is_unknown():
    masks = [np.zeros((64, 64), np.uint8) for _ in range(12)]
    for k, mask in enumerate(masks[4:]):
        mask[20 : 24 + k] = 255
    run = observe_run(masks, np.arange(12) * 66_666_667)
    figure = draw_phase(run)
    assert len(figure.axes) == 3
    assert "contrast" in figure.axes[-1].get_xlabel()


def test_scores_that_are_missing_are_left_out():
    rows = [{"rate": 60.0, "found": 0.9, "pairs": None}, {"rate": 100.0, "found": 0.8, "pairs": 1.0}]
    figure = draw_rates({"masks": rows}, SHOWN)
    drawn = [next(line for line in axes.get_lines() if line.get_label() == "masks") for axes in figure.axes]
    assert [len(line.get_xdata()) for line in drawn] == [2, 1]


def test_curves_have_a_panel_for_each_factor_and_gaps_where_nothing_is_known():
    scores = [{"found": 0.9, "pairs": None}, {"found": 0.8, "pairs": 1.0}]
    factors = {name: {"label": name, "levels": [1.0, 2.0], "scores": scores} for name in "abcd"}
    figure = draw_curves(factors, SHOWN)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 4
    drawn = next(line for line in panels[0].get_lines() if line.get_label() == "pairs")
    np.testing.assert_array_equal(drawn.get_ydata(), [np.nan, 1.0])
    with pytest.raises(InvalidInputError, match="nothing to draw"):
        draw_curves({}, SHOWN)
