"""`autocar evaluate dynamic`: how well the living graph follows a beating, breathing heart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.table import Table

from autocar_ros.cli import sequences as drawn
from autocar_ros.cli.console import progress, terminal
from autocar_ros.cli.scoring import mapped, usable_cores
from autocar_ros.cli.sequences import EVENT_START, START, Conditions, Event, draw_conditions, exposures
from autocar_ros.config import ReconstructionConfig
from autocar_ros.evaluation.dynamic import (
    LATE,
    Drive,
    frame_scores,
    reaction,
    rebuild_scores,
    rebuilder,
    sequence_scores,
)
from autocar_ros.evaluation.report import (
    Section,
    method_table,
    plus_minus,
    provenance,
    quantiles,
    spreads,
    write_html,
    write_json,
)
from autocar_ros.figures.sequence import draw_sequence
from autocar_ros.sbp.prediction import network_for
from autocar_ros.tracking.tracker import Tracker

TITLE = "Living graph of simulated sequences"
EVENT_SECONDS = 6.0  # of a sequence with an event
HOW_SCORED = (
    "Mean and standard deviation over the sequences, each the mean over its moments with at least half of the tree "
    "filled and in both images. Recall and precision: share of the centreline's length within 1 and 2 mm. Distinct: "
    "true points that no other lies over in view A; where vessels do, correspondence scores the distance between them. "
    "Of truth slightly off: the score of the true tree, shifted by 0.5 mm. Of the true "
    "nodes: found within 2 mm of the graph, lost because a mask does not show them, because the graph never held them, "
    "or because it drifted off. Node errors: distance of a node seen in both planes from the anatomical point it was "
    "born at; its part along the vessel, and across it in depth (half way between the rays) and in the image; common: "
    "length of the mean of all errors; born: distance from the vessel at which the nodes appeared. Pose error: from "
    "true nodes to where the believed poses put what both images show of them. Identity, dry too: moments between "
    "injections count as well. Reconstruction: those of the key frames by themselves. Wrong though ok: "
    "share of moments of status OK whose median error is above 2 mm. Step: processor time of the tracking step."
)
HOW_REACTED = (
    "Sequences filled with contrast all the time, plane B covered or frozen for 0.6 s, or the patient moved by 15 mm "
    "at once. Frames until the status is other than OK (0: at the first); beats until it is OK again, and until the "
    "graph finds as much as before, counted from the end of the trouble; false alarms: share of exposures before it."
)


class Scored(NamedTuple):
    """A sequence tracked by one method."""

    conditions: Conditions
    scores: dict[str, float]
    frames: list[dict[str, float]]
    milliseconds: list[float]
    reactions: dict[str, dict[str, float]]


def dynamic(
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, report.html and the picture.")],
    sequences: Annotated[int, typer.Option(min=1, help="Number of simulated patients.")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first patient; the others follow.")] = 2000,
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of a sequence [s].")] = 8.0,
    methods: Annotated[str, typer.Option(help="Reconstruction at key frames, with commas: network, lifting.")] = (
        "network"
    ),
    disturbance: Annotated[
        float, typer.Option(min=0.0, max=3.0, help="Factor on the errors of poses and masks; 0 = none.")
    ] = 1.0,
    events: Annotated[bool, typer.Option(help="Also cover a plane, freeze it, and move the patient.")] = True,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0 = one for each core.")] = 1,
) -> None:
    """Track simulated sequences of vessel masks at 15 pairs a second, without ROS; compare with the truth.

    Trees, views, heart rate, breathing, injections, errors of the poses and damage of the masks are drawn for each
    sequence. Reconstructions at key frames arrive 5 pairs late.
    """
    names = list(dict.fromkeys(name.strip() for name in methods.split(",") if name.strip()))
    for name in names:
        network_for(ReconstructionConfig(method=name))  # tells at once what is missing
    scored = _score_all(names, range(seed, seed + sequences), seconds, disturbance, events, jobs or usable_cores())
    protocol = _protocol(sequences, seconds, disturbance, events)
    origin = provenance(seed)
    found = {name: spreads([s.scores for s in of]) for name, of in scored.items()}
    reacted = {name: _reactions(of) for name, of in scored.items()} if events else {}
    step = {name: quantiles(chain.from_iterable(s.milliseconds for s in of)) for name, of in scored.items()}
    each = {name: [s._asdict() | {"conditions": asdict(s.conditions)} for s in of] for name, of in scored.items()}
    for sequence in chain.from_iterable(each.values()):
        del sequence["frames"], sequence["milliseconds"]
    write_json(out / "metrics.json", {"protocol": protocol, "methods": found, "step_ms": step, "events": reacted,
                                      "sequences": each, **origin})  # fmt: skip
    picture = _picture(out, scored[names[0]])
    write_html(out / "report.html", TITLE, _sections(protocol | origin, found, reacted, step, [picture]))
    terminal().print(method_table(found))
    if events:
        terminal().print(_event_table(reacted))
    terminal().print(f"Wrote {out / 'metrics.json'}, report.html and a picture", highlight=False, soft_wrap=True)


def score_sequence(seed: int, method: str, seconds: float, disturbance: float, events: bool) -> Scored:
    """Track one sequence, and the same patient through every event."""
    conditions = draw_conditions(seed, disturbance)
    rebuild = rebuilder(ReconstructionConfig(method=method))
    drive = Drive(Tracker(), rebuild)
    moments = list(drive(exposures(conditions, seconds)))
    frames = frame_scores(moments)
    scores = sequence_scores(moments, frames) | rebuild_scores(drive)
    reactions = {}
    for event in Event if events else ():
        course = list(Drive(Tracker(), rebuild)(exposures(conditions, EVENT_SECONDS, event)))
        beat = 60 / conditions.heart_rate
        reactions[str(event)] = asdict(reaction(frame_scores(course), EVENT_START, event.stop, beat))
    spent = [m.milliseconds for m in moments if m.graph is not None]
    return Scored(conditions, scores, frames, spent, reactions)


def _score_all(
    names: Sequence[str], seeds: Sequence[int], seconds: float, disturbance: float, events: bool, jobs: int
) -> dict[str, list[Scored]]:
    """Every sequence by every method."""
    scored: dict[str, list[Scored]] = {name: [] for name in names}
    with progress() as bar:
        task = bar.add_task("Tracking", total=len(names) * len(seeds))
        for name in names:
            score = partial(score_sequence, method=name, seconds=seconds, disturbance=disturbance, events=events)
            for result in mapped(score, seeds, min(jobs, len(seeds))):
                scored[name].append(result)
                bar.advance(task)
    return scored


def _protocol(sequences: int, seconds: float, disturbance: float, events: bool) -> dict[str, Any]:
    ranges = ("HEART_RATE", "BREATHING", "INJECTION", "PAUSE", "POSE_ANGLE", "POSE_SHIFT", "DAMAGE")
    return {
        "name": "dynamic",
        "sequences": sequences,
        "seconds": seconds,
        "pairs_a_second": drawn.RATE,
        "reconstruction_late_pairs": LATE,
        "disturbance": disturbance,
        "events": events,
        "drawn": {name.lower(): getattr(drawn, name) for name in ranges},
    }


def _reactions(scored: Sequence[Scored]) -> dict[str, dict[str, Any]]:
    """Spread of the reactions to every event, and how many sequences never noticed or never recovered."""
    found = {}
    for event in Event:
        of = [s.reactions[event] for s in scored]
        never = {f"never_{name}": sum(not np.isfinite(r[name]) for r in of) for name in of[0]}
        found[str(event)] = spreads(of) | {k: {"mean": float(v), "std": None, "n": len(of)} for k, v in never.items()}
    return found


def _picture(out: Path, scored: Sequence[Scored]) -> tuple[Path, str]:
    """Draw the sequence of median error, never the best one."""
    errors = [s.scores.get("error_median_mm", np.inf) for s in scored]
    middle = scored[int(np.argsort(errors)[(len(errors) - 1) // 2])]
    out.mkdir(parents=True, exist_ok=True)
    file = out / "sequence.png"
    draw_sequence(middle.frames, START).savefig(file, dpi=110)
    c = middle.conditions
    heart = f"{c.heart_rate:.0f} beats a minute, breathing {c.breathing:.1f} mm"
    return file, f"Seed {c.seed}, the sequence of median error: {heart}. Grey: less than half of the tree is filled."


def _sections(
    protocol: Mapping[str, Any],
    found: Mapping[str, Mapping[str, Mapping[str, Any]]],
    reacted: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]],
    step: Mapping[str, Mapping[str, Any]],
    pictures: Sequence[tuple[Path, str]],
) -> list[Section]:
    metrics = list(dict.fromkeys(metric for scores in found.values() for metric in scores))
    rows = {m: [plus_minus(of[m]) if m in of else "" for of in found.values()] for m in metrics}
    sections = [Section("Tracking", HOW_SCORED, rows, pictures, tuple(found))]
    for name, events in reacted.items():
        table = {m: [plus_minus(events[e][m]) for e in events] for m in next(iter(events.values()))}
        sections.append(Section(f"When something goes wrong: {name}", HOW_REACTED, table, columns=tuple(events)))
    text = "Ranges are uniform; errors of the poses are standard deviations, drawn from 0 on."
    times = Section("Time of the tracking step, ms, all sequences", table=step)
    return [*sections, times, Section("Protocol", text, protocol)]


def _event_table(reacted: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]) -> Table:
    columns = [(name, event) for name, events in reacted.items() for event in events]
    table = Table("", *(f"{event}, {name}" for name, event in columns))
    for metric in next(iter(next(iter(reacted.values())).values())):
        table.add_row(metric, *(plus_minus(reacted[name][event][metric]) for name, event in columns))
    return table
