"""`autocar evaluate`: how good the reconstruction is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from autocar_ros.cli.cases import Tree, static_case
from autocar_ros.cli.console import progress, terminal
from autocar_ros.cli.evaluate_alignment import alignment
from autocar_ros.cli.evaluate_dynamic import dynamic
from autocar_ros.cli.evaluate_patients import patients
from autocar_ros.cli.evaluate_perturbation import perturbation
from autocar_ros.cli.evaluate_phase import phase
from autocar_ros.cli.evaluate_segmentation import segmentation
from autocar_ros.cli.evaluate_stenosis import stenosis
from autocar_ros.cli.scoring import Scores, score_cases, usable_cores
from autocar_ros.cli.segment import Method as Segmentation
from autocar_ros.cli.segment import MethodOption as SegmentationOption
from autocar_ros.config import CaseConfig, SegmentationConfig
from autocar_ros.evaluation.methods import METHODS, TOGETHER, VOXEL_SIZE, load_method, named_methods, usable_methods
from autocar_ros.evaluation.protocols import read_centreline, score_registered, timed
from autocar_ros.evaluation.report import (
    Section,
    method_table,
    plus_minus,
    provenance,
    spreads,
    static_sections,
    write_html,
    write_json,
)
from autocar_ros.evaluation.voxels import dense, grid_around, lumen
from autocar_ros.figures.comparison import draw_scores, draw_volumes
from autocar_ros.figures.graph3d import draw_graph
from autocar_ros.imaging.dicom import read_run
from autocar_ros.imaging.segmentation import find_vessels, segmenter_for
from autocar_ros.sbp.recorded import MOMENTS, from_around, paired
from autocar_ros.types import FramePair, VesselGraph

TITLE = "Static reconstruction of simulated trees"
PHANTOM_METHODS = ("sbp", "lifting", "visual_hull")
TOGETHER_EACH = 3  # frames of the phantom, one is also reconstructed with all others
MARGIN = 15.0  # mm around the true tree in a picture

evaluate = typer.Typer(
    help="Measure how good the reconstruction is, with baselines.", no_args_is_help=True, add_completion=False
)
evaluate.command()(alignment)
evaluate.command()(dynamic)
evaluate.command()(patients)
evaluate.command()(perturbation)
evaluate.command()(phase)
evaluate.command()(segmentation)
evaluate.command()(stenosis)


@evaluate.command()
def static(
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, report.html and pictures.")],
    cases: Annotated[int, typer.Option(min=1, help="Number of simulated trees.")] = 90,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first tree; the others follow.")] = 1000,
    misalignment: Annotated[
        float, typer.Option(min=0.0, help="Distance between where both views saw the vessels [mm, rms].")
    ] = 0.0,
    calibre: Annotated[
        float, typer.Option(min=0.5, max=3.0, help="Factor on the radius of all vessels: wider than they were drawn.")
    ] = 1.0,
    tree: Annotated[
        Tree, typer.Option(help="Coronary tree, left, right or both; tubes: a tree of tubes that follows no anatomy.")
    ] = Tree.BOTH,
    methods: Annotated[
        str, typer.Option(help=f"Some of {', '.join(METHODS)}, with commas; all that have weights unless given.")
    ] = "",
    models: Annotated[
        Path | None, typer.Option(help="Folder with NAME.safetensors of the methods; the package's unless given.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0 = one for each core.")] = 0,
) -> None:
    """Reconstruct simulated trees from a pair of perfect masks each, by every method; compare with the truth.

    The cases are those of the test split: nothing was ever trained or tuned on them.
    """
    names = _names(methods, models)
    jobs = min(jobs or usable_cores(), cases)
    scored: list[Scores] = []
    config = CaseConfig(tree=str(tree), misalignment=misalignment, calibre=calibre)
    with progress() as bar:
        task = bar.add_task("Reconstructing", total=cases)
        for scores in score_cases(range(seed, seed + cases), config, names, models, jobs):
            scored.append(scores)
            bar.advance(task)
    by_method = {name: [scores[name] for scores in scored] for name in names}
    found = {name: spreads(scores) for name, scores in by_method.items()}
    protocol = {"name": "static", "cases": cases, "misalignment_mm": misalignment, "calibre": calibre,
                "tree": str(tree), "voxel_size_mm": VOXEL_SIZE, "jobs": jobs}  # fmt: skip
    origin = provenance(seed)
    write_json(out / "metrics.json", {"protocol": protocol, "methods": found, "cases": by_method, **origin})
    drawn = seed + _median_case(by_method[names[0]])
    pictures = _static_pictures(out, by_method, drawn, config, models)
    write_html(out / "report.html", TITLE, static_sections(protocol | origin, found, pictures))
    terminal().print(method_table(found))
    terminal().print(f"Wrote {out / 'metrics.json'}, report.html and pictures", highlight=False, soft_wrap=True)


def _names(methods: str, models: Path | None) -> list[str]:
    """Methods asked for, or all that can be used; says which cannot."""
    if methods:
        return named_methods(methods, models)
    names, missing = usable_methods(models)
    if missing:
        text = f"Left out, having no weights: {', '.join(missing)}. Name one with --methods to learn how to train it."
        terminal().print(text, highlight=False, soft_wrap=True)
    return names


def _median_case(scores: list[dict[str, float]]) -> int:
    """Return which case to draw: the one of median DICE, never the best."""
    return int(np.argsort([score["dice"] for score in scores])[(len(scores) - 1) // 2])


def _static_pictures(
    out: Path, scores: dict[str, list[dict[str, float]]], seed: int, config: CaseConfig, models: Path | None
) -> list[tuple[Path, str]]:
    """Draw the spread of the scores, and one case; return the files with captions."""
    pair, truth = static_case(seed, config)
    grid = grid_around(truth.position, voxel_size=VOXEL_SIZE, margin=MARGIN)
    volumes = {name: dense(timed(load_method(name, models), pair)[0].volume, grid) for name in scores}
    files = out / "scores.png", out / "volumes.png"
    draw_scores(scores).savefig(files[0], dpi=110)
    draw_volumes(volumes, lumen(truth, grid), VOXEL_SIZE).savefig(files[1], dpi=110)
    first = next(iter(scores))
    return [
        (files[0], "DICE and cl-DICE of all cases: quartiles, 5 and 95 %, cross = mean."),
        (files[1], f"Seed {seed}, the case with the median DICE of {first}. Blue: not more than 1 mm from the truth; "
                   "orange: further away. The bar is 10 mm."),
    ]  # fmt: skip


@evaluate.command()
def phantom(
    data: Annotated[Path, typer.Option(help="Folder with IM3.dcm, IM4.dcm and centreline_lps_mm.csv.")],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, report.html and the picture.")],
    pixel_spacing: Annotated[float, typer.Option(min=0.001, help="Pixel spacing at the detector [mm].")] = 0.390625,
    methods: Annotated[
        str, typer.Option(help=f"Some of {', '.join(METHODS)}, with commas; sbp, lifting, visual_hull unless given.")
    ] = "",
    models: Annotated[
        Path | None, typer.Option(help="Folder with NAME.safetensors of the methods; the package's unless given.")
    ] = None,
    segmentation: SegmentationOption = Segmentation.NETWORK,
) -> None:
    """Reconstruct the phantom from two real X-ray runs, frame by frame; compare with its centreline.

    The phantom does not move: frames differ by their noise, and so do the masks. Together: some of the frames with the
    others to confirm them, as `autocar reconstruct` does. Coverage: share of the masks' centrelines that the graph
    explains within 3 mm, in the worse view. The reference is fitted rigidly, is
    good to about 1 mm, and some of its side tubes were not filled with contrast.
    """
    usable = [name for name in usable_methods(models)[0] if name in PHANTOM_METHODS]
    names = named_methods(methods, models) if methods else usable
    reference = read_centreline(data / "centreline_lps_mm.csv")
    pairs = _real_pairs(data / "IM3.dcm", data / "IM4.dcm", pixel_spacing, segmentation)
    scores: dict[str, list[dict[str, float]]] = {}
    drawn: VesselGraph | None = None
    loaded = {name: load_method(name, models) for name in names}
    trials = [trial for name in names for trial in _phantom_trials(name, pairs)]
    with progress() as bar:
        task = bar.add_task("Reconstructing", total=len(trials))
        for name, label, pair, more in trials:
            graph = loaded[name](pair, **more).graph
            score, moved = score_registered(graph, reference)
            kept = {k: float(v) for k, v in asdict(score).items() if not k.startswith("radius")}
            scores.setdefault(label, []).append(kept | {"coverage": float(min(graph.coverage))})
            drawn = drawn or moved
            bar.advance(task)
    found = {name: spreads(of_method) for name, of_method in scores.items()}
    _write_phantom(out, found, scores, drawn, reference, segmentation)


def _phantom_trials(name: str, pairs: list[FramePair]) -> Iterator[tuple[str, str, FramePair, dict[str, Any]]]:
    """Method, what its scores are called, pair, and other arguments: every frame by itself; some with all others."""
    for pair in pairs:
        yield name, name, pair, {}
    for k in range(0, len(pairs) if name in TOGETHER else 0, TOGETHER_EACH):
        yield name, f"{name}_together", pairs[k], {"more": from_around((pairs[k:] + pairs[:k])[:MOMENTS])}


def _write_phantom(
    out: Path,
    found: dict[str, dict[str, dict[str, float]]],
    scores: dict[str, list[dict[str, float]]],
    drawn: VesselGraph | None,
    reference: VesselGraph,
    segmentation: Segmentation,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    picture, origin = out / "graph_and_reference.png", provenance(None)
    if drawn is not None:
        draw_graph(drawn, reference, picture)
    frames = len(next(iter(scores.values())))
    protocol = {"name": "phantom", "frames": frames, "segmentation": str(segmentation)}
    write_json(out / "metrics.json", {"protocol": protocol, "methods": found, "frames": scores, **origin})
    caption = f"First frame by {next(iter(found))} (coloured) and registered centreline (grey)."
    text = f"Against its centreline after the best rigid fit; mean and standard deviation of {frames} frames."
    sections = [
        Section("Phantom, runs IM3 and IM4", text, {}, [(picture, caption)]),
        *(Section(name, table={m: plus_minus(s) for m, s in of.items()}) for name, of in found.items()),
        Section("Origin", table=origin),
    ]
    write_html(out / "report.html", "Reconstruction of the phantom", sections)
    shown = (
        "recall_3mm", "precision_3mm", "recall_2mm", "precision_2mm", "error_median_mm", "coverage", "components"
    )  # fmt: skip
    terminal().print(method_table({name: {m: of[m] for m in shown} for name, of in found.items()}))
    terminal().print(f"Wrote {out / 'metrics.json'}, report.html and {picture.name}", highlight=False, soft_wrap=True)


def _real_pairs(run_a: Path, run_b: Path, pixel_spacing: float, segmentation: Segmentation) -> list[FramePair]:
    """Pairs of equal frames of two runs, segmented."""
    runs = [read_run(path, pixel_spacing=pixel_spacing) for path in (run_a, run_b)]
    frames = range(min(len(run) for run in runs))
    segmenter = segmenter_for(SegmentationConfig(method=str(segmentation)))
    shown = [[find_vessels(segmenter, run.images[k]) for run in runs] for k in frames]
    return [paired(*shown[k], *(run.poses[k] for run in runs)) for k in frames]
