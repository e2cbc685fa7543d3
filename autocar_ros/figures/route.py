"""A catheter path on a 3D view of its vessel graph."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from autocar_ros.figures.graph3d import draw_graph
from autocar_ros.types import CatheterPath, VesselGraph


def draw_path(graph: VesselGraph, path: CatheterPath) -> Figure:
    """Graph along three axes with the path in black, its goal as a star."""
    figure = draw_graph(graph)
    every: list[Any] = figure.axes  # of mplot3d, which has no types
    for axes in every:
        axes.computed_zorder = False  # the path lies on the graph: draw it over it, not by depth
        axes.plot(*path.position.T, color="black", linewidth=2, zorder=10, label=f"path, {path.length:.0f} mm")
        axes.plot(*path.position[-1:].T, "*", color="black", markersize=12, zorder=11)
    figure.axes[0].legend(loc="upper left", frameon=False)
    return figure
