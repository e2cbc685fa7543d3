"""`autocar phase`: heart phase and contrast of every frame of a DICOM run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from autocar_ros.cli.console import progress, terminal
from autocar_ros.figures.phase import draw_phase
from autocar_ros.imaging.dicom import read_run
from autocar_ros.sync.contrast import ContrastState
from autocar_ros.sync.runs import ObservedRun, observe_dicom
from autocar_ros.types import NANOSECONDS, PhaseSource

WORDS = {PhaseSource.ECG: "ECG", PhaseSource.IMAGE: "motion of the vessels", PhaseSource.NONE: "nothing"}


def phase(
    run: Annotated[Path, typer.Argument(help="DICOM run.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    images_only: Annotated[bool, typer.Option("--images-only", help="Do not use the ECG of the file.")] = False,
    frame_rate: Annotated[float | None, typer.Option(min=0.1, help="Frames a second; replaces the tag.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for a picture of the curve.")] = None,
) -> None:
    """Tell heart phase (0 = R wave) and contrast of every frame, and the frames of the R waves.

    The ECG of the file is used if it has one, else the motion of the vessels. Frames count from 0. The error beside a
    phase is the expected one, of a standard deviation: it grows before the first and after the last R wave.
    """
    with progress() as bar:
        bar.add_task("Watching the vessels", total=None)
        found = observe_dicom(read_run(run, frame_rate=frame_rate), images_only)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        draw_phase(found).savefig(out / "phase.png", dpi=110)
    if as_json:
        typer.echo(json.dumps(_as_data(found), indent=1))
    else:
        _print(found, out)


def _as_data(run: ObservedRun) -> dict[str, Any]:
    beat = run.beat_seconds
    return {
        "source": run.source.name.lower(),
        "confidence": round(run.beats.confidence, 3),
        "reason": run.beats.reason,
        "heart_rate": round(60 / beat, 1) if np.isfinite(beat) else None,
        "r_wave_frames": run.r_wave_frames.tolist(),
        "frames": [
            {
                "frame": k,
                "time_s": round((int(stamp) - int(run.stamps[0])) / NANOSECONDS, 4),
                "phase": _rounded(run.phase[k]),
                "phase_error": _rounded(run.phase_error[k]),
                "contrast": ContrastState(run.contrast[k]).name.lower(),
            }
            for k, stamp in enumerate(run.stamps)
        ],
    }


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def _print(run: ObservedRun, out: Path | None) -> None:
    data, console = _as_data(run), terminal()
    table = Table("frame", "time, s", "phase", "contrast")
    for row in data["frames"]:
        shown = "-" if row["phase"] is None else f"{row['phase']:.2f} ± {row['phase_error']:.2f}"
        table.add_row(str(row["frame"]), f"{row['time_s']:.3f}", shown, row["contrast"].replace("_", " "))
    console.print(table)
    rate = f", {data['heart_rate']:.0f} beats a minute" if data["heart_rate"] else ""
    console.print(f"phase by {WORDS[run.source]} (confidence {run.beats.confidence:.2f}){rate}", highlight=False)
    if run.beats.reason:
        console.print(f"[yellow]no heart phase:[/] {run.beats.reason}", highlight=False)
    console.print(f"R waves at frames {', '.join(map(str, data['r_wave_frames'])) or '-'}", highlight=False)
    if out is not None:
        console.print(f"written to {out / 'phase.png'}", highlight=False, soft_wrap=True, markup=False)
