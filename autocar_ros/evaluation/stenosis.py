"""Stenoses found on a vessel graph against the drawn ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from autocar_ros.types import FloatArray, VesselGraph
from autocar_ros.vessels.stenosis import Stenosis

NEAR = 6.0  # mm between a found and a true narrowest place; a stenosis is 6 to 15 mm long
COVERED = 2.0  # mm; a narrowest place further from the graph is not in it
STEPS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # diameter stenosis between which sensitivity is told
UPPER = 0.8  # above it masks begin to miss the lumen
ERRORS = ("diameter_stenosis", "minimal_lumen_diameter", "reference_diameter", "length")


@dataclass(frozen=True)
class Lesion:
    """A true stenosis."""

    position: tuple[float, float, float]  # mm
    diameter_stenosis: float  # 0..1
    minimal_lumen_diameter: float  # mm
    reference_diameter: float  # mm
    length: float  # mm
    judged: bool  # both planes show it and the vessel is not too thin: it should be found


class Verdict(NamedTuple):
    """What was found on one tree."""

    lesions: list[dict[str, Any]]  # every judged lesion: severity, covered, found, errors where found
    false: list[dict[str, float]]  # found where no lesion is


def score_stenoses(found: Sequence[Stenosis], graph: VesselGraph, lesions: Sequence[Lesion]) -> Verdict:
    """Compare the stenoses of a graph with the true ones: a lesion is found by the nearest within `NEAR` mm."""
    wanted = np.array([lesion.position for lesion in lesions]).reshape(-1, 3)
    nodes = np.array([s.node for s in found], np.int64)
    distance = cdist(wanted, graph.position[nodes])
    rows: list[dict[str, Any]] = []
    for lesion, to_found in zip(lesions, distance, strict=True):
        if lesion.judged:
            near = len(found) > 0 and to_found.min() <= NEAR
            rows.append(_row(lesion, graph, found[int(to_found.argmin())] if near else None))
    false = [asdict(s) for s, to_lesion in zip(found, distance.T, strict=True) if not (to_lesion <= NEAR).any()]
    return Verdict(rows, false)


def _row(lesion: Lesion, graph: VesselGraph, found: Stenosis | None) -> dict[str, Any]:
    away = np.linalg.norm(graph.position - lesion.position, axis=1).min()
    row = {"severity": lesion.diameter_stenosis, "covered": bool(away <= COVERED), "found": found is not None}
    if found:
        row |= {f"{name}_error": getattr(found, name) - getattr(lesion, name) for name in ERRORS}
    return row


def summary(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Sensitivity over severity, false positives per tree, and the errors of what was found, over all trees."""
    lesions = [row for verdict in verdicts for row in verdict.lesions]
    severity = np.array([row["severity"] for row in lesions])
    found, covered = (np.array([row[key] for row in lesions], bool) for key in ("found", "covered"))
    usual = severity <= UPPER
    curve = [
        {"from": low, "to": high, **_share(found, (severity >= low) & (severity < high))}
        for low, high in pairwise(STEPS)
    ]
    return {
        "trees": len(verdicts),
        "false_positives_per_tree": float(np.mean([len(verdict.false) for verdict in verdicts])),
        "sensitivity_30_80": _share(found, usual),
        "sensitivity_50_80": _share(found, usual & (severity >= 0.5)),
        "sensitivity_30_80_where_the_graph_is": _share(found, usual & covered),
        "sensitivity": curve,
        "errors": {name: _error([row[f"{name}_error"] for row in lesions if row["found"]]) for name in ERRORS},
    }


def _share(hit: np.ndarray, of: np.ndarray) -> dict[str, Any]:
    """Share of `hit` among `of`, both (N,) bool, and their number."""
    return {"share": float(hit[of].mean()) if of.any() else None, "n": int(of.sum())}


def _error(values: Sequence[float]) -> dict[str, float | None]:
    """Bias, spread and median size of errors."""
    if not values:
        return {"bias": None, "std": None, "median_abs": None}
    errors: FloatArray = np.asarray(values, float)
    return {"bias": float(errors.mean()), "std": float(errors.std()), "median_abs": float(np.median(np.abs(errors)))}


def table(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Rows of a report: name -> one text for every method's `summary`."""
    rows: dict[str, list[str]] = {"False positives per tree": []}
    for one in methods.values():
        rows["False positives per tree"].append(f"{one['false_positives_per_tree']:.2f}")
        for low, high in ((0.3, 0.8), (0.5, 0.8)):
            name = f"sensitivity_{100 * low:.0f}_{100 * high:.0f}"
            rows.setdefault(f"Sensitivity at {low:.0%} to {high:.0%}", []).append(_percent(one[name]))
        there = _percent(one["sensitivity_30_80_where_the_graph_is"])
        rows.setdefault(f"The same where the graph is within {COVERED:g} mm", []).append(there)
        for step in one["sensitivity"]:
            rows.setdefault(f"Sensitivity at {step['from']:.0%} to {step['to']:.0%}", []).append(_percent(step))
        for name, factor, unit in zip(ERRORS, (100, 1, 1, 1), ("points", "mm", "mm", "mm"), strict=True):
            error, label = one["errors"][name], f"Error of {name.replace('_', ' ')} in {unit}"
            text = "-" if error["bias"] is None else f"{factor * error['bias']:+.2f} ± {factor * error['std']:.2f}"
            rows.setdefault(label, []).append(text)
    return rows


def _percent(share: Mapping[str, Any]) -> str:
    return "-" if share["share"] is None else f"{share['share']:.0%} of {share['n']}"
