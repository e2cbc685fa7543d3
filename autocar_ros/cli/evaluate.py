"""`autocar evaluate`: how good the reconstruction is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autocar_ros.cli.console import progress, terminal

evaluate = typer.Typer(
    help="Measure how good the reconstruction is, with baselines.", no_args_is_help=True, add_completion=False
)


@evaluate.command()
def static(
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and report.html.")],
    cases: Annotated[int, typer.Option(min=1, help="Number of simulated trees.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first tree; the others follow.")] = 1000,
    misalignment: Annotated[
        float, typer.Option(min=0.0, help="Unknown shift between the views [mm at the isocentre].")
    ] = 0.0,
) -> None:
    """Reconstruct simulated trees from a pair of perfect masks each; compare with truth and visual hull."""
    from autocar_ros.cli.cases import static_case
    from autocar_ros.evaluation.protocols import METHODS, score_static
    from autocar_ros.evaluation.report import (
        Section,
        method_table,
        plus_minus,
        provenance,
        spread,
        write_html,
        write_json,
    )

    scores: dict[str, list[dict[str, float]]] = {name: [] for name in METHODS}
    with progress() as bar:
        task = bar.add_task("Reconstructing", total=cases)
        for k in range(cases):
            pair, truth = static_case(seed + k, misalignment)
            for name, method in METHODS.items():
                scores[name].append(score_static(pair, truth, method))
            bar.advance(task)
    methods = {
        name: {metric: spread(case[metric] for case in found) for metric in found[0]} for name, found in scores.items()
    }
    protocol = {"name": "static", "cases": cases, "misalignment_mm": misalignment, "voxel_size_mm": 0.5}
    origin = provenance(seed)
    write_json(out / "metrics.json", {"protocol": protocol, "methods": methods, "cases": scores, **origin})
    sections = [
        Section("Protocol", "Simulated trees, perfect masks, poses true but for the misalignment.", protocol | origin),
        *(Section(name, table={m: plus_minus(s) for m, s in found.items()}) for name, found in methods.items()),
    ]
    write_html(out / "report.html", "Static reconstruction of simulated trees", sections)
    terminal().print(method_table(methods))
    terminal().print(f"Wrote {out / 'metrics.json'} and report.html", highlight=False, soft_wrap=True)
