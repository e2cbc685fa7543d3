"""Pictures of what a method bears."""

import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.figures.perturbation import SHOWN, draw_perturbation


def entry(level, value):
    return {"level": level} | {name: {"mean": value, "std": 0.1, "n": 4} for name in SHOWN}


def test_one_column_a_disturbance_and_one_line_an_alignment():
    lines = {align: [entry(0.0, 0.9), entry(5.0, 0.4)] for align in ("off", "shift")}
    figure = draw_perturbation({"angle": lines, "shift": lines}, {"angle": "angle [deg]", "shift": "shift [mm]"})
    assert len(figure.axes) == 2 * len(SHOWN)
    assert all(len(axes.containers) == 2 for axes in figure.axes)
    figure.canvas.draw()


def test_scores_that_are_not_known_are_left_out():
    lines = {"off": [{"level": 0.0, "recall_2mm": {"mean": None, "std": None, "n": 0}}]}
    draw_perturbation({"angle": lines}, {"angle": "angle"}).canvas.draw()


def test_nothing_to_draw_is_refused():
    with pytest.raises(InvalidInputError, match="nothing to draw"):
        draw_perturbation({}, {})
