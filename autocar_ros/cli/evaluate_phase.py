"""`autocar evaluate phase`: heart phase without ECG, of simulated runs that beat, breathe and fill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.table import Table

from autocar_ros.cli.console import progress, terminal
from autocar_ros.cli.segmentation_cases import FACTORS, Factor
from autocar_ros.config import SimulationConfig, SynchronizationConfig
from autocar_ros.evaluation.phase import (
    by_rate,
    end_diastolic_frames,
    frame_score,
    pair_score,
    phase_score,
    summary,
    wrapping_frames,
)
from autocar_ros.evaluation.report import provenance, write_json
from autocar_ros.figures.phase import draw_curves, draw_rates
from autocar_ros.imaging.segmentation import Segmenter, segmenter_for
from autocar_ros.runtime import pin_threads
from autocar_ros.sync.cardiac import ImagePhase
from autocar_ros.sync.motion import Vessels
from autocar_ros.sync.pairing import Pairing
from autocar_ros.sync.phase import REFRESH
from autocar_ros.sync.runs import observe_run, pair_runs, vessels_in
from autocar_ros.synthetic.contrast import Contrast
from autocar_ros.synthetic.scene import Scene
from autocar_ros.types import NANOSECONDS, FloatArray, IntArray

SIZE = 256  # px, of the simulated frames
SEGMENTED = 512  # px, of those that the network segments, as on a C-arm
FRAME_RATE = 15.0  # 1/s
SECONDS = 7.0  # of one run
PAUSE = 2.0  # s between the runs of both planes
INJECTION = 4.5  # s
ARRIVAL = 0.3  # s, of the contrast in each run
FILLED = 1.0  # s after it, from which on beats should be found
WARM = 3.0  # s after it, from which on they should be found online: two beats must have been seen
PAIRS = 5  # of each two runs
RATE, BREATHING, VARIABILITY = (50.0, 120.0), (3.0, 10.0), (0.01, 0.06)  # 1/min, mm, relative
Rows = list[dict[str, Any]]  # scores of sequences
SHOWN = {
    "found_offline": "end-diastolic frames found, offline",
    "found_online": "end-diastolic frames found, online",
    "pairs_equal": "pairs within 5 % of the cycle",
}
CURVES = {
    "found_online": "end-diastolic frames found, online",
    "false_online": "false ones, online",
    "pairs_equal_online": "live pairs within 5 %",
    "pairs_of_frames_online": "frames of plane B with a live pair",
}


class _Run(NamedTuple):
    """One simulated run."""

    stamps: IntArray  # (F,) ns
    beats: FloatArray  # (F,) true heart beats
    vessels: list[Vessels]  # F masks, or absorption of the frames


def phase(
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and the pictures.")],
    sequences: Annotated[int, typer.Option(min=1, help="Number of patients, of two runs each.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first patient; the others follow.")] = 5000,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Also measure what dose, motion, contrast, ... do to frames that the network segments; some minutes a "
            "patient.",
        ),
    ] = False,
) -> None:
    """Find end-diastolic frames and pairs of equal phase without ECG.

    In true masks, in the absorption of simulated frames, and in masks of the network.
    """
    pin_threads()
    segmenter = segmenter_for()
    hard = {name: [Rows() for _ in factor.levels] for name, factor in FACTORS.items() if robustness}
    rows: dict[str, Rows] = {}
    with progress() as bar:
        task = bar.add_task("Watching hearts", total=sequences * (1 + sum(map(len, hard.values()))))
        for k in range(sequences):
            rate = RATE[0] + (RATE[1] - RATE[0]) * (k + 0.5) / sequences
            for kind, score in _plain_scores(seed + k, rate, segmenter).items():
                rows.setdefault(kind, []).append({"seed": seed + k, "rate": rate} | score)
            bar.advance(task)
            for name, of_levels in hard.items():
                for level, of in zip(FACTORS[name].levels, of_levels, strict=True):
                    of.append(_hard_score(seed + k, rate, FACTORS[name], level, segmenter))
                    bar.advance(task)
    _write(out, rows, hard, seed)


def _plain_scores(seed: int, rate: float, segmenter: Segmenter) -> dict[str, dict[str, Any]]:
    """Everything about a patient, by what is looked at."""
    config, large = _config(seed, rate, SIZE), _config(seed, rate, SEGMENTED)
    scene, seen = _scene(config), _scene(large)
    return {
        "masks": _score(scene, _runs(scene, scene.mask), live=True),
        "frames": _score(scene, _runs(scene, lambda plane, time: vessels_in(scene.image(plane, time))), live=False),
        "network": _score(seen, _runs(seen, lambda p, time: segmenter.segment(seen.image(p, time)).vessel), live=True),
    }


def _hard_score(seed: int, rate: float, factor: Factor, level: float, segmenter: Segmenter) -> dict[str, Any]:
    """Everything about a patient whose frames are hard to segment."""
    scene = _scene(factor.config(_config(seed, rate, SEGMENTED), level))
    runs = _runs(scene, lambda plane, time: segmenter.segment(factor.image(scene, plane, time, level)).vessel)
    return _score(scene, runs, live=True)


def _config(seed: int, rate: float, size: int) -> SimulationConfig:
    rng = np.random.default_rng([seed, 5])
    breathing, variability = float(rng.uniform(*BREATHING)), float(rng.uniform(*VARIABILITY))
    return SimulationConfig(
        seed=seed, tree=str(rng.choice(["left", "right"])), views="random", image_size=size, heart_rate=rate,
        heart_rate_variability=variability, breathing=breathing,
    )  # fmt: skip


def _scene(config: SimulationConfig) -> Scene:
    """A patient who is injected at the start of each run."""
    scene = Scene(config)
    scene.contrast = Contrast(start=ARRIVAL, duration=INJECTION, period=SECONDS + PAUSE)
    return scene


def _runs(scene: Scene, look: Callable[[str, float], Vessels]) -> list[_Run]:
    """Run of plane A, and after a pause that of plane B; `look` shows the vessels of a plane at a time in s."""
    runs = []
    for plane, start in (("a", 0.0), ("b", SECONDS + PAUSE)):
        times = start + np.arange(round(SECONDS * FRAME_RATE)) / FRAME_RATE
        stamps = np.rint(times * NANOSECONDS).astype(np.int64)
        runs.append(_Run(stamps, scene.motion.beats(times), [look(plane, float(time)) for time in times]))
    return runs


def _score(scene: Scene, runs: list[_Run], live: bool) -> dict[str, Any]:
    """Everything about the two runs of a patient."""
    filled, warm = (round((ARRIVAL + wait) * FRAME_RATE) for wait in (FILLED, WARM))
    parts: dict[str, list[dict[str, int]]] = {}
    observed = []
    for run in runs:
        found, told = observe_run(run.vessels, run.stamps), _online(run)
        observed.append(found)
        true = end_diastolic_frames(run.beats)
        parts.setdefault("offline", []).append(frame_score(found.r_wave_frames, true, filled))
        parts.setdefault("online", []).append(frame_score(wrapping_frames(told), true, warm))
        parts.setdefault("phase_offline", []).append(phase_score(found.phase, run.beats, filled))
        parts.setdefault("phase_online", []).append(phase_score(told, run.beats, warm))
    pairs = [p for p in pair_runs(*observed, count=PAIRS) if np.isfinite(p.residual_skew)]
    beats_a, beats_b = (run.beats[[getattr(p, f"frame_{n}") for p in pairs]] for run, n in zip(runs, "ab", strict=True))
    score = {part: {key: sum(row[key] for row in of) for key in of[0]} for part, of in parts.items()}
    score["best_pair"] = pair_score(beats_a[:1], beats_b[:1])
    score["pairs"] = pair_score(beats_a, beats_b)
    score["pairs_online"] = _paired_online(scene, runs) if live else {"pairs": 0, "equal": 0, "frames": 0}
    return score


def _online(run: _Run) -> FloatArray:
    """(F,) phase of every frame as told when it came in."""
    phase, told = ImagePhase(SynchronizationConfig().image_history, REFRESH), []
    for stamp, picture in zip(run.stamps, run.vessels, strict=True):
        phase.add(int(stamp), picture)
        told.append(float(phase.phases(np.array([stamp]))[0]))
    return np.array(told)


def _paired_online(scene: Scene, runs: list[_Run]) -> dict[str, int]:
    """Pairs of the synchronisation in mode phase, fed one run after the other without an ECG; frames: of the second."""
    pairing = Pairing(SynchronizationConfig(mode="phase", phase_window=2 * (SECONDS + PAUSE)))
    beats: dict[int, float] = {}
    found: list[tuple[float, float]] = []
    for plane, run in zip("ab", runs, strict=True):
        beats |= dict(zip(run.stamps.tolist(), run.beats.tolist(), strict=True))
        for stamp, mask in zip(run.stamps.tolist(), run.vessels, strict=True):
            pairing.add_pose(plane, stamp, scene.pose(plane))
            pairing.add_mask(plane, stamp, mask)
            pair = pairing.take()
            if pair is not None:
                found.append((beats[pair.stamp_a_ns], beats[pair.stamp_b_ns]))
    both = np.array(found).reshape(-1, 2)
    return pair_score(both[:, 0], both[:, 1]) | {"frames": len(runs[1].stamps)}


def _write(out: Path, rows: dict[str, Rows], hard: dict[str, list[Rows]], seed: int) -> None:
    scores = {kind: summary(of) for kind, of in rows.items()}
    rates = {kind: by_rate(of) for kind, of in rows.items()}
    curves = {
        name: {"label": FACTORS[name].label, "levels": FACTORS[name].levels, "scores": [summary(of) for of in levels]}
        for name, levels in hard.items()
    }
    protocol = {
        "name": "phase", "frame_rate": FRAME_RATE, "seconds": SECONDS, "breathing_mm": BREATHING,
        "variability": VARIABILITY, "filled_after_s": FILLED, "warm_after_s": WARM,
    }  # fmt: skip
    data = {"protocol": protocol, "methods": scores, "by_rate": rates, "robustness": curves, "sequences": rows}
    write_json(out / "metrics.json", data | provenance(seed))
    draw_rates(rates, SHOWN).savefig(out / "phase.png", dpi=110)
    pictures = "phase.png"
    if curves:
        draw_curves(curves, CURVES).savefig(out / "robustness.png", dpi=110)
        pictures += " and robustness.png"
    _print(scores, curves)
    terminal().print(f"Wrote {out / 'metrics.json'} and {pictures}", highlight=False, soft_wrap=True)


def _print(scores: dict[str, dict[str, Any]], curves: dict[str, dict[str, Any]]) -> None:
    table = Table("", *scores)
    for key in next(iter(scores.values())):
        table.add_row(key.replace("_", " "), *(_shown(of[key]) for of in scores.values()))
    terminal().print(table)
    for curve in curves.values():
        levels = Table(curve["label"], *(f"{level:g}" for level in curve["levels"]))
        for key, label in CURVES.items():
            levels.add_row(label, *(_shown(of[key]) for of in curve["scores"]))
        terminal().print(levels)


def _shown(value: float | int | None) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
