"""Picture of found stenoses: sensitivity over severity, and measured against true narrowing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from autocar_ros.errors import InvalidInputError


def draw_stenoses(
    summaries: Mapping[str, Mapping[str, Any]], lesions: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Figure:
    """Sensitivity of every method over the true diameter stenosis, and what was measured of those found.

    Parameters
    ----------
    summaries : method -> `evaluation.stenosis.summary`
    lesions : method -> judged lesions of all trees (`evaluation.stenosis.Verdict`)

    Raises
    ------
    InvalidInputError
        When there is no lesion to show.
    """
    if not any(lesions.values()):
        raise InvalidInputError("no tree has a lesion that should be found: there is nothing to draw")
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for k, (name, one) in enumerate(summaries.items()):
        steps = [s for s in one["sensitivity"] if s["share"] is not None]
        middle = [50 * (s["from"] + s["to"]) for s in steps]
        label = f"{name}: {one['false_positives_per_tree']:.2f} false per tree"
        left.plot(middle, [100 * s["share"] for s in steps], "o-", color=f"C{k}", label=label)
        found = [row for row in lesions[name] if row["found"]]
        true = [100 * row["severity"] for row in found]
        measured = [100 * (row["severity"] + row["diameter_stenosis_error"]) for row in found]
        right.plot(true, measured, ".", color=f"C{k}", label=name)
    right.plot([30, 90], [30, 90], color="0.6", linewidth=1, zorder=0)
    left.set(xlabel="true diameter stenosis [%]", ylabel="found [%]", ylim=(0, 105))
    right.set(xlabel="true diameter stenosis [%]", ylabel="measured [%]")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return figure
