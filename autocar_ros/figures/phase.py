"""Pictures of heart phase and contrast: of one run, and of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from autocar_ros.errors import InvalidInputError
from autocar_ros.sync.contrast import ContrastState
from autocar_ros.sync.runs import ObservedRun
from autocar_ros.types import NANOSECONDS

COLORS = {
    ContrastState.EMPTY: "white",
    ContrastState.FILLING: "tab:blue",
    ContrastState.FULL: "tab:green",
    ContrastState.WASHING_OUT: "tab:orange",
}


def draw_phase(run: ObservedRun) -> Figure:
    """Phase, vessel in the picture and its speed over time; colour: contrast state, lines: R waves."""
    time = (run.stamps - run.stamps[0]) / NANOSECONDS
    figure = Figure(figsize=(10, 6), layout="constrained")
    rows = {"phase": run.phase, "vessel in the picture": run.amount, "speed [image widths/s]": run.speed}
    for axes, (label, values) in zip(figure.subplots(len(rows), 1, sharex=True), rows.items(), strict=True):
        axes.plot(time, values, ".-", color="black", linewidth=1)
        for state, color in COLORS.items():
            inside = run.contrast == state
            axes.fill_between(time, 0, 1, where=inside, color=color, alpha=0.15, transform=axes.get_xaxis_transform())
        for wave in time[run.r_wave_frames]:
            axes.axvline(wave, color="tab:red", linewidth=1)
        axes.set_ylabel(label)
        axes.spines[["top", "right"]].set_visible(False)
    key = ", ".join(f"{c.removeprefix('tab:')} {s.name.lower().replace('_', ' ')}" for s, c in COLORS.items())
    axes.set_xlabel(f"time [s]; red: R waves by {run.source.name.lower()}; contrast: {key}")
    return figure


def draw_rates(rows: Mapping[str, Sequence[Mapping[str, Any]]], shown: Mapping[str, str]) -> Figure:
    """Scores over the heart rate: one panel for each of `shown` (key -> label), one line for each method of `rows`.

    A row holds "rate" [1/min] and the scores; missing ones are left out.
    """
    figure = Figure(figsize=(4.2 * len(shown), 3.4), layout="constrained")
    for axes, (key, label) in zip(np.atleast_1d(figure.subplots(1, len(shown))), shown.items(), strict=True):
        for name, scores in rows.items():
            known = [(row["rate"], row[key]) for row in scores if row.get(key) is not None]
            if known:
                axes.plot(*zip(*known, strict=True), "o-", label=name, markersize=4)
        axes.axhline(0.95, color="0.7", linestyle=":")
        axes.set(xlabel="heart rate [1/min]", ylabel=label)
        axes.set_ylim(0, 1.02)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    return figure


def draw_curves(factors: Mapping[str, Mapping[str, Any]], shown: Mapping[str, str]) -> Figure:
    """Scores over everything that makes frames harder: one panel for each factor, one line for each of `shown`.

    Parameters
    ----------
    factors : name -> {"label", "levels", "scores": scores at each level, None where not known}
    shown : key of a score -> label

    Raises
    ------
    InvalidInputError
        When there is no factor.
    """
    if not factors:
        raise InvalidInputError("there is no factor: nothing to draw")
    rows = (len(factors) + 2) // 3
    figure = Figure(figsize=(12, 3.2 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, 3, squeeze=False, sharey=True).ravel()
    for axes, (name, factor) in zip(grid, factors.items(), strict=False):
        place = np.arange(len(factor["levels"]))
        for key, label in shown.items():
            values = [np.nan if score[key] is None else score[key] for score in factor["scores"]]
            axes.plot(place, values, "o-", label=label, markersize=4)
        axes.axhline(0.95, color="0.7", linestyle=":")
        axes.set(title=name.replace("_", " "), xlabel=factor["label"], ylim=(-0.02, 1.02))
        axes.set_xticks(place, [f"{level:g}" for level in factor["levels"]])
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(factors) :]:
        axes.set_visible(False)
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(shown), frameon=False)
    return figure
