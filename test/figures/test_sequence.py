"""Picture of a tracked sequence."""

import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.figures.sequence import SHOWN, draw_sequence


def test_every_score_has_its_line():
    frames = [{"time": 3.0 + k / 15, "status": k % 4, "filled": k > 2, "recall_2mm": 0.5} for k in range(8)]
    figure = draw_sequence(frames, start=3.0)
    assert [len(axes.get_lines()) for axes in figure.axes] == [len(names) for names in SHOWN.values()]
    assert figure.axes[0].get_lines()[0].get_xdata()[0] == 0.0


def test_nothing_to_draw():
    with pytest.raises(InvalidInputError, match="no moment"):
        draw_sequence([])
