"""`autocar evaluate segmentation`: how well vessels are seen in X-ray frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from autocar_ros.cli.console import progress, terminal
from autocar_ros.cli.scoring import mapped, usable_cores
from autocar_ros.cli.segmentation_cases import FACTORS, expose, segmentation_shot, varied
from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.registered_views import read_registered_views
from autocar_ros.evaluation.report import Section, method_table, plus_minus, provenance, spreads, write_html, write_json
from autocar_ros.evaluation.segmentation import (
    COMPARED,
    IN_MM,
    IN_PIXELS,
    METHODS,
    Picture,
    Widths,
    by_method,
    load_segmenters,
    read_pictures,
    score_registered_view,
    timed_scores,
)
from autocar_ros.figures.comparison import draw_scores
from autocar_ros.figures.segmentation import contact_sheet, draw_recall, draw_robustness
from autocar_ros.imaging.segmentation import Segmenter
from autocar_ros.runtime import pin_threads

TITLE = "Segmentation of angiograms"
HOW_SCORED = (
    "Mean and standard deviation over the pictures. Recall by width: share of the true centreline inside the mask. "
    "False length: centreline of the mask more than 2 px beside any true vessel. Catheter taken: share of the catheter "
    "outside the vessels that the vessel mask holds. ms: processor time of a picture."
)
ON_PHANTOM = (
    "Recall: share of the registered centreline inside the mask, or within 1 and 3 mm of it. Precision: share of the "
    "mask's centreline within 3 mm of the registered one. Some of its side tubes were not filled with contrast."
)
SHOWN = ("dice", "cl_dice", "precision", "recall")
SHEET = 9  # pictures on the contact sheet
COLUMNS = 3

Scores = dict[str, dict[str, float]]  # method -> metric -> value


class Kind(StrEnum):
    """Simulated frames."""

    SIMULATOR = "simulator"  # as the simulator's node publishes them
    VARIED = "varied"  # drawn as those for training, from the test split; nobody knows their size in mm


WIDTHS = {Kind.SIMULATOR: IN_MM, Kind.VARIED: IN_PIXELS}


class Scored(NamedTuple):
    """What one simulated frame gave."""

    plain: Scores
    hard: dict[str, list[Scores]]  # factor -> scores at every level


class Result(NamedTuple):
    """Scores of all pictures, and what a report shows of them."""

    scores: dict[str, list[dict[str, float]]]  # method -> scores of every picture
    shown: dict[str, Picture]
    widths: Widths
    protocol: dict[str, Any]
    origin: dict[str, Any]
    curves: dict[str, dict[str, Any]]


def segmentation(
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, report.html and pictures.")],
    cases: Annotated[int, typer.Option(min=1, help="Number of simulated frames.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first frame; the others follow.")] = 5000,
    images: Annotated[
        Path | None, typer.Option(help="Folder with your own pictures in place of simulated ones.")
    ] = None,
    masks: Annotated[Path | None, typer.Option(help="Folder with their true masks, of the same file stem.")] = None,
    methods: Annotated[
        str,
        typer.Option(help=f"Some of {', '.join(METHODS)}, with commas; {' and '.join(COMPARED)} unless given."),
    ] = "",
    kind: Annotated[
        Kind, typer.Option(help="Simulated frames: of the simulator, or as varied as in training.")
    ] = Kind.SIMULATOR,
    phantom: Annotated[
        Path | None, typer.Option(help="Also score real runs in a folder, which a centreline is registered to.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights of the network. Without it, those of the package.")
    ] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also measure what dose, motion, contrast, ... do to simulated frames.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0 = one for each core.")] = 0,
) -> None:
    """Segment frames whose vessels are known by every method; compare masks, and tell the time.

    Without --images the frames are simulated: both trees, clinical views, full of contrast, with catheter. Nothing was
    ever trained or tuned on their seeds. Widths are in mm at the isocentre there, in px for your own pictures.
    """
    names = [name.strip() for name in methods.split(",")] if methods else []
    segmenters = load_segmenters(names, weights)
    if (images is None) != (masks is None):
        raise InvalidInputError("give both --images and --masks, or neither")
    if robustness and (images or kind is Kind.VARIED):
        raise InvalidInputError("--robustness changes frames of the simulator: leave out --images and --kind")
    if images is not None and masks is not None:
        result = _own_pictures(read_pictures(images, masks), segmenters)
    else:
        score = partial(score_seed, names=tuple(segmenters), weights=weights, kind=kind, robustness=robustness)
        result = _simulated(range(seed, seed + cases), score, kind, min(jobs or usable_cores(), cases))
    _write(out, result, segmenters, _registered(phantom, segmenters) if phantom else {})


def score_seed(seed: int, names: Sequence[str], weights: Path | None, kind: Kind, robustness: bool) -> Scored:
    """Scores of every method on the frame of a seed, and on its harder versions."""
    pin_threads()
    segmenters = load_segmenters(names, weights)
    frame = _frame(seed, kind)
    for segmenter in segmenters.values():
        segmenter.segment(frame.image)  # the first call of a process takes longer

    def score(picture: Picture) -> Scores:
        return {name: timed_scores(segmenter, picture, WIDTHS[kind]) for name, segmenter in segmenters.items()}

    shot = segmentation_shot(seed)
    hard = {name: [score(f.picture(shot, level)) for level in f.levels] for name, f in FACTORS.items() if robustness}
    return Scored(score(frame), hard)


def _frame(seed: int, kind: Kind) -> Picture:
    return varied(seed) if kind is Kind.VARIED else expose(segmentation_shot(seed))


def _simulated(seeds: range, score: Callable[[int], Scored], kind: Kind, jobs: int) -> Result:
    scored: list[Scored] = []
    with progress() as bar:
        task = bar.add_task("Segmenting", total=len(seeds))
        for one in mapped(score, seeds, jobs):
            scored.append(one)
            bar.advance(task)
    scores = by_method([one.plain for one in scored])
    shown = {f"seed {seeds[k]}": _frame(seeds[k], kind) for k in _spread_cases(scores)}
    protocol = {"name": "segmentation", "cases": len(seeds), "kind": str(kind)}
    return Result(scores, shown, WIDTHS[kind], protocol, provenance(seeds[0]), _curves([one.hard for one in scored]))


def _own_pictures(pictures: dict[str, Picture], segmenters: dict[str, Segmenter]) -> Result:
    pin_threads()
    cases: list[Scores] = []
    with progress() as bar:
        task = bar.add_task("Segmenting", total=len(pictures))
        for picture in pictures.values():
            cases.append({name: timed_scores(of, picture, IN_PIXELS) for name, of in segmenters.items()})
            bar.advance(task)
    scores, stems = by_method(cases), list(pictures)
    shown = {stems[k]: pictures[stems[k]] for k in _spread_cases(scores)}
    return Result(scores, shown, IN_PIXELS, {"name": "segmentation", "pictures": len(pictures)}, provenance(None), {})


def _registered(folder: Path, segmenters: dict[str, Segmenter]) -> dict[str, dict[str, Any]]:
    """Spread over the frames of every run for every method, and over all frames."""
    views = read_registered_views(folder)
    found: dict[str, dict[str, Any]] = {}
    with progress() as bar:
        task = bar.add_task("Segmenting the phantom", total=len(segmenters) * len(views))
        for name, segmenter in segmenters.items():
            runs = {}
            for view in views:
                masks = [segmenter.segment(image).vessel for image in view.images]
                runs[view.name] = [score_registered_view(m, view.projected, view.mm_per_pixel) for m in masks]
                bar.advance(task)
            every = [score for scores in runs.values() for score in scores]
            found[name] = {"all": spreads(every)} | {run: spreads(scores) for run, scores in runs.items()}
    return found


def _curves(cases: Sequence[dict[str, list[Scores]]]) -> dict[str, dict[str, Any]]:
    """Spread of every metric at every level of every factor that was tried."""
    curves: dict[str, dict[str, Any]] = {}
    for name in cases[0]:
        factor = FACTORS[name]
        levels = [by_method([case[name][k] for case in cases]) for k in range(len(factor.levels))]
        of_method = {method: [spreads(level[method]) for level in levels] for method in levels[0]}
        curves[name] = {"label": factor.label, "levels": list(factor.levels), "methods": of_method}
    return curves


def _spread_cases(scores: dict[str, list[dict[str, float]]]) -> list[int]:
    """Cases to show: evenly from the worst DICE of the first method to its best, never picked by eye."""
    order = np.argsort([score["dice"] for score in next(iter(scores.values()))])
    places = np.rint(np.linspace(0, len(order) - 1, min(SHEET, len(order)))).astype(int)
    return [int(k) for k in order[places]]


def _write(out: Path, result: Result, segmenters: dict[str, Segmenter], phantom: dict[str, dict[str, Any]]) -> None:
    found = {name: spreads(of) for name, of in result.scores.items()}
    content = {"protocol": result.protocol, "methods": found, "robustness": result.curves, "phantom": phantom}
    write_json(out / "metrics.json", content | {"cases": result.scores} | result.origin)
    metrics = list(dict.fromkeys(metric for of in found.values() for metric in of))
    rows = {m: [plus_minus(of[m]) if m in of else "" for of in found.values()] for m in metrics}
    sections = [
        Section("Methods", HOW_SCORED, rows, _pictures(out, result, found, segmenters), tuple(found)),
        *(Section(f"Phantom, {name}", ON_PHANTOM, _by_run(of), columns=tuple(of)) for name, of in phantom.items()),
        Section("Protocol", table=result.protocol | result.origin),
    ]
    write_html(out / "report.html", TITLE, sections)
    terminal().print(method_table(found))
    if phantom:
        terminal().print(method_table({name: of["all"] for name, of in phantom.items()}))
    terminal().print(f"Wrote {out / 'metrics.json'}, report.html and pictures", highlight=False, soft_wrap=True)


def _by_run(runs: dict[str, Any]) -> dict[str, list[str]]:
    return {metric: [plus_minus(run[metric]) for run in runs.values()] for metric in runs["all"]}


def _pictures(
    out: Path, result: Result, found: dict[str, dict[str, Any]], segmenters: dict[str, Segmenter]
) -> list[tuple[Path, str]]:
    """Draw scores, recall by width, curves and one sheet a method; return the files with captions."""
    pictures = [(out / "scores.png", "All pictures: quartiles, 5 and 95 %, cross = mean."),
                (out / "widths.png", "Recall of the true centreline by width.")]  # fmt: skip
    draw_scores(result.scores, SHOWN).savefig(pictures[0][0], dpi=110)
    draw_recall(found, list(result.widths.bins())).savefig(pictures[1][0], dpi=110)
    if result.curves:
        pictures.append((out / "robustness.png", "DICE while one thing changes; the rest as in the plain frames."))
        draw_robustness(result.curves).savefig(pictures[-1][0], dpi=110)
    frames = [picture.image for picture in result.shown.values()]
    for name, segmenter in segmenters.items():
        path, masks = out / f"sheet_{name}.png", [segmenter.segment(frame) for frame in frames]
        contact_sheet(frames, [m.vessel for m in masks], [m.catheter for m in masks], COLUMNS, path, list(result.shown))
        text = f"{name}, from the worst DICE of {next(iter(found))} to its best. Vessels red, catheter cyan."
        pictures.append((path, text))
    return pictures
