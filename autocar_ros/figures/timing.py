"""Pictures of time: latency histogram, and latency over a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import FloatArray


def latency_histogram(latency_ms: Mapping[str, FloatArray]) -> Figure:
    """Histogram of the latency [ms] of every stage, with its median.

    Raises `InvalidInputError` when there is nothing to show.
    """
    shown = _not_empty(latency_ms)
    end = max(float(np.quantile(values, 0.99)) for values in shown.values())
    edges = np.linspace(0.0, max(end, 1.0), 60)
    figure, axes = _axes("latency from exposure [ms]", "messages")
    for name, values in shown.items():
        label = f"{name}: median {np.median(values):.0f} ms"
        axes.hist(np.minimum(values, edges[-1]), edges.tolist(), alpha=0.6, label=label)
    axes.legend(frameon=False)
    return figure


def latency_timeline(latency_ms: Mapping[str, tuple[FloatArray, FloatArray]], events: Sequence[float] = ()) -> Figure:
    """Latency [ms] of every stage over the time of exposure [s], with vertical lines at `events` [s].

    Raises `InvalidInputError` when there is nothing to show.
    """
    _not_empty({name: values for name, (_, values) in latency_ms.items()})
    figure, axes = _axes("exposure [s]", "latency from exposure [ms]")
    for name, (time_s, values) in latency_ms.items():
        axes.plot(time_s, values, ".", markersize=4, label=name)
    for k, event in enumerate(events):
        axes.axvline(event, color="0.7", linewidth=0.8, zorder=0, label="new graph" if k == 0 else None)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return figure


def _not_empty(latency_ms: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    shown = {name: values for name, values in latency_ms.items() if len(values)}
    if not shown:
        raise InvalidInputError("no latency was measured: there is nothing to draw")
    return shown


def _axes(x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
