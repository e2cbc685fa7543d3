"""`autocar evaluate segmentation`: how well vessels are seen in X-ray frames."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from autocar_ros.cli.console import progress, terminal
from autocar_ros.cli.scoring import mapped, usable_cores
from autocar_ros.cli.segmentation_cases import FACTORS, expose, segmentation_shot
from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.report import Section, method_table, plus_minus, provenance, spreads, write_html, write_json
from autocar_ros.evaluation.segmentation import (
    IN_MM,
    IN_PIXELS,
    METHODS,
    Picture,
    Widths,
    by_method,
    load_segmenter,
    read_pictures,
    timed_scores,
)
from autocar_ros.figures.comparison import draw_scores
from autocar_ros.figures.segmentation import contact_sheet, draw_recall, draw_robustness

TITLE = "Segmentation of angiograms"
HOW_SCORED = (
    "Mean and standard deviation over the pictures. Recall by width: share of the true centreline inside the mask. "
    "False length: centreline of the mask more than 2 px beside any true vessel. Catheter taken: share of the catheter "
    "outside the vessels that the vessel mask holds. ms: processor time of a picture."
)
SHOWN = ("dice", "cl_dice", "precision", "recall")
SHEET = 9  # pictures on the contact sheet
COLUMNS = 3

Scores = dict[str, dict[str, float]]  # method -> metric -> value


class Scored(NamedTuple):
    """What one simulated frame gave."""

    plain: Scores
    hard: dict[str, list[Scores]]  # factor -> scores at every level


def segmentation(
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, report.html and pictures.")],
    cases: Annotated[int, typer.Option(min=1, help="Number of simulated frames.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first frame; the others follow.")] = 5000,
    images: Annotated[
        Path | None, typer.Option(help="Folder with your own pictures in place of simulated ones.")
    ] = None,
    masks: Annotated[Path | None, typer.Option(help="Folder with their true masks, of the same file stem.")] = None,
    methods: Annotated[str, typer.Option(help=f"Some of {', '.join(METHODS)}, with commas; all unless given.")] = "",
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Also measure what dose, motion, contrast, ... do to simulated frames.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0 = one for each core.")] = 0,
) -> None:
    """Segment frames whose vessels are known by every method; compare masks, and tell the time.

    Without --images the frames are simulated: both trees, clinical views, full of contrast, with catheter. Nothing was
    ever trained or tuned on their seeds. Widths are in mm at the isocentre there, in px for your own pictures.
    """
    names = [name.strip() for name in methods.split(",")] if methods else list(METHODS)
    for name in names:
        load_segmenter(name)  # complains now, not in another process
    if (images is None) != (masks is None):
        raise InvalidInputError("give both --images and --masks, or neither")
    if images is not None and masks is not None:
        if robustness:
            raise InvalidInputError("--robustness changes simulated frames: leave out --images and --masks")
        _own_pictures(out, read_pictures(images, masks), names)
    else:
        _simulated(out, range(seed, seed + cases), names, robustness, min(jobs or usable_cores(), cases))


def score_shot(seed: int, names: Sequence[str], robustness: bool) -> Scored:
    """Scores of every method on the frame of a seed, and on its harder versions."""
    shot, segmenters = segmentation_shot(seed), {name: load_segmenter(name) for name in names}

    def score(picture: Picture) -> Scores:
        return {name: timed_scores(segment, picture) for name, segment in segmenters.items()}

    hard = {name: [score(f.picture(shot, level)) for level in f.levels] for name, f in FACTORS.items()}
    return Scored(score(expose(shot)), hard if robustness else {})


def _simulated(out: Path, seeds: range, names: list[str], robustness: bool, jobs: int) -> None:
    scored: list[Scored] = []
    with progress() as bar:
        task = bar.add_task("Segmenting", total=len(seeds))
        for one in mapped(partial(score_shot, names=tuple(names), robustness=robustness), seeds, jobs):
            scored.append(one)
            bar.advance(task)
    scores = by_method([one.plain for one in scored])
    hard = _curves([one.hard for one in scored]) if robustness else {}
    picked = _spread_cases(scores[names[0]])
    pictures = {f"seed {seeds[k]}": expose(segmentation_shot(seeds[k])) for k in picked}
    protocol = {"name": "segmentation", "cases": len(seeds), "contrast": "full"}
    _write(out, names, scores, pictures, IN_MM, protocol | ({"robustness": True} if robustness else {}),
           provenance(seeds[0]), hard)  # fmt: skip


def _own_pictures(out: Path, pictures: dict[str, Picture], names: list[str]) -> None:
    segmenters = {name: load_segmenter(name) for name in names}
    cases: list[Scores] = []
    with progress() as bar:
        task = bar.add_task("Segmenting", total=len(pictures))
        for picture in pictures.values():
            cases.append({name: timed_scores(of, picture, IN_PIXELS) for name, of in segmenters.items()})
            bar.advance(task)
    scores = by_method(cases)
    stems = list(pictures)
    shown = {stems[k]: pictures[stems[k]] for k in _spread_cases(scores[names[0]])}
    protocol = {"name": "segmentation", "pictures": len(pictures)}
    _write(out, names, scores, shown, IN_PIXELS, protocol, provenance(None), {})


def _curves(cases: Sequence[dict[str, list[Scores]]]) -> dict[str, dict[str, Any]]:
    """Spread of every metric at every level of every factor."""
    curves: dict[str, dict[str, Any]] = {}
    for name, factor in FACTORS.items():
        levels = [by_method([case[name][k] for case in cases]) for k in range(len(factor.levels))]
        of_method = {method: [spreads(level[method]) for level in levels] for method in levels[0]}
        curves[name] = {"label": factor.label, "levels": list(factor.levels), "methods": of_method}
    return curves


def _spread_cases(scores: Sequence[dict[str, float]]) -> list[int]:
    """Cases to show: evenly from the worst DICE to the best, never picked by eye."""
    order = np.argsort([score["dice"] for score in scores])
    places = np.rint(np.linspace(0, len(order) - 1, min(SHEET, len(order)))).astype(int)
    return [int(k) for k in order[places]]


def _write(
    out: Path,
    names: list[str],
    scores: dict[str, list[dict[str, float]]],
    shown: dict[str, Picture],
    widths: Widths,
    protocol: dict[str, Any],
    origin: dict[str, Any],
    hard: dict[str, dict[str, Any]],
) -> None:
    found = {name: spreads(of) for name, of in scores.items()}
    content = {"protocol": protocol, "methods": found, "robustness": hard, "cases": scores, **origin}
    write_json(out / "metrics.json", content)
    pictures = _pictures(out, names, scores, found, widths, shown, hard)
    metrics = list(dict.fromkeys(metric for of in found.values() for metric in of))
    rows = {m: [plus_minus(of[m]) if m in of else "" for of in found.values()] for m in metrics}
    sections = [Section("Methods", HOW_SCORED, rows, pictures, tuple(found)),
                Section("Protocol", table=protocol | origin)]  # fmt: skip
    write_html(out / "report.html", TITLE, sections)
    terminal().print(method_table(found))
    terminal().print(f"Wrote {out / 'metrics.json'}, report.html and pictures", highlight=False, soft_wrap=True)


def _pictures(
    out: Path,
    names: list[str],
    scores: dict[str, list[dict[str, float]]],
    found: dict[str, dict[str, Any]],
    widths: Widths,
    shown: dict[str, Picture],
    hard: dict[str, dict[str, Any]],
) -> list[tuple[Path, str]]:
    """Draw scores, recall by width, curves and one sheet a method; return the files with captions."""
    pictures = [(out / "scores.png", "All pictures: quartiles, 5 and 95 %, cross = mean."),
                (out / "widths.png", "Recall of the true centreline by width.")]  # fmt: skip
    draw_scores(scores, SHOWN).savefig(pictures[0][0], dpi=110)
    draw_recall(found, list(widths.bins())).savefig(pictures[1][0], dpi=110)
    if hard:
        pictures.append((out / "robustness.png", "DICE while one thing changes; the rest as in the plain frames."))
        draw_robustness(hard).savefig(pictures[-1][0], dpi=110)
    for name in names:
        segment, path = load_segmenter(name), out / f"sheet_{name}.png"
        masks = [segment(picture.image) for picture in shown.values()]
        contact_sheet([p.image for p in shown.values()], [m.vessel for m in masks], [m.catheter for m in masks],
                      COLUMNS, path, list(shown))  # fmt: skip
        pictures.append((path, f"{name}, from the worst DICE of {names[0]} to its best. Vessels red, catheter cyan."))
    return pictures
