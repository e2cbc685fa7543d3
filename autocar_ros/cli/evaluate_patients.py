"""`autocar evaluate patients`: reconstructions from two runs of a patient, judged in a third run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from autocar_ros.cli.console import progress, terminal
from autocar_ros.cli.reconstruct import Align, AlignOption, Method, MomentsOption
from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.patients import Name, Outcome, Pairing, Recorded, figures_of, find_trials, judge, record
from autocar_ros.evaluation.picture_runs import PictureRun, read_picture_runs
from autocar_ros.evaluation.report import Section, method_table, plus_minus, provenance, spreads, write_html, write_json
from autocar_ros.evaluation.segmentation import METHODS, load_segmenters
from autocar_ros.evaluation.third_view import NEAR
from autocar_ros.figures.third_view import Panel, draw_outcomes, draw_panels
from autocar_ros.geometry.alignment import corrected
from autocar_ros.pipeline import reconstruct
from autocar_ros.sbp.prediction import network_for
from autocar_ros.sbp.recorded import MOMENTS

TITLE = "Patients in a third view"
HOW_SCORED = (
    "Every two runs of an artery that are at least 25 degrees apart, and every third run at least 15 degrees from "
    "both, in frames of equal heart phase where it is known; of frames of nearly equal phase those whose views agree "
    "most, where they are aligned. Coverage: share of the third mask's centreline within 3 "
    "mm of the projected graph. Precision: share of the projection within 3 mm of it. The second view may be shifted "
    "before (epipolar consistency; correlation), the third one after. By chance: the same fit to the mirrored third "
    "mask. A reconstruction that fails counts 0."
)
SHOWN = ("phase_difference", "coverage", "precision", "chance_coverage", "chance_precision", "correlation", "failed")


def patients(
    data: Annotated[Path, typer.Option(help="Folder with geometry.csv and PATIENT/RUN/frames/*.jpg.")],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, report.html and pictures of the patients.")],
    right: Annotated[
        str, typer.Option(help="Runs of the right coronary artery, PATIENT/RUN, with commas; the others are left.")
    ] = "",
    pairing: Annotated[
        Pairing, typer.Option(help="Frames of equal heart phase, or the fullest of contrast.")
    ] = Pairing.PHASE,
    segmentation: Annotated[
        str, typer.Option(help=f"One of {', '.join(METHODS)}; the first that has weights unless given.")
    ] = "",
    weights: Annotated[
        Path | None, typer.Option(help="Weights of the segmentation network. Without it, those of the package.")
    ] = None,
    method: Annotated[
        Method, typer.Option(help="How a pair is reconstructed, as of `autocar reconstruct`.")
    ] = Method.NETWORK,
    align: AlignOption = Align.SHIFT,
    moments: MomentsOption = MOMENTS,
) -> None:
    """Reconstruct from two runs of a patient; see how well the graph fits a third run of the same artery.

    The best and the worst case of every patient are drawn: keep the folder to yourself, it shows patients.
    """
    runs = {(run.patient, run.name): run for run in read_picture_runs(data)}
    trials = list(find_trials(runs, _names(right, runs)))
    if not trials:
        raise InvalidInputError(f"{data}: no artery has three runs from angles far enough apart")
    name, segmenter = next(iter(load_segmenters([segmentation] if segmentation else (), weights).items()))
    config = ReconstructionConfig(method=str(method))
    rebuild = partial(reconstruct, config=config, network=network_for(config))
    used = sorted({run for trial in trials for run in trial})
    recorded: dict[Name, Recorded] = {}
    outcomes: list[Outcome] = []
    with progress() as bar:
        task = bar.add_task("Reading", total=len(used) + len(trials))
        for run in used:
            recorded[run] = record(runs[run], segmenter)
            bar.advance(task)
        bar.update(task, description="Reconstructing")
        for trial in trials:
            outcomes.append(judge(trial, recorded, pairing, rebuild, align.how, moments))
            bar.advance(task)
    protocol = {"name": "patients", "pairing": str(pairing), "segmentation": name, "method": str(method),
                "align": str(align), "moments": moments, "near_mm": NEAR}  # fmt: skip
    _write(out, outcomes, protocol)


def _names(listed: str, runs: dict[Name, PictureRun]) -> set[Name]:
    names = {(p, r) for p, _, r in (name.strip().lower().partition("/") for name in listed.split(",")) if p}
    unknown = sorted("/".join(name) for name in names - set(runs))
    if unknown:
        raise InvalidInputError(f"there is no run {', '.join(unknown)}, there are {', '.join(map('/'.join, runs))}")
    return names


def _write(out: Path, outcomes: Sequence[Outcome], protocol: dict[str, Any]) -> None:
    rows = [figures_of(outcome) for outcome in outcomes]
    numbers = [{k: v for k, v in row.items() if isinstance(v, float)} for row in rows]
    found = {}
    pictures = []
    for patient in dict.fromkeys(row["patient"] for row in rows):
        chosen = [k for k, row in enumerate(rows) if row["patient"] == patient]
        found[patient] = spreads([numbers[k] for k in chosen])
        order = sorted((outcomes[k] for k in chosen), key=lambda outcome: outcome.worth)
        path = out / f"{patient}.png"
        draw_panels([_panels("best", order[-1]), _panels("worst", order[0])], path)
        pictures.append((path, f"{patient}: the best and the worst case in first, second and third run."))
    if any(not row["failed"] for row in rows):
        pictures.append((out / "outcomes.png", "Every case over how well its two views agree on their absorption."))
        draw_outcomes(rows).savefig(pictures[-1][0], dpi=110)
    origin = provenance(None)
    write_json(out / "metrics.json", {"protocol": protocol, "patients": found, "cases": rows, **origin})
    table = {m: [plus_minus(of[m]) for of in found.values()] for m in SHOWN}
    each = {" ".join(row[k] for k in ("patient", "first", "second", "third")): [row[m] for m in SHOWN] for row in rows}
    sections = [Section("Third view", HOW_SCORED, table, pictures, tuple(found)),
                Section("Cases", table=each, columns=SHOWN), Section("Protocol", table=protocol | origin)]  # fmt: skip
    write_html(out / "report.html", TITLE, sections)
    terminal().print(method_table({patient: {m: of[m] for m in SHOWN} for patient, of in found.items()}))
    terminal().print(f"Wrote {out / 'metrics.json'}, report.html and pictures", highlight=False, soft_wrap=True)


def _panels(label: str, outcome: Outcome) -> list[Panel]:
    first, second, third = outcome.trial
    row, seen = figures_of(outcome), outcome.seen
    texts = (
        f"{label}: {first[1]}",
        f"{second[1]}, shift {row['shift_mm']:.1f} mm, correlation {row['correlation']:.2f}",
        f"{third[1]}, " + (f"coverage {seen.coverage:.2f}, precision {seen.precision:.2f}" if seen else "nothing"),
    )
    moved = corrected(outcome.shots[1].pose, outcome.alignment)
    poses = (outcome.shots[0].pose, moved, seen.pose if seen else outcome.shots[2].pose)
    views = zip(texts, outcome.shots, poses, strict=True)
    return [Panel(text, shot.image, shot.mask, pose, outcome.graph) for text, shot, pose in views]
