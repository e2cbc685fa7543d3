"""`autocar evaluate perturbation`: what wrong poses, masks and times cost, and what the alignment makes good."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from autocar_ros.cli.console import progress, terminal
from autocar_ros.cli.scoring import mapped, usable_cores
from autocar_ros.cli.sequences import RATE, START, draw_conditions, exposures
from autocar_ros.config import CaseConfig, ReconstructionConfig, SimulationConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.dynamic import Exposure, Rebuild, rebuilder
from autocar_ros.evaluation.matched_pose import MATCH_ERROR
from autocar_ros.evaluation.perturbation import (
    ALIGNMENTS,
    MATCHED,
    POSE_SHIFT,
    Kind,
    curves,
    misread,
    recognition,
    score_online,
    score_pair,
    score_sequence,
    score_watch,
)
from autocar_ros.evaluation.report import Section, method_table, plus_minus, provenance, write_html, write_json
from autocar_ros.figures.perturbation import draw_perturbation
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel
from autocar_ros.sbp.prediction import network_for
from autocar_ros.sync.pairing import Pairing
from autocar_ros.synthetic.cases import Case, case_rng, draw_case
from autocar_ros.synthetic.contrast import Contrast
from autocar_ros.synthetic.damage import damage_mask
from autocar_ros.synthetic.ecg import first_sample
from autocar_ros.synthetic.poses import mistaken
from autocar_ros.synthetic.scene import ECG_RATE, Scene
from autocar_ros.synthetic.tubes import Tubes
from autocar_ros.types import NANOSECONDS, CArmPose, FramePair, Mask, VesselGraph
from autocar_ros.vessels.tree import visible_part

TITLE = "What the reconstruction bears"
SECONDS = 5.0  # of a sequence with dropped frames
WATCHED = Kind.PHASE, Kind.ARTERY, Kind.JUMP  # what is wrong in a whole run
WATCH, MOVE = 4.0, 2.5  # s of a watched run, and from its start to the move of the table
INFLOW = 0.7  # s before its start at which contrast reaches the ostium
OTHER = {"left": "right", "right": "left"}
MOMENT = 1.0, 11.0  # s of the scene between which plane A of a pair of two phases is exposed
SHOWN = (
    "recall_2mm", "precision_2mm", "error_median_mm", "error_median_scaled_mm", "coverage", "ok", "wrong_though_ok",
    "failed", "confidence", "recognized", "doubted_share", "moves", "pairs", "left_mm",
    "refinements", "refinement_s",
)  # fmt: skip
HOW_SCORED = (
    "Mean and standard deviation over the cases: still pairs after the best rigid fit (scaled: fit of motion and size, "
    "as two views from unknown places do not tell the size), in which the views are wrong by one disturbance; "
    "sequences of the living graph without a fit, in which frames are missing. Alignment: plane B as reported, shifted "
    "across its epipolar lines, or its angles and distances corrected, too; matched: its pose by the true points seen "
    f"in both images with errors of {MATCH_ERROR:g} px, the best that any method could do. Coverage: share of the true "
    "vessels that the graph reaches in view A. OK: status of the graph; wrong though ok: its median error is above "
    "2 mm. Runs of another phase, of another artery and with a table move are watched pair by pair, too: recognized "
    "(at size 0: false alarms), share of the pairs in doubt, moves noticed, pairs until then, mm left across the "
    "epipolar lines. "
    "Runs aligned as they go on: the last pair, refinements by reprojection that were adopted, s of the longest."
)

Row = dict[str, Any]


def perturbation(
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, report.html and the picture.")],
    kinds: Annotated[str, typer.Option(help=f"Some of {', '.join(Kind)}, with commas.")] = ",".join(Kind),
    cases: Annotated[int, typer.Option(min=1, help="Simulated patients of every kind.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first patient; the others follow.")] = 6000,
    method: Annotated[str, typer.Option(help="Reconstruction: network or lifting.")] = "network",
    align: Annotated[
        str,
        typer.Option(
            help=f"Some of {', '.join(ALIGNMENTS)}, with commas. Also {MATCHED}, for kinds pose, angle and shift: "
            "plane B by true matches, the best that any method could do."
        ),
    ] = ",".join(ALIGNMENTS),
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0 = one for each core.")] = 1,
) -> None:
    """Disturb poses, masks and times of simulated patients more and more; compare with the truth.

    Every case is reconstructed with every alignment asked for.
    """
    chosen, aligns = _kinds(kinds), _chosen("align", align, [*ALIGNMENTS, MATCHED])
    if MATCHED in aligns and not all(kind.of_pose for kind in chosen):
        raise InvalidInputError(f"{MATCHED} is for wrong poses of still pairs: give --kinds pose, angle or shift")
    network_for(ReconstructionConfig(method=method))  # tells at once what is missing
    tasks = range(len(chosen) * cases)
    rows: list[Row] = []
    with progress() as bar:
        task = bar.add_task("Disturbing", total=len(tasks))
        score = partial(_score_task, kinds=chosen, seed=seed, method=method, aligns=aligns)
        for found in mapped(score, tasks, min(jobs or usable_cores(), len(tasks))):
            rows.extend(found)
            bar.advance(task)
    protocol = {"name": "perturbation", "cases": cases, "method": method,
                "levels": {kind: kind.levels for kind in chosen}}  # fmt: skip
    _write(out, rows, protocol, provenance(seed))


def score_case(kind: Kind, seed: int, rebuild: Rebuild, aligns: Sequence[str] = ALIGNMENTS) -> Iterator[Row]:
    """Scores of one patient under every size of a disturbance and every alignment."""
    for level in kind.levels:
        scored: list[Callable[..., dict[str, float]]] = []  # by alignment
        if kind == Kind.FRAMES:
            scored.append(partial(score_sequence, list(dropped_sequence(seed, level)), rebuild=rebuild))
        elif kind == Kind.ONLINE:
            scored.append(partial(score_online, *online_run(seed, level), rebuild=rebuild))
        elif kind != Kind.JUMP:
            scored.append(partial(score_pair, *disturbed_case(kind, seed, level), rebuild=rebuild))
        if kind in WATCHED:
            scored.append(partial(score_watch, *watched_run(kind, seed, level)))
        for align in aligns:
            scores = {name: value for score in scored for name, value in score(align=align).items()}
            yield {"kind": str(kind), "seed": seed, "level": level, "align": align, "scores": scores}


def disturbed_case(kind: Kind, seed: int, level: float) -> tuple[FramePair, VesselGraph, tuple[CArmPose, CArmPose]]:
    """Pair as believed, true vessels, and the poses that the masks were made with; `level` as of `Kind.levels`."""
    if kind in (Kind.PHASE, Kind.ARTERY):
        pair, truth = _phase_case(seed, level if kind == Kind.PHASE else 0.0)
    else:
        pair, truth = _still_case(seed, level if kind == Kind.DAMAGE else 0.0)
    if kind == Kind.ARTERY and level:
        stranger = _scene(seed + 1)  # an odd seed is a left artery, an even one a right one
        pair = replace(pair, mask_b=_seen_from(stranger, pair.pose_b, pair.stamp_b_ns / NANOSECONDS))
    angle = level if kind in (Kind.ANGLE, Kind.POSE) else 0.0
    shift = float(np.interp(level, kind.levels, POSE_SHIFT)) if kind == Kind.POSE else level * (kind == Kind.SHIFT)
    believed = mistaken(np.random.default_rng([seed, 4]), pair.pose_b, angle, shift)
    return misread(pair, believed), truth, (pair.pose_a, pair.pose_b)


def watched_run(kind: Kind, seed: int, level: float) -> tuple[list[FramePair], CArmPose, int | None]:
    """Run in which plane B is wrong; its true pose; and the stamp from which on, None for all the time.

    Heart rate, breathing, damage of the masks and errors of the reported poses are drawn as for `evaluate dynamic`;
    contrast arrives at the start. Pairs are made with an ECG, which in `Kind.PHASE` does not tell that plane B is late.
    In `Kind.ONLINE` the reported poses have no other errors.
    """
    c, online = draw_conditions(seed), kind == Kind.ONLINE
    errors = {"plane_b_turn": level, "plane_b_shift": float(np.interp(level, kind.levels, POSE_SHIFT))} if online else {
        "pose_angle_error": c.pose_angle, "pose_shift_error": c.pose_shift
    }  # fmt: skip
    config = SimulationConfig(
        seed=seed, tree=c.tree, views="random", heart_rate=c.heart_rate, breathing=c.breathing, **errors,
        table_move=level if kind == Kind.JUMP else 0.0, table_move_time=START + MOVE,
    )  # fmt: skip
    scene, pairing, rng = Scene(config), Pairing(), np.random.default_rng([seed, 7])
    scene.contrast = Contrast(start=START - INFLOW)
    stranger = level > 0 and kind == Kind.ARTERY
    shown_b = Scene(replace(config, seed=seed + 1, tree=OTHER[c.tree])) if stranger else scene
    later = level * 60 / c.heart_rate if kind == Kind.PHASE else 0.0
    told, pairs = 0.0, []
    for k in range(round(WATCH * RATE)):
        now = START + k / RATE
        stamp = round(now * NANOSECONDS)
        pairing.add_ecg(round(first_sample(told, ECG_RATE) * NANOSECONDS), ECG_RATE, scene.ecg(told, now))
        told = now
        seen_b = _seen_from(shown_b, scene.true_pose("b"), now) if stranger else scene.mask("b", now + later)
        for plane, mask in (("a", scene.mask("a", now)), ("b", seen_b)):
            pose = scene.pose(plane, now)
            pairing.add_pose(plane, stamp, pose)
            pairing.add_mask(plane, stamp, damage_mask(rng, mask, mm_per_pixel(pose), c.damage))
        pair = pairing.take()
        assert pair is not None  # both planes are exposed at once, and have a pose
        pairs.append(pair)
    moved = round((START + MOVE) * NANOSECONDS) if kind == Kind.JUMP else None
    return pairs, scene.true_pose("b"), moved


def online_run(seed: int, level: float) -> tuple[list[FramePair], VesselGraph, tuple[CArmPose, CArmPose]]:
    """Run whose plane B is wrong; the true vessels that the last pair shows; and the true poses."""
    pairs, true_b, _ = watched_run(Kind.ONLINE, seed, level)
    c = draw_conditions(seed)
    scene = Scene(SimulationConfig(
        seed=seed, tree=c.tree, views="random", heart_rate=c.heart_rate, breathing=c.breathing
    ))  # fmt: skip
    scene.contrast = Contrast(start=START - INFLOW)
    return pairs, visible_part(scene.truth(pairs[-1].stamp_a_ns / NANOSECONDS)), (scene.true_pose("a"), true_b)


def dropped_sequence(seed: int, dropped: float) -> Iterator[Exposure]:
    """Sequence of a patient without other disturbances, of whose exposures a share never comes."""
    return exposures(draw_conditions(seed, 0.0), SECONDS, dropped=dropped)


def _still_case(seed: int, damage: float) -> Case:
    return draw_case(case_rng("test", seed, 0), CaseConfig(damage=damage))


def _phase_case(seed: int, later: float) -> Case:
    """Plane B `later` heart beats after plane A; the truth is what A saw. Breath is held."""
    scene = _scene(seed)
    first = float(np.random.default_rng([seed, 5]).uniform(*MOMENT))
    second = first + later * 60 / scene.config.heart_rate
    stamps = round(first * NANOSECONDS), round(second * NANOSECONDS)
    masks = scene.mask("a", first), scene.mask("b", second)
    pair = FramePair(*stamps, *masks, scene.pose("a"), scene.pose("b"), key_frame=True)
    return Case(pair, visible_part(scene.truth(first)))


def _scene(seed: int) -> Scene:
    return Scene(SimulationConfig(
        seed=seed, tree="left" if seed % 2 else "right", views="random", contrast="full", breathing=0.0,
        background=False, collimator=0,
    ))  # fmt: skip


def _seen_from(scene: Scene, pose: CArmPose, time: float) -> Mask:
    """Mask of a patient full of contrast from a view that is not one of the scene's."""
    graph = scene.truth(time)
    tubes = Tubes(graph.position, graph.radius, graph.edges, graph.branch)
    chords = tubes.chords(camera_from_pose(pose), graph.position, np.ones(len(graph)))
    return np.where(chords > 0, np.uint8(255), np.uint8(0))


