"""A vessel graph in 3D, with a reference beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from autocar_ros.figures.overlay import branch_color
from autocar_ros.types import FloatArray, VesselGraph

VIEWS = (("from the front", 0.0, -90.0), ("from the left", 0.0, 0.0), ("from above", 90.0, -90.0))


def draw_graph(
    graph: VesselGraph, reference: FloatArray | VesselGraph | None = None, path: str | Path | None = None
) -> Figure:
    """Graph (one colour a branch, faint where confidence is low) and reference (grey) seen along three axes.

    Parameters
    ----------
    reference : another graph, or centreline points (N, 3) mm in the same frame
    path : picture to write, by its ending (png, svg, pdf)
    """
    figure = Figure(figsize=(15, 5.4), layout="constrained")
    known = reference.position if isinstance(reference, VesselGraph) else reference
    every = graph.position if known is None else np.concatenate([graph.position, known])
    center, half = (every.min(0) + every.max(0)) / 2, max(float(np.ptp(every, axis=0).max()) / 2, 1.0)
    colors = np.array([(*branch_color(int(branch)), 1.0) for branch in graph.branch]).reshape(-1, 4) * 0.8
    colors[:, 3] = 0.3 + 0.7 * np.clip(graph.confidence, 0, 1)
    for k, (name, elevation, azimuth) in enumerate(VIEWS):
        axes = figure.add_subplot(1, 3, k + 1, projection="3d")
        axes.set_proj_type("ortho")
        axes.view_init(elevation, azimuth)
        if known is not None:
            axes.scatter(*known.T, s=1.5, color="0.55", depthshade=False, label="reference")
        axes.scatter(*graph.position.T, s=6, c=colors, depthshade=False, label="graph")
        axes.scatter(*graph.position[graph.parent < 0].T, s=60, facecolors="none", edgecolors="k", label="root")
        for axis, middle in zip("xyz", center, strict=True):
            getattr(axes, f"set_{axis}lim")(middle - half, middle + half)
        axes.set(title=name, xlabel="left [mm]", ylabel="posterior [mm]", zlabel="head [mm]")
        if k == 0:
            axes.legend(loc="upper left", frameon=False)
    if path is not None:
        figure.savefig(path, dpi=110)
    return figure
