"""Pictures of what a method bears: its scores over the size of every disturbance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from autocar_ros.errors import InvalidInputError

SHOWN = {
    "recall_2mm": "recall, 2 mm",
    "precision_2mm": "precision, 2 mm",
    "error_median_mm": "median error [mm]",
    "error_median_scaled_mm": "without size [mm]",
    "coverage": "coverage",
    "ok": "status OK",
    "recognized": "recognized",
}
LIMITED = {"error_median_mm", "error_median_scaled_mm"}  # not shares
LARGEST_ERROR = 4.0  # mm, drawn

Curves = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]


def draw_perturbation(curves: Curves, labels: Mapping[str, str]) -> Figure:
    """One column for each disturbance, one row for each score, one line for each alignment; bars: standard error.

    Parameters
    ----------
    curves : disturbance -> alignment -> spread of every score at each `level`
    labels : disturbance -> its name and unit

    Raises
    ------
    InvalidInputError
        When there is no curve.
    """
    if not curves:
        raise InvalidInputError("no disturbance was measured: there is nothing to draw")
    figure = Figure(figsize=(2.9 * len(curves) + 0.8, 2.1 * len(SHOWN)), layout="constrained")
    grid = figure.subplots(len(SHOWN), len(curves), squeeze=False, sharex="col", sharey="row")
    for column, (kind, lines) in zip(grid.T, curves.items(), strict=True):
        for axes, (score, label) in zip(column, SHOWN.items(), strict=True):
            for align, entries in lines.items():
                level = [entry["level"] for entry in entries]
                mean, error = zip(*(_mean_and_error(entry.get(score)) for entry in entries), strict=True)
                axes.errorbar(level, mean, error, fmt="o-", markersize=3, linewidth=1.2, capsize=2, label=align)
            axes.set_ylim(0, LARGEST_ERROR if score in LIMITED else 1.02)
            axes.spines[["top", "right"]].set_visible(False)
            if axes in grid[:, 0]:
                axes.set_ylabel(label)
        column[-1].set_xlabel(labels[kind], fontsize=8)
    grid[0, 0].legend(frameon=False, fontsize=8, title="alignment")
    return figure


def _mean_and_error(spread: Mapping[str, Any] | None) -> tuple[float, float]:
    """Mean and its standard error; NaN and 0 where they are not known."""
    if spread is None or spread["mean"] is None:
        return np.nan, 0.0
    return spread["mean"], (spread["std"] or 0.0) / np.sqrt(spread["n"])
