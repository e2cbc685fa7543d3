"""Pictures of reconstructions in a third view."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.figures.segmentation import STRIP
from autocar_ros.figures.third_view import EDGE, Panel, draw_outcomes, draw_panels
from autocar_ros.types import CArmPose, VesselGraph

POSE = CArmPose(0.0, 0.0, 1000.0, 750.0, (0.3, 0.3), 100, 100)
GRAPH = VesselGraph(np.array([[0.0, 0, -5], [0, 0, 5]]), np.ones(2), np.array([[0, 1]]), np.zeros(2, np.int64))
CASE = {"patient": "p", "correlation": 0.9, "coverage": 0.6, "precision": 0.7, "chance_coverage": 0.4,
        "chance_precision": 0.5, "failed": 0.0}  # fmt: skip


def panel(graph):
    mask = np.zeros((100, 100), np.uint8)
    mask[30:70, 20:30] = 255
    return Panel("run", np.full((100, 100), 100, np.uint8), mask, POSE, graph)


def test_a_row_for_every_case(tmp_path):
    path = tmp_path / "panels.png"
    draw_panels([[panel(GRAPH), panel(None)]] * 2, path)
    picture = cv2.imread(str(path)).astype(int)
    assert picture.shape == (2 * (EDGE + STRIP), 2 * EDGE, 3)
    coloured = np.ptp(picture, axis=2) > 40
    assert coloured[:, :EDGE].any()
    assert not coloured[:, EDGE:].any()  # no graph, no colour


@pytest.mark.parametrize("rows", [[], [[]], [[panel(None)], [panel(None)] * 2]])
def test_rows_that_cannot_be_drawn(tmp_path, rows):
    with pytest.raises(InvalidInputError, match="panel"):
        draw_panels(rows, tmp_path / "panels.png")


def test_outcomes_by_patient_and_by_chance():
    figure = draw_outcomes([CASE, CASE | {"patient": "q"}, CASE | {"failed": 1.0, "patient": "r"}])
    assert [axes.get_title() for axes in figure.axes] == ["coverage", "precision"]
    assert [t.get_text() for t in figure.axes[1].get_legend().get_texts()] == ["by chance", "p", "q"]
    with pytest.raises(InvalidInputError, match="nothing to draw"):
        draw_outcomes([CASE | {"failed": 1.0}])
