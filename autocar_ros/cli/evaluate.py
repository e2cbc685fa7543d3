"""`autocar evaluate`: how good the reconstruction is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from autocar_ros.cli.cases import static_case
from autocar_ros.cli.console import progress, terminal
from autocar_ros.cli.reconstruct import fullest_frame
from autocar_ros.evaluation.protocols import METHODS, VOXEL_SIZE, read_centreline, score_registered, score_static
from autocar_ros.evaluation.report import (
    Section,
    method_table,
    plus_minus,
    provenance,
    spread,
    write_html,
    write_json,
)
from autocar_ros.figures.graph3d import draw_graph
from autocar_ros.imaging.dicom import read_run
from autocar_ros.imaging.segmentation import segment_vessels
from autocar_ros.pipeline import reconstruct
from autocar_ros.types import FramePair

evaluate = typer.Typer(
    help="Measure how good the reconstruction is, with baselines.", no_args_is_help=True, add_completion=False
)


@evaluate.command()
def static(
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and report.html.")],
    cases: Annotated[int, typer.Option(min=1, help="Number of simulated trees.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first tree; the others follow.")] = 1000,
    misalignment: Annotated[
        float, typer.Option(min=0.0, help="Distance between where both views saw the vessels [mm, rms].")
    ] = 0.0,
) -> None:
    """Reconstruct simulated trees from a pair of perfect masks each; compare with truth and visual hull."""
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
    protocol = {"name": "static", "cases": cases, "misalignment_mm": misalignment, "voxel_size_mm": VOXEL_SIZE}
    origin = provenance(seed)
    write_json(out / "metrics.json", {"protocol": protocol, "methods": methods, "cases": scores, **origin})
    sections = [
        Section("Protocol", "Simulated trees, perfect masks, poses true but for the misalignment.", protocol | origin),
        *(Section(name, table={m: plus_minus(s) for m, s in found.items()}) for name, found in methods.items()),
    ]
    write_html(out / "report.html", "Static reconstruction of simulated trees", sections)
    terminal().print(method_table(methods))
    terminal().print(f"Wrote {out / 'metrics.json'} and report.html", highlight=False, soft_wrap=True)


@evaluate.command()
def phantom(
    data: Annotated[Path, typer.Option(help="Folder with IM3.dcm, IM4.dcm and centreline_lps_mm.csv.")],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, report.html and the picture.")],
    pixel_spacing: Annotated[float, typer.Option(min=0.001, help="Pixel spacing at the detector [mm].")] = 0.390625,
) -> None:
    """Reconstruct the phantom from two real X-ray runs; compare with its centreline after the best rigid fit.

    The reference is good to about 1 mm, and some of its side tubes were not filled with contrast.
    """
    reference = read_centreline(data / "centreline_lps_mm.csv")
    graph = reconstruct(_real_pair(data / "IM3.dcm", data / "IM4.dcm", pixel_spacing)).graph
    score, moved = score_registered(graph, reference)
    out.mkdir(parents=True, exist_ok=True)
    picture = out / "graph_and_reference.png"
    draw_graph(moved, reference, picture)
    found = {name: value for name, value in asdict(score).items() if not name.startswith("radius")}
    origin = provenance(None)
    methods = {"lifting": {name: spread([float(value)]) for name, value in found.items()}}
    write_json(out / "metrics.json", {"protocol": {"name": "phantom"}, "methods": methods, **origin})
    sections = [
        Section("Phantom, runs IM3 and IM4", "Against its centreline after the best rigid fit.", found,
                [(picture, "Graph (coloured) and registered centreline (grey).")]),
        Section("Origin", table=origin),
    ]  # fmt: skip
    write_html(out / "report.html", "Reconstruction of the phantom", sections)
    for name in ("recall_3mm", "precision_3mm", "recall_2mm", "precision_2mm", "error_median_mm"):
        terminal().print(f"{name:16s} {found[name]:.3f}", highlight=False)
    terminal().print(f"Wrote {out / 'metrics.json'}, report.html and {picture.name}", highlight=False, soft_wrap=True)


def _real_pair(run_a: Path, run_b: Path, pixel_spacing: float) -> FramePair:
    """Pair of the fullest frames of two runs, segmented."""
    runs = [read_run(path, pixel_spacing=pixel_spacing) for path in (run_a, run_b)]
    frames = [fullest_frame(run) for run in runs]
    masks = [segment_vessels(run.images[k]) for run, k in zip(runs, frames, strict=True)]
    return FramePair(0, 0, *masks, *(run.poses[k] for run, k in zip(runs, frames, strict=True)), key_frame=True)
