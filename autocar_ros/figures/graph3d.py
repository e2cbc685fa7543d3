"""A vessel graph in three anatomical projections, with a reference beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from autocar_ros.figures.overlay import branch_color
from autocar_ros.types import FloatArray, VesselGraph

AXES = ("left", "posterior", "head")  # of the world, in this order
# title, world axis to the right, world axis up, whether up is against that axis
PANELS = (("from the front", 0, 2, False), ("from the left", 1, 2, False), ("from the feet", 0, 1, True))
POINTS_PER_MM = 1.1  # line width of a vessel's diameter


def draw_graph(
    graph: VesselGraph, reference: FloatArray | VesselGraph | None = None, path: str | Path | None = None
) -> Figure:
    """Graph (one colour a branch, as wide as the vessel, faint where confidence is low) and reference (grey).

    Parameters
    ----------
    reference : another graph, or centreline points (N, 3) mm in the same frame
    path : picture to write, by its ending (png, svg, pdf)
    """
    figure = Figure(figsize=(15, 5.6), layout="constrained")
    known = reference.position if isinstance(reference, VesselGraph) else reference
    every = graph.position if known is None else np.concatenate([graph.position, known])
    center, half = (every.min(0) + every.max(0)) / 2, max(float(np.ptp(every, axis=0).max()) / 2, 1.0) * 1.05
    for axes, (title, right, up, flipped) in zip(figure.subplots(1, 3), PANELS, strict=True):
        _draw_lines(axes, graph, [right, up])
        if known is not None:
            axes.scatter(known[:, right], known[:, up], s=2, color="0.35", label="reference", zorder=3)
        roots = graph.position[graph.parent < 0]
        axes.scatter(roots[:, right], roots[:, up], s=70, facecolors="none", edgecolors="k", label="root", zorder=4)
        axes.set(
            title=title,
            xlabel=f"{AXES[right]} [mm]",
            ylabel=f"{AXES[up]} [mm]",
            xlim=(center[right] - half, center[right] + half),
            ylim=(center[up] + half, center[up] - half) if flipped else (center[up] - half, center[up] + half),
            aspect="equal",
        )
        axes.grid(alpha=0.3)
    figure.axes[0].legend(loc="upper right", frameon=False)
    if path is not None:
        figure.savefig(path, dpi=110)
    return figure


def _draw_lines(axes, graph: VesselGraph, shown: list[int]) -> None:  # type: ignore[no-untyped-def] # of matplotlib
    child = graph.edges[:, 1]
    colors = np.array([branch_color(int(branch)) for branch in graph.branch[child]]).reshape(-1, 3) * 0.85
    alpha = 0.25 + 0.75 * np.clip(graph.confidence[child], 0, 1)
    lines = LineCollection(
        list(graph.position[graph.edges][:, :, shown]),
        colors=np.column_stack([colors, alpha]),
        capstyle="round",
        linewidths=np.maximum(2 * graph.radius[child] * POINTS_PER_MM, 1.0),
        label="graph",
    )
    axes.add_collection(lines)
