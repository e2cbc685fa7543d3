"""`autocar evaluate stenosis`: which narrowings are found, how many are invented, how well they are measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from autocar_ros.cli.cases import StenosisCase, stenosis_case
from autocar_ros.cli.console import progress, terminal
from autocar_ros.errors import ReconstructionError
from autocar_ros.evaluation.graph_metrics import graph_score
from autocar_ros.evaluation.methods import Method, load_method, named_methods
from autocar_ros.evaluation.report import Section, provenance, write_html, write_json
from autocar_ros.evaluation.stenosis import Verdict, score_stenoses, summary, table
from autocar_ros.figures.stenosis import draw_stenoses
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.types import VesselGraph
from autocar_ros.vessels.measure import node_radius
from autocar_ros.vessels.stenosis import REPORTED, find_stenoses
from autocar_ros.vessels.tree import visible_part

TITLE = "Stenoses of simulated trees"
TRUE_LINE = "true centreline"  # the best case: only the radius comes from the masks
HOW_SCORED = (
    "Four narrowings of 30-90 % of the diameter, 6-15 mm long, are drawn on each tree. Those that both planes show, on "
    "vessels of at least 1.5 mm, should be found: within 6 mm of the narrowest place. True centreline: nodes at the "
    "truth, their radius from the masks. Errors: mean and standard deviation over those found. Radius: median over the "
    "trees of the median error along the centreline."
)


def stenosis(
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, report.html and the picture.")],
    cases: Annotated[int, typer.Option(min=1, help="Number of simulated trees.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first tree; the others follow.")] = 3000,
    methods: Annotated[str, typer.Option(help="Reconstructions, with commas; see `static`.")] = "sbp,lifting",
    models: Annotated[
        Path | None, typer.Option(help="Folder with NAME.safetensors of the methods; the package's unless given.")
    ] = None,
) -> None:
    """Find the stenoses of simulated trees in perfect masks, on the true centreline and on reconstructed graphs."""
    names = named_methods(methods, models)
    loaded = {name: load_method(name, models) for name in names}
    verdicts: dict[str, list[Verdict]] = {name: [] for name in (TRUE_LINE, *names)}
    radii: dict[str, list[tuple[float, float]]] = {name: [] for name in verdicts}
    with progress() as bar:
        task = bar.add_task("Looking for stenoses", total=cases)
        for k in range(seed, seed + cases):
            case = stenosis_case(k)
            for name, of in verdicts.items():
                verdict, radius = _judge(case, _measured(case) if name == TRUE_LINE else _graph(loaded[name], case))
                of.append(verdict)
                radii[name].append(radius)
            bar.advance(task)
    _write(out, verdicts, radii, {"name": "stenosis", "cases": cases, "reported_from": REPORTED}, provenance(seed))


def _measured(case: StenosisCase) -> VesselGraph:
    """The true nodes with their radius as the masks show it."""
    pair, truth = case.pair, case.truth
    cameras = (camera_from_pose(pair.pose_a), camera_from_pose(pair.pose_b))
    masks = (pair.mask_a, pair.mask_b)
    return truth.with_(radius=node_radius(truth.position, truth.edges, truth.branch, cameras, masks))


def _graph(method: Method, case: StenosisCase) -> VesselGraph | None:
    try:
        return method(case.pair).graph
    except ReconstructionError:
        return None


def _judge(case: StenosisCase, graph: VesselGraph | None) -> tuple[Verdict, tuple[float, float]]:
    """What is found on a graph, and error and bias of its radius; a failed reconstruction finds nothing."""
    if graph is None:
        lost = case.truth.with_(position=case.truth.position + np.inf)
        return score_stenoses([], lost, case.lesions), (np.nan, np.nan)
    cameras = (camera_from_pose(case.pair.pose_a), camera_from_pose(case.pair.pose_b))
    score = graph_score(visible_part(graph), visible_part(case.truth), case.truth)
    verdict = score_stenoses(find_stenoses(graph, cameras), graph, case.lesions)
    return verdict, (score.radius_error_mm, score.radius_bias_mm)


def _write(
    out: Path,
    verdicts: dict[str, list[Verdict]],
    radii: dict[str, list[tuple[float, float]]],
    protocol: dict[str, Any],
    origin: dict[str, Any],
) -> None:
    found = {name: summary(of) for name, of in verdicts.items()}
    for name, of in radii.items():
        error, bias = np.nanmedian(np.array(of), axis=0)
        found[name] |= {"radius_error_mm": float(error), "radius_bias_mm": float(bias)}
    each = {name: [v._asdict() for v in of] for name, of in verdicts.items()}
    write_json(out / "metrics.json", {"protocol": protocol, "methods": found, "cases": each, **origin})
    lesions = {name: [row for v in of for row in v.lesions] for name, of in verdicts.items()}
    picture = out / "stenoses.png"
    draw_stenoses(found, lesions).savefig(picture, dpi=110)
    rows = table(found)
    rows["Radius in mm: error, bias"] = [
        f"{f['radius_error_mm']:.3f} {f['radius_bias_mm']:+.3f}" for f in found.values()
    ]
    caption = "Left: share found of the true stenoses. Right: measured against true diameter stenosis."
    sections = [Section("Methods", HOW_SCORED, rows, [(picture, caption)], tuple(found)),
                Section("Protocol", table=protocol | origin)]  # fmt: skip
    write_html(out / "report.html", TITLE, sections)
    shown = Table("", *found)
    for row, texts in rows.items():
        shown.add_row(row, *texts)
    terminal().print(shown)
    terminal().print(f"Wrote {out / 'metrics.json'}, report.html and {picture.name}", highlight=False, soft_wrap=True)
