"""A catheter path on a 3D view of its vessel graph."""

from __future__ import annotations

from matplotlib.figure import Figure

from autocar_ros.figures.graph3d import draw_graph
from autocar_ros.types import CatheterPath, VesselGraph


def draw_path(graph: VesselGraph, path: CatheterPath) -> Figure:
    """Graph along three axes with the path in black, its goal as a star."""
    figure = draw_graph(graph)
    for axes in figure.axes:
        axes.plot(*path.position.T, color="black", linewidth=2, label=f"path, {path.length:.0f} mm")
        axes.plot(*path.position[-1:].T, "*", color="black", markersize=12)
    figure.axes[0].legend(loc="upper left", frameon=False)
    return figure
