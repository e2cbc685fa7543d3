"""A catheter path on the projections of its vessel graph."""

from __future__ import annotations

from matplotlib.figure import Figure

from autocar_ros.figures.graph3d import PANELS, draw_graph
from autocar_ros.types import CatheterPath, VesselGraph


def draw_path(graph: VesselGraph, path: CatheterPath) -> Figure:
    """Graph in three projections with the path in black, its goal as a star."""
    figure = draw_graph(graph)
    for axes, (_, right, up, _) in zip(figure.axes, PANELS, strict=True):
        across, along = path.position[:, right], path.position[:, up]
        axes.plot(across, along, color="black", linewidth=1.5, zorder=5, label=f"path, {path.length:.0f} mm")
        axes.plot(across[-1:], along[-1:], "*", color="black", markersize=12, zorder=6)
    figure.axes[0].legend(loc="upper right", frameon=False)
    return figure
