"""Picture of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from autocar_ros.errors import InvalidInputError


def training_curve(lines: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss and DICE over the minutes of training; `lines` are those of the log (`training.log.read_log`).

    Raises `InvalidInputError` when the log is empty.
    """
    if not lines:
        raise InvalidInputError("the log of the training is empty: there is nothing to draw")
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for line_kind, style in (("train", "-"), ("validation", "o-")):
        of_kind = [line for line in lines if line["kind"] == line_kind]
        names = dict.fromkeys(name for line in of_kind for name in line if name == "loss" or name.startswith("dice"))
        for name in names:
            having = [line for line in of_kind if name in line]
            minutes = [line["elapsed"] / 60 for line in having]
            values = _smooth(np.array([line[name] for line in having], float)) if line_kind == "train" else None
            shown = values if values is not None else [line[name] for line in having]
            axes = left if name == "loss" else right
            axes.plot(minutes, shown, style, markersize=3, label=f"{name}, {line_kind}")
    for axes, label in ((left, "loss"), (right, "DICE")):
        axes.set(xlabel="training [min]", ylabel=label)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False)
    return figure


def _smooth(values: np.ndarray) -> np.ndarray:
    """Mean over a fiftieth of the run around each value."""
    width = max(len(values) // 50, 1)
    kernel = np.ones(width)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")
