"""`autocar evaluate phase`: heart phase without ECG, of simulated runs that beat, breathe and fill."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.table import Table

from autocar_ros.cli.console import progress, terminal
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
from autocar_ros.figures.phase import draw_rates
from autocar_ros.sync.cardiac import ImagePhase
from autocar_ros.sync.motion import Vessels
from autocar_ros.sync.pairing import Pairing
from autocar_ros.sync.phase import REFRESH
from autocar_ros.sync.runs import observe_run, pair_runs, vessels_of
from autocar_ros.synthetic.contrast import Contrast
from autocar_ros.synthetic.scene import Scene
from autocar_ros.types import NANOSECONDS, FloatArray, IntArray

SIZE = 256  # px, of the simulated frames
FRAME_RATE = 15.0  # 1/s
SECONDS = 7.0  # of one run
PAUSE = 2.0  # s between the runs of both planes
INJECTION = 4.5  # s
ARRIVAL = 0.3  # s, of the contrast in each run
FILLED = 1.0  # s after it, from which on beats should be found
WARM = 3.0  # s after it, from which on they should be found online: two beats must have been seen
PAIRS = 5  # of each two runs
RATE, BREATHING, VARIABILITY = (50.0, 120.0), (3.0, 10.0), (0.01, 0.06)  # 1/min, mm, relative
SHOWN = {
    "found_offline": "end-diastolic frames found, offline",
    "found_online": "end-diastolic frames found, online",
    "pairs_equal": "pairs within 5 % of the cycle",
}


class _Run(NamedTuple):
    """One simulated run."""

    stamps: IntArray  # (F,) ns
    beats: FloatArray  # (F,) true heart beats
    vessels: list[Vessels]  # F masks, or absorption of the frames


def phase(
    out: Annotated[Path, typer.Option(help="Folder for metrics.json and the picture.")],
    sequences: Annotated[int, typer.Option(min=1, help="Number of patients, of two runs each.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first patient; the others follow.")] = 5000,
) -> None:
    """Find end-diastolic frames and pairs of equal phase without ECG, in true masks and in simulated frames."""
    rows: dict[str, list[dict[str, Any]]] = {"masks": [], "frames": []}
    with progress() as bar:
        task = bar.add_task("Watching hearts", total=sequences)
        for k in range(sequences):
            rate = RATE[0] + (RATE[1] - RATE[0]) * (k + 0.5) / sequences
            scene = _patient(seed + k, rate)
            for kind, of in rows.items():
                runs = _runs(scene, frames=kind == "frames")
                of.append({"seed": seed + k, "rate": rate} | _score(scene, runs, live=kind == "masks"))
            bar.advance(task)
    _write(out, rows, seed)


def _patient(seed: int, rate: float) -> Scene:
    rng = np.random.default_rng([seed, 5])
    breathing, variability = float(rng.uniform(*BREATHING)), float(rng.uniform(*VARIABILITY))
    scene = Scene(SimulationConfig(
        seed=seed, tree=str(rng.choice(["left", "right"])), views="random", image_size=SIZE, heart_rate=rate,
        heart_rate_variability=variability, breathing=breathing,
    ))  # fmt: skip
    scene.contrast = Contrast(start=ARRIVAL, duration=INJECTION, period=SECONDS + PAUSE)
    return scene


def _runs(scene: Scene, frames: bool) -> list[_Run]:
    """Run of plane A, and after a pause that of plane B."""
    runs = []
    for plane, start in (("a", 0.0), ("b", SECONDS + PAUSE)):
        times = start + np.arange(round(SECONDS * FRAME_RATE)) / FRAME_RATE
        made = vessels_of(scene.image(plane, t) for t in times) if frames else (scene.mask(plane, t) for t in times)
        stamps = np.rint(times * NANOSECONDS).astype(np.int64)
        runs.append(_Run(stamps, scene.motion.beats(times), list(made)))
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
    score["pairs_online"] = _paired_online(scene, runs) if live else pair_score(np.zeros(0), np.zeros(0))
    return score


def _online(run: _Run) -> FloatArray:
    """(F,) phase of every frame as told when it came in."""
    phase, told = ImagePhase(SynchronizationConfig().image_history, REFRESH), []
    for stamp, picture in zip(run.stamps, run.vessels, strict=True):
        phase.add(int(stamp), picture)
        told.append(float(phase.phases(np.array([stamp]))[0]))
    return np.array(told)


def _paired_online(scene: Scene, runs: list[_Run]) -> dict[str, int]:
    """Pairs of the synchronisation in mode phase, fed one run after the other without an ECG."""
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
    return pair_score(both[:, 0], both[:, 1])


def _write(out: Path, rows: dict[str, list[dict[str, Any]]], seed: int) -> None:
    scores = {kind: summary(of) for kind, of in rows.items()}
    rates = {kind: by_rate(of) for kind, of in rows.items()}
    protocol = {
        "name": "phase", "frame_rate": FRAME_RATE, "seconds": SECONDS, "breathing_mm": BREATHING,
        "variability": VARIABILITY, "filled_after_s": FILLED, "warm_after_s": WARM,
    }  # fmt: skip
    data = {"protocol": protocol, "methods": scores, "by_rate": rates, "sequences": rows, **provenance(seed)}
    write_json(out / "metrics.json", data)
    draw_rates(rates, SHOWN).savefig(out / "phase.png", dpi=110)
    table = Table("", *scores)
    for key in next(iter(scores.values())):
        table.add_row(key.replace("_", " "), *(_shown(of[key]) for of in scores.values()))
    terminal().print(table)
    terminal().print(f"Wrote {out / 'metrics.json'} and phase.png", highlight=False, soft_wrap=True)


def _shown(value: float | int | None) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
