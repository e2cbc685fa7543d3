"""`autocar bench`: what a call of every stage costs on one core of this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autocar_ros.cli.console import progress, terminal

if TYPE_CHECKING:
    from rich.table import Table

    from autocar_ros.synthetic.scene import Scene


class Stage(StrEnum):
    """What can be measured."""

    SIMULATOR = "simulator"
    SEGMENTATION = "segmentation"
    RECONSTRUCTION = "reconstruction"
    TRACKING = "tracking"
    NAVIGATION = "navigation"
    ALL = "all"


@dataclass(frozen=True)
class Work:
    """One call of a stage, to be repeated: `call(k)` does the k-th."""

    size: str
    call: Callable[[int], object]


@dataclass(frozen=True)
class StageTime:
    """Time of one stage."""

    stage: str
    size: str
    calls: int
    median_ms: float
    p95_ms: float
    per_second: float  # of what `size` names, at the median


def bench(
    stage: Annotated[Stage, typer.Argument(help="Stage to measure.")] = Stage.ALL,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long every stage is repeated.")] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated scene.")] = 1,
    out: Annotated[Path | None, typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    """Measure what every stage costs, on one core: median and 95 % time of a call, and calls per second.

    The input is a simulated left tree of 512 x 512 px in both planes. Times of shared machines move by 10-25 %.
    """
    from autocar_ros.evaluation.report import provenance, write_json

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, whatever the libraries start
    wanted = [s for s in Stage if s is not Stage.ALL] if stage is Stage.ALL else [stage]
    times = list(_measure_all(wanted, seconds, seed))
    terminal().print(_table(times))
    if out:
        write_json(out, {"stages": [asdict(t) for t in times], "cores_used": 1, **provenance(seed)})


def measure(name: str, work: Work, seconds: float, least: int = 5) -> StageTime:
    """Call once to warm up, then for `seconds` and at least `least` times."""
    import numpy as np

    work.call(0)
    spent: list[float] = []
    end = time.perf_counter() + seconds
    while len(spent) < least or time.perf_counter() < end:
        begin = time.perf_counter()
        work.call(len(spent) + 1)
        spent.append((time.perf_counter() - begin) * 1e3)
    median, p95 = np.quantile(spent, (0.5, 0.95))
    return StageTime(name, work.size, len(spent), float(median), float(p95), 1e3 / float(median))


def _measure_all(stages: list[Stage], seconds: float, seed: int) -> Iterator[StageTime]:
    from autocar_ros.config import SimulationConfig
    from autocar_ros.ros.middleware import pin_threads
    from autocar_ros.synthetic.scene import Scene

    makers = {
        Stage.SIMULATOR: _simulator,
        Stage.SEGMENTATION: _segmentation,
        Stage.RECONSTRUCTION: _reconstruction,
        Stage.TRACKING: _tracking,
        Stage.NAVIGATION: _navigation,
    }
    with progress() as bar:
        task = bar.add_task("Measuring", total=len(stages))
        scene = Scene(SimulationConfig(seed=seed))
        for stage in stages:
            bar.update(task, description=f"Measuring {stage}")
            work = makers[stage](scene)
            pin_threads()
            yield measure(stage, work, seconds)
            bar.advance(task)


def _simulator(scene: Scene) -> Work:
    from autocar_ros.cli.cases import filled_time

    start = filled_time(scene)

    def call(k: int) -> None:
        for plane in "ab":
            scene.image(plane, start + k / 15.0)

    return Work(f"pairs of {_size(scene)}", call)


def _segmentation(scene: Scene) -> Work:
    from autocar_ros.cli.cases import filled_time
    from autocar_ros.imaging.segmentation import segment_vessels

    start = filled_time(scene)
    images = [scene.image(plane, start + k / 15.0) for k in range(5) for plane in "ab"]
    return Work(f"images of {_size(scene)}", lambda k: segment_vessels(images[k % len(images)]))


def _reconstruction(scene: Scene) -> Work:
    from autocar_ros.cli.cases import filled_time, pair_at
    from autocar_ros.pipeline import reconstruct

    start = filled_time(scene)
    pairs = [pair_at(scene, start + k / 15.0) for k in range(5)]
    nodes = len(reconstruct(pairs[0]).graph)
    return Work(f"graphs of {nodes} nodes", lambda k: reconstruct(pairs[k % len(pairs)]))


def _tracking(scene: Scene) -> Work:
    from autocar_ros.cli.cases import filled_time, pair_at
    from autocar_ros.pipeline import reconstruct
    from autocar_ros.tracking.tracker import Tracker

    start = filled_time(scene)
    pairs = [pair_at(scene, start + k / 15.0) for k in range(15)]
    pairs += pairs[-2:0:-1]  # forth and back, without a jump
    graph = reconstruct(pairs[0]).graph
    tracker = Tracker()
    tracker.update(pairs[0], graph)
    return Work(f"pairs, {len(graph)} nodes", lambda k: tracker.update(pairs[k % len(pairs)]))


def _navigation(scene: Scene) -> Work:
    import numpy as np

    from autocar_ros.cli.cases import filled_time, pair_at
    from autocar_ros.navigation.goals import GoalPoint
    from autocar_ros.navigation.planner import plan_paths
    from autocar_ros.pipeline import reconstruct

    graph = reconstruct(pair_at(scene, filled_time(scene))).graph
    ends = np.flatnonzero(np.bincount(graph.edges.ravel(), minlength=len(graph)) == 1)
    return Work(
        f"paths on {len(graph)} nodes", lambda k: plan_paths(graph, GoalPoint(graph.position[ends[k % len(ends)]]))
    )


def _size(scene: Scene) -> str:
    pose = scene.pose("a")
    return f"{pose.columns} x {pose.rows}"


def _table(times: list[StageTime]) -> Table:
    from rich.table import Table

    table = Table("stage", "per call", "calls", "median [ms]", "p95 [ms]", "per second")
    for t in times:
        table.add_row(t.stage, t.size, str(t.calls), f"{t.median_ms:.1f}", f"{t.p95_ms:.1f}", f"{t.per_second:.1f}")
    return table
