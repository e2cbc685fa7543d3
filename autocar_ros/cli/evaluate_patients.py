"""`autocar evaluate patients`: reconstructions from two runs of a patient, judged in a third run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from autocar_ros.cli.console import progress, terminal
from autocar_ros.cli.reconstruct import Method
from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import InvalidInputError, ReconstructionError
from autocar_ros.evaluation.picture_runs import PictureRun, read_picture_runs
from autocar_ros.evaluation.report import Section, method_table, plus_minus, provenance, spreads, write_html, write_json
from autocar_ros.evaluation.segmentation import METHODS, load_segmenters
from autocar_ros.evaluation.third_view import NEAR, Alignment, Shot, ThirdView, align, by_chance, third_view
from autocar_ros.figures.third_view import Panel, draw_panels
from autocar_ros.geometry.carm import angle_between
from autocar_ros.imaging.enhance import absorption
from autocar_ros.pipeline import reconstruct
from autocar_ros.sbp.network import SbpNetwork
from autocar_ros.sbp.prediction import network_for
from autocar_ros.types import FramePair, VesselGraph

TITLE = "Patients in a third view"
LEAST_ANGLE = 25.0  # degrees between the two runs of a reconstruction
LEAST_THIRD = 15.0  # degrees between the third run and each of them: nearer, it tells nothing about depth
HOW_SCORED = (
    "Every two runs of an artery that are at least 25 degrees apart, and every third run at least 15 degrees from "
    "both. Coverage: share of the third mask's centreline within 3 mm of the projected graph. Precision: share of the "
    "projection within 3 mm of it. The second view may be shifted before (epipolar consistency; correlation, and that "
    "of the next best shift), the third one after. By chance: the same fit to the mirrored third mask. A "
    "reconstruction that fails counts 0."
)
SHOWN = ("coverage", "precision", "chance_coverage", "chance_precision", "correlation", "failed")

Name = tuple[str, str]  # of a run: patient and run


class Trial(NamedTuple):
    """Runs that are reconstructed, and the one that judges."""

    first: Name
    second: Name
    third: Name


class Outcome(NamedTuple):
    """What a trial gave."""

    trial: Trial
    alignment: Alignment
    graph: VesselGraph | None  # None: no reconstruction was possible
    seen: ThirdView | None
    chance: ThirdView | None

    @property
    def worth(self) -> float:
        """Harmonic mean of coverage and precision."""
        if self.seen is None or self.seen.coverage + self.seen.precision == 0:
            return 0.0
        return 2 * self.seen.coverage * self.seen.precision / (self.seen.coverage + self.seen.precision)


def patients(
    data: Annotated[Path, typer.Option(help="Folder with geometry.csv and PATIENT/RUN/frames/*.jpg.")],
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, report.html and pictures of the patients.")],
    right: Annotated[
        str, typer.Option(help="Runs of the right coronary artery, PATIENT/RUN, with commas; the others are left.")
    ] = "",
    segmentation: Annotated[str, typer.Option(help=f"One of {', '.join(METHODS)}.")] = METHODS[0],
    method: Annotated[
        Method, typer.Option(help="How a pair is reconstructed, as of `autocar reconstruct`.")
    ] = Method.NETWORK,
) -> None:
    """Reconstruct from two runs of a patient; see how well the graph fits a third run of the same artery.

    The best and the worst case of every patient are drawn: keep the folder to yourself, it shows patients.
    """
    runs = {(run.patient, run.name): run for run in read_picture_runs(data)}
    trials = list(find_trials(runs, _names(right, runs)))
    if not trials:
        raise InvalidInputError(f"{data}: no artery has three runs from angles far enough apart")
    used = sorted({name for trial in trials for name in trial})
    config = ReconstructionConfig(method=str(method))
    network = network_for(config)
    with progress() as bar:
        task = bar.add_task("Segmenting", total=len(used) + len(trials))
        shots: dict[Name, Shot] = {}
        for name in used:
            shots[name] = fullest_shot(runs[name], segmentation)
            bar.advance(task)
        outcomes: list[Outcome] = []
        bar.update(task, description="Reconstructing")
        for trial in trials:
            outcomes.append(judge(trial, shots, config, network))
            bar.advance(task)
    protocol = {"name": "patients", "segmentation": segmentation, "method": str(method), "near_mm": NEAR}
    _write(out, outcomes, shots, protocol)


def find_trials(runs: dict[Name, PictureRun], right: set[Name]) -> Iterator[Trial]:
    """All pairs of runs that can be reconstructed, with all third runs of the same artery of the same patient."""

    def apart(a: Name, b: Name) -> float:
        degrees = float(np.degrees(angle_between(runs[a].pose, runs[b].pose)))
        return min(degrees, 180 - degrees)

    for a, b in combinations(sorted(runs), 2):
        for c in sorted(runs):
            of_one_artery = len({(name[0], name in right) for name in (a, b, c)}) == 1
            far = apart(a, b) >= LEAST_ANGLE and min(apart(a, c), apart(b, c)) >= LEAST_THIRD
            if c not in (a, b) and of_one_artery and far:
                yield Trial(a, b, c)


def fullest_shot(run: PictureRun, segmentation: str) -> Shot:
    """Frame of a run that is fullest of contrast, segmented."""
    images = run.images()
    image = images[int(np.argmax([np.maximum(absorption(frame, 40).value, 0).mean() for frame in images]))]
    return Shot(image, load_segmenters([segmentation])[segmentation].segment(image).vessel, run.pose)


def judge(trial: Trial, shots: dict[Name, Shot], config: ReconstructionConfig, network: SbpNetwork | None) -> Outcome:
    """Align, reconstruct, and look at it in the third view."""
    first, second, third = (shots[name] for name in trial)
    alignment = align(first, second)
    pair = FramePair(0, 0, first.mask, second.mask, first.pose, alignment.pose, key_frame=True)
    try:
        graph = reconstruct(pair, config, network).graph
    except ReconstructionError:
        return Outcome(trial, alignment, None, None, None)
    return Outcome(trial, alignment, graph, third_view(graph, third), by_chance(graph, third))


def figures_of(outcome: Outcome, shots: dict[Name, Shot]) -> dict[str, Any]:
    """Names and figures of an outcome, for the table."""
    a, b, c = (shots[name].pose for name in outcome.trial)
    seen, chance, graph = outcome.seen, outcome.chance, outcome.graph
    return {
        "patient": outcome.trial.first[0],
        **{role: name[1] for role, name in outcome.trial._asdict().items()},
        "angle_deg": float(np.degrees(angle_between(a, b))),
        "third_angle_deg": float(np.degrees(min(angle_between(a, c), angle_between(b, c)))),
        "shift_mm": outcome.alignment.shift,
        "correlation": outcome.alignment.correlation,
        "runner_up": outcome.alignment.runner_up,
        "coverage": seen.coverage if seen else 0.0,
        "precision": seen.precision if seen else 0.0,
        "third_shift_px": list(seen.shift) if seen else None,
        "chance_coverage": chance.coverage if chance else 0.0,
        "chance_precision": chance.precision if chance else 0.0,
        "own_coverage": float(min(graph.coverage)) if graph else 0.0,
        "failed": float(graph is None),
    }


def _names(listed: str, runs: dict[Name, PictureRun]) -> set[Name]:
    names = {(p, r) for p, _, r in (name.strip().lower().partition("/") for name in listed.split(",")) if p}
    unknown = sorted("/".join(name) for name in names - set(runs))
    if unknown:
        raise InvalidInputError(f"there is no run {', '.join(unknown)}, there are {', '.join(map('/'.join, runs))}")
    return names


def _write(out: Path, outcomes: Sequence[Outcome], shots: dict[Name, Shot], protocol: dict[str, Any]) -> None:
    rows = [figures_of(outcome, shots) for outcome in outcomes]
    numbers = [{k: v for k, v in row.items() if isinstance(v, float)} for row in rows]
    found = {}
    pictures = []
    for patient in dict.fromkeys(row["patient"] for row in rows):
        chosen = [k for k, row in enumerate(rows) if row["patient"] == patient]
        found[patient] = spreads([numbers[k] for k in chosen])
        order = sorted((outcomes[k] for k in chosen), key=lambda outcome: outcome.worth)
        path = out / f"{patient}.png"
        draw_panels([_panels("best", order[-1], shots), _panels("worst", order[0], shots)], path)
        pictures.append((path, f"{patient}: the best and the worst case in first, second and third run."))
    origin = provenance(None)
    write_json(out / "metrics.json", {"protocol": protocol, "patients": found, "cases": rows, **origin})
    table = {m: [plus_minus(of[m]) for of in found.values()] for m in SHOWN}
    each = {" ".join(row[k] for k in ("patient", "first", "second", "third")): [row[m] for m in SHOWN] for row in rows}
    sections = [Section("Third view", HOW_SCORED, table, pictures, tuple(found)),
                Section("Cases", table=each, columns=SHOWN), Section("Protocol", table=protocol | origin)]  # fmt: skip
    write_html(out / "report.html", TITLE, sections)
    terminal().print(method_table({patient: {m: of[m] for m in SHOWN} for patient, of in found.items()}))
    terminal().print(f"Wrote {out / 'metrics.json'}, report.html and pictures", highlight=False, soft_wrap=True)


def _panels(label: str, outcome: Outcome, shots: dict[Name, Shot]) -> list[Panel]:
    first, second, third = (shots[name] for name in outcome.trial)
    poses = (first.pose, outcome.alignment.pose, outcome.seen.pose if outcome.seen else third.pose)
    texts = (
        f"{label}: {outcome.trial.first[1]}",
        f"{outcome.trial.second[1]}, shift {outcome.alignment.shift:.1f} mm, r {outcome.alignment.correlation:.2f}",
        f"third {outcome.trial.third[1]}: "
        + (f"coverage {outcome.seen.coverage:.2f}, precision {outcome.seen.precision:.2f}" if outcome.seen else "none"),
    )
    views = zip(texts, (first, second, third), poses, strict=True)
    return [Panel(text, shot.image, shot.mask, pose, outcome.graph) for text, shot, pose in views]
