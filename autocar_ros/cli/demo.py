"""`autocar demo`: the whole chain on simulated X-ray, measured."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from autocar_ros.cli.console import terminal
from autocar_ros.cli.live import Course, run_live
from autocar_ros.cli.pictures import Picture, draw_session
from autocar_ros.cli.session import read_session
from autocar_ros.errors import AutocarError
from autocar_ros.evaluation.report import Section, plus_minus, provenance, write_html, write_json
from autocar_ros.evaluation.session import Session, summarize
from autocar_ros.types import NANOSECONDS

RATE = 5.0  # Hz; what two cores sustain with simulator and recorder on them (docs/performance.md)
GRAPH_FIGURES = ("recall_2mm", "precision_2mm", "error_median_mm", "coverage", "epe_mm", "accuracy")


class Tree(StrEnum):
    """Which coronary tree."""

    LEFT = "left"
    RIGHT = "right"


def demo(
    out: Annotated[Path, typer.Option(help="Folder for bag, summary, pictures and report.")] = Path("demo"),
    seconds: Annotated[float, typer.Option(min=5.0, help="Length of the simulated run.")] = 20.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of anatomy, motion and noise.")] = 1,
    rate: Annotated[float, typer.Option(min=0.5, max=60.0, help="Exposures per second of each plane.")] = RATE,
    tree: Annotated[Tree, typer.Option(help="Coronary tree.")] = Tree.LEFT,
) -> None:
    """Run simulator and all nodes, record a bag and report how well it went.

    The figures of summary.json come from the bag, which `autocar replay OUT/bag` plays; memory, start-up and the
    answer of the path action are those of the running system.
    """
    bag = _fresh_bag(out)
    simulation = {"seed": seed, "tree": tree.value, "frame_rate": rate}
    course = run_live(bag, out / "log", seconds, simulation)
    session = read_session(bag)
    settings = {"seconds": seconds, **simulation}
    summary = {"settings": settings, **summarize(session), **_course(course, session), **provenance(seed)}
    write_json(out / "summary.json", summary)
    if not any(len(graph) for graph in session.graphs):
        raise AutocarError(f"no vessel graph was published: {_why(session)}; logs are in {out / 'log'}")
    pictures = draw_session(session, bag, out)
    write_html(out / "report.html", "autocar demo", _sections(summary, pictures))
    terminal().print(_table(summary))
    names = ", ".join(path.name for path, _ in pictures)
    terminal().print(f"Pictures in {out.resolve()}: {names}; together in report.html", highlight=False, soft_wrap=True)


def _fresh_bag(out: Path) -> Path:
    """Bag folder of this run; the one of an earlier demo is removed."""
    out.mkdir(parents=True, exist_ok=True)
    bag = out / "bag"
    if bag.is_dir() and all(file.suffix in (".mcap", ".yaml") for file in bag.iterdir()):
        shutil.rmtree(bag)
    return bag


def _course(course: Course, session: Session) -> dict[str, Any]:
    """Figures of the running system."""
    arrivals = session.arrivals["vessel_graph"].values()
    first = (min(arrivals) - course.launched_ns) / NANOSECONDS if arrivals else None
    return {
        "start_s": {
            "launch_to_nodes_active": (course.active_ns - course.launched_ns) / NANOSECONDS,
            "launch_to_first_graph": first,
        },
        "memory_mb": {
            "peak_of_all": sum(course.memory.values()) / 1e6,
            "by_process": {name: size / 1e6 for name, size in sorted(course.memory.items())},
            "how": "resident, shared pages divided among their users (PSS), sampled every two seconds",
        },
        "cores_used": {
            "all": sum(course.cores.values()),
            "by_process": course.cores,
            "how": "processor time over time, from the first exposure to the last",
        },
        "path_request": course.path_request,
    }


def _why(session: Session) -> str:
    """What the nodes complained of, the most frequent complaint of each."""
    found = [f"{node}: {texts.most_common(1)[0][0]}" for node, texts in sorted(session.troubles.items())]
    return "; ".join(found) or "no node reported a problem"


def _headline(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the figures that matter most, as name and text."""
    pairs, latency, start = summary["frame_pairs"], summary["latency_ms"]["vessel_graph"], summary["start_s"]
    yield "frame pairs before the first graph / from it on", f"{pairs['before_first_graph']} / {pairs['offered']}"
    yield "of these with a graph", f"{pairs['graphs_published']} ({pairs['published_share'] or 0:.1%})"
    for name in GRAPH_FIGURES:
        yield name, plus_minus(summary["graph"][name]) if name in summary.get("graph", {}) else "-"
    yield (
        "exposure to graph, median / p95 / p99 [ms]",
        " / ".join(f"{latency[q]:.0f}" for q in ("median", "p95", "p99")),
    )
    yield "launch to first graph [s]", f"{start['launch_to_first_graph']:.1f}"
    yield "processor cores used by all processes", f"{summary['cores_used']['all']:.2f}"
    yield "peak memory of all processes [MB]", f"{summary['memory_mb']['peak_of_all']:.0f}"


def _table(summary: Mapping[str, Any]) -> Table:
    table = Table("figure", "value")
    for name, text in _headline(summary):
        table.add_row(escape(name), text)  # [ms] is a unit here, not markup
    return table


def _sections(summary: Mapping[str, Any], pictures: Sequence[Picture]) -> list[Section]:
    latency = {topic: f"{q['median']:.0f} / {q['p95']:.0f} / {q['p99']:.0f}" for topic, q in
               summary["latency_ms"].items() if q["n"]}  # fmt: skip
    graph = {name: plus_minus(value) for name, value in summary.get("graph", {}).items()}
    return [
        Section("Result", summary["frame_pairs"]["how_counted"], dict(_headline(summary)), pictures),
        Section("Graph against truth", summary.get("graph_how", ""), graph | summary.get("identity", {})),
        Section("Latency", "From exposure to arrival: median / p95 / p99 in ms.", latency),
        Section("Path", "Best suggestion first; mm.", {f"path {k}": p for k, p in enumerate(summary["paths"], 1)}),
        Section("Dropped inputs", table=summary["drops"]),
        Section("Messages", table=summary["messages"]),
        Section("Origin", table={k: summary[k] for k in ("settings", "version", "commit", "machine", "created")}),
    ]