def _kinds(names: str) -> list[Kind]:
    return [Kind(name) for name in _chosen("kinds", names, list(Kind))]


def _chosen(option: str, names: str, known: Sequence[str]) -> list[str]:
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise InvalidInputError(f"{option} must be some of {', '.join(known)}, got {', '.join(unknown) or 'none'}")
    return list(dict.fromkeys(wanted))


def _score_task(task: int, kinds: Sequence[Kind], seed: int, method: str, aligns: Sequence[str]) -> list[Row]:
    config = ReconstructionConfig(method=method)
    case, kind = divmod(task, len(kinds))
    return list(score_case(kinds[kind], seed + case, rebuilder(config), aligns))


def _write(out: Path, rows: Sequence[Row], protocol: dict[str, Any], origin: dict[str, Any]) -> None:
    found = curves(rows)
    told = {kind: recognition(rows, Kind(kind)) for kind in found if kind in (Kind.PHASE, Kind.ARTERY)}
    metrics = {"protocol": protocol, "curves": found, "recognition": told, "cases": rows}
    write_json(out / "metrics.json", metrics | origin)
    labels = {kind: Kind(kind).label for kind in found}
    picture = out / "perturbation.png"
    draw_perturbation(found, labels).savefig(picture, dpi=110)
    caption = f"Means of {protocol['cases']} cases with their standard errors."
    sections = [Section("Curves", HOW_SCORED, {}, [(picture, caption)])]
    for kind, lines in found.items():
        columns = {f"{align}, {e['level']:g}": e for align, entries in lines.items() for e in entries}
        shown = {name: {m: e[m] for m in SHOWN if m in e} for name, e in columns.items()}
        table = {m: [plus_minus(e[m]) if m in e else "" for e in columns.values()] for m in SHOWN}
        sections.append(Section(labels[kind], table=table, columns=tuple(columns)))
        terminal().print(f"{labels[kind]}: alignment, size", highlight=False)
        for align in lines:
            terminal().print(method_table({n: s for n, s in shown.items() if n.startswith(f"{align},")}))
    for kind, line in told.items():
        table = {f"{e['threshold']:.2f}": [f"{e['sensitivity']:.0%}", f"{e['false_alarms']:.0%}"] for e in line}
        columns = ("recognized", "false alarms")
        sections.append(Section(f"Told wrong below a confidence: {labels[kind]}", table=table, columns=columns))
    write_html(out / "report.html", TITLE, [*sections, Section("Protocol", table=protocol | origin)])
    terminal().print(f"Wrote {out / 'metrics.json'}, report.html and {picture.name}", highlight=False, soft_wrap=True)
