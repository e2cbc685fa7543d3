"""Pictures of a tracked sequence: error, recall and identity over time, with the status of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import FloatArray, GraphStatus

SHOWN = {
    "error [mm]": ("error_median_mm", "error_p95_mm"),
    "of its vessel point [mm]": ("along_mm", "depth_mm", "image_mm"),
    "share": ("recall_2mm", "precision_2mm", "coverage"),
}
COLORS = {
    GraphStatus.OK: "tab:green",
    GraphStatus.DEGRADED: "tab:orange",
    GraphStatus.STALE: "tab:purple",
    GraphStatus.LOST: "tab:red",
}


def draw_sequence(frames: Sequence[Mapping[str, float]], start: float = 0.0) -> Figure:
    """Scores of every moment (`evaluation.dynamic.frame_scores`) over its time from `start` s on.

    Raises `InvalidInputError` when there is nothing to show.
    """
    if not frames:
        raise InvalidInputError("no moment has a graph: there is nothing to draw")
    time = np.array([f["time"] for f in frames]) - start
    figure = Figure(figsize=(10, 7), layout="constrained")
    for axes, (label, names) in zip(figure.subplots(len(SHOWN), 1, sharex=True), SHOWN.items(), strict=True):
        for name in names:
            axes.plot(time, [f.get(name, np.nan) for f in frames], label=name, linewidth=1.2)
        _mark(axes, time, frames)
        axes.set(ylabel=label)
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    key = ", ".join(f"{color.removeprefix('tab:')} {status.name}" for status, color in COLORS.items())
    axes.set_xlabel(f"exposure [s]; bar at the top: {key}")
    return figure


def _mark(axes: Axes, time: FloatArray, frames: Sequence[Mapping[str, float]]) -> None:
    """Shade moments without contrast; draw the status as a bar at the top."""
    step = float(np.median(np.diff(time))) if len(time) > 1 else 1.0
    for at, frame in zip(time, frames, strict=True):
        color = COLORS[GraphStatus(int(frame["status"]))]
        axes.axvspan(at, at + step, ymin=0.97, color=color, linewidth=0)
        if not frame["filled"]:
            axes.axvspan(at, at + step, ymax=0.97, color="0.9", linewidth=0, zorder=0)
