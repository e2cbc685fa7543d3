"""Pictures of heart phase and contrast."""

import numpy as np

from autocar_ros.figures.phase import draw_phase, draw_rates
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
