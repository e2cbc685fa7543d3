"""The path is drawn over its graph in every view."""

from __future__ import annotations

import numpy as np

from autocar_ros.figures.route import draw_path
from autocar_ros.types import CatheterPath, VesselGraph


def test_path_in_every_view():
    position = np.array([[0.0, 0, 0], [10, 0, 0], [10, 10, 0]])
    graph = VesselGraph(position, np.ones(3), np.array([[0, 1], [1, 2]]), np.zeros(3, np.int64))
    nodes, none = np.arange(3), np.zeros(0)
    path = CatheterPath(0, nodes, position, position, np.ones(3), 20.0, 1.0, 0.1, 0.8, 0.5, none.astype(int), none, (),
                        True, "")  # fmt: skip
    figure = draw_path(graph, path)
    for axes in figure.axes:
        lines = {line.get_label(): line for line in axes.lines}
        assert "path, 20 mm" in lines
        assert lines["path, 20 mm"].get_zorder() > max(c.get_zorder() for c in axes.collections)
        assert lines["path, 20 mm"].get_xydata().shape == (3, 2)
