"""Results for people and programs: JSON with where it comes from, tables, a self-contained HTML page."""

from __future__ import annotations

import base64
import html
import json
import math
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from autocar_ros import __version__
from autocar_ros.errors import InvalidInputError

NOTICE = "Research software, not a medical device: not for diagnosis or treatment."
PAPER = {"visual hull": [0.19, 0.26, 12.64, 33.1], "AutoCAR": [0.80, 0.93, 1.27, 3.57]}  # its Table 1, at 0.5 mm
HOW_SCORED = (
    "Mean and standard deviation over the cases. Recall and precision: share of the centreline's length within 1 and "
    "2 mm. Shares of the true voxels: found, outside the hull of the masks, pruned at 2 and 1 mm, missed at 0.5 mm; of "
    "the predicted: right, beside the truth, ghosts (more than 2 mm from it). Ostium found: share of the graphs that "
    "reach the true ostium and begin there. Seconds: one process beside others."
)
PAPER_METRICS = ("DICE", "cl-DICE", "Chamfer distance [mm]", "HD95 [mm]")


@dataclass(frozen=True)
class Section:
    """A part of a report: text, a table of name and value or values, pictures with captions."""

    title: str
    text: str = ""
    table: Mapping[str, Any] | None = None
    pictures: Sequence[tuple[Path, str]] = ()
    columns: Sequence[str] = ()  # heads of the table, whose values are lists then


def spread(values: Iterable[float]) -> dict[str, float | int | None]:
    """Mean, sample standard deviation and number of the finite values."""
    finite = np.asarray([v for v in values if math.isfinite(v)], float)
    mean = float(finite.mean()) if len(finite) else None
    return {"mean": mean, "std": float(finite.std(ddof=1)) if len(finite) > 1 else None, "n": len(finite)}


def spreads(scores: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float | int | None]]:
    """`spread` of every metric over the cases that have it."""
    metrics = dict.fromkeys(metric for case in scores for metric in case)
    return {metric: spread(case[metric] for case in scores if metric in case) for metric in metrics}


def quantiles(values: Iterable[float]) -> dict[str, float | int | None]:
    """Median, 95 % and 99 % quantile, largest and number of the finite values."""
    finite = np.asarray([v for v in values if math.isfinite(v)], float)
    if len(finite) == 0:
        return {"median": None, "p95": None, "p99": None, "max": None, "n": 0}
    median, p95, p99 = (float(q) for q in np.quantile(finite, (0.5, 0.95, 0.99)))
    return {"median": median, "p95": p95, "p99": p99, "max": float(finite.max()), "n": len(finite)}


def provenance(seed: int | None) -> dict[str, Any]:
    """Where a figure comes from: version, commit, machine, time, seed."""
    return {
        "seed": seed,
        "version": __version__,
        "commit": source_commit(),
        "machine": machine(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def source_commit() -> str | None:
    """Git commit of the sources, with `-modified` when they differ from it; None outside a checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("-modified" if _git("status", "--porcelain", "--untracked-files=no", "--", "..") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def machine() -> dict[str, Any]:
    """Processor, usable cores, memory, system and Python."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(pages * page / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write strict JSON: what is not finite becomes null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def method_table(methods: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Table:
    """One row per metric and one column per method: mean and standard deviation over the cases."""
    metrics = list(dict.fromkeys(metric for scores in methods.values() for metric in scores))
    table = Table("", *methods)
    for metric in metrics:
        table.add_row(metric, *(plus_minus(s[metric]) if metric in s else "" for s in methods.values()))
    return table


def plus_minus(score: Mapping[str, Any]) -> str:
    """Mean and standard deviation of a `spread` in words."""
    if score["mean"] is None:
        return "-"
    return f"{score['mean']:.3g}" + (f" ± {score['std']:.2g}" if score["std"] is not None else "")


def static_sections(
    protocol: Mapping[str, Any],
    methods: Mapping[str, Mapping[str, Mapping[str, Any]]],
    pictures: Sequence[tuple[Path, str]],
) -> list[Section]:
    """Report of the static protocol; `methods` holds the `spread` of every metric of every method."""
    metrics = list(dict.fromkeys(metric for scores in methods.values() for metric in scores))
    rows = {m: [plus_minus(scores[m]) if m in scores else "" for scores in methods.values()] for m in metrics}
    return [
        Section("Methods", HOW_SCORED, rows, pictures, tuple(methods)),
        Section("The paper's own figures", "On its own simulated set, with its own trees and views: for orientation, "
                "not a comparison.", PAPER, columns=PAPER_METRICS),
        Section("Protocol", "Simulated trees of the test split, perfect masks, poses true but for the misalignment; "
                "radii as drawn, times the calibre.",
                protocol),
    ]  # fmt: skip


def write_html(path: Path, title: str, sections: Iterable[Section]) -> None:
    """Write a page that needs no other file; raises `InvalidInputError` for a missing picture."""
    body = "\n".join(_section(s) for s in sections)
    name = html.escape(title)
    path.write_text(
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{name}</title>\n'
        f"<style>{_STYLE}</style></head>\n<body>\n<h1>{name}</h1>\n{body}\n<footer>{NOTICE}</footer>\n</body>\n</html>\n"
    )


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.5rem;border-bottom:1px solid #ddd}"
    "table{border-collapse:collapse}th{text-align:left;padding-right:1.5rem}"
    "td{padding:.15rem 1.5rem .15rem 0;border-bottom:1px solid #eee;vertical-align:top}"
    "td:last-child{font-variant-numeric:tabular-nums}"
    "figure{display:inline-block;margin:1rem 1rem 0 0;max-width:100%}img{max-width:100%}"
    "figcaption,footer{color:#666;font-size:.9rem}footer{margin-top:3rem}"
)


def _section(section: Section) -> str:
    parts = [f"<h2>{html.escape(section.title)}</h2>"]
    if section.text:
        parts.append(f"<p>{html.escape(section.text)}</p>")
    if section.table:
        head = f"<tr>{''.join(f'<th>{html.escape(c)}</th>' for c in ('', *section.columns))}</tr>"
        rows = (_row(name, value if section.columns else [value]) for name, value in section.table.items())
        parts.append(f"<table>{head if section.columns else ''}{''.join(rows)}</table>")
    parts += [_picture(file, caption) for file, caption in section.pictures]
    return "<section>" + "\n".join(parts) + "</section>"


def _row(name: str, values: Sequence[Any]) -> str:
    return "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in (name, *map(_text, values))) + "</tr>"


def _picture(file: Path, caption: str) -> str:
    if not file.exists():
        raise InvalidInputError(f"the report wants a picture that is not there: {file}")
    data = base64.b64encode(file.read_bytes()).decode()
    text = html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_text(v)}" for k, v in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, np.generic):
        return _finite(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _git(*arguments: str) -> str:
    folder = Path(__file__).resolve().parent
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
