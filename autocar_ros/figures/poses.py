"""Picture of a pose history."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import FloatArray, IntArray

COLUMNS = ("SID [mm]", "SOD [mm]", "pixel spacing [mm]")


def draw_pose_history(angles: FloatArray, cluster: IntArray, names: Sequence[str], distances: FloatArray) -> Figure:
    """Views coloured by cluster, and histograms of what else a pose has (as Fig. 1a of the paper).

    Parameters
    ----------
    angles : (N, 2) primary and secondary angle, degrees
    cluster : (N,) index into names
    names : of the clusters
    distances : (N, 3) SID, SOD, pixel spacing at the detector, mm

    Raises
    ------
    InvalidInputError
        When there are no views, or the arrays differ in length.
    """
    if not len(angles) == len(cluster) == len(distances) > 0:
        raise InvalidInputError("angles, clusters and distances must be those of the same views, at least one")
    figure = Figure(figsize=(11, 5), layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=(2, 1))
    views = figure.add_subplot(grid[:, 0])
    for k, name in enumerate(names):
        own = angles[cluster == k]
        points = views.plot(*own.T, "o", color=f"C{k % 10}", markersize=4, alpha=0.6, label=f"{name} ({len(own)})")
        views.plot(*own.mean(0)[:, None], "+", color=points[0].get_color(), markersize=14, markeredgewidth=2)
    views.set(xlabel="primary angle [degrees], RAO < 0 < LAO", ylabel="secondary angle [degrees], caudal < 0 < cranial")
    figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    for row, (label, values) in enumerate(zip(COLUMNS, distances.T, strict=True)):
        axes = figure.add_subplot(grid[row, 1])
        axes.hist(values, bins=min(max(int(np.sqrt(len(values))), 5), 40))
        axes.set(xlabel=label, ylabel="runs")
        axes.spines[["top", "right"]].set_visible(False)
    return figure
