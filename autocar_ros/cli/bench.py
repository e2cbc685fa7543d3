"""`autocar bench`: what a call of every stage costs on one core of this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.table import Table

from autocar_ros.cli import bench_chain, bench_sbp, bench_tracking
from autocar_ros.cli.cases import pair_at
from autocar_ros.cli.console import progress, terminal
from autocar_ros.config import AlignmentConfig, ReconstructionConfig, SimulationConfig
from autocar_ros.evaluation.report import provenance, write_json
from autocar_ros.evaluation.segmentation import METHODS, load_segmenters
from autocar_ros.imaging.segmentation import Segmenter
from autocar_ros.navigation.goals import GoalPoint
from autocar_ros.navigation.planner import plan_paths
from autocar_ros.pipeline import reconstruct
from autocar_ros.sbp.prediction import network_for
from autocar_ros.sync.alignment import Aligner
from autocar_ros.synthetic.poses import mistaken
from autocar_ros.synthetic.scene import Scene
from autocar_ros.tracking.tracker import Tracker
from autocar_ros.types import NANOSECONDS, FramePair
from autocar_ros.vessels.tree import degree

STEP = 1 / 15  # s between simulated frames
FRAMES = 15
MISTAKE = 2.0, 10.0  # degrees and mm by which plane B is misread where it is aligned
KEY_FRAMES = 4  # after which the synchronization solves the alignment no more while views agree


class Stage(StrEnum):
    """What can be measured."""

    SIMULATOR = "simulator"
    SEGMENTATION = "segmentation"
    ALIGNMENT = "alignment"
    RECONSTRUCTION = "reconstruction"
    TRACKING = "tracking"
    NAVIGATION = "navigation"
    SBP = "sbp"
    CHAIN = "chain"
    FRAMES = "frames"
    ALL = "all"


@dataclass(frozen=True)
class Work:
    """One call of a stage, to be repeated: `call(k)` does the k-th."""

    size: str  # what one call works on
    call: Callable[[int], object]


@dataclass(frozen=True)
class StageTime:
    """Time of one stage."""

    stage: str
    size: str
    calls: int
    median_ms: float
    p95_ms: float
    per_second: float  # calls, at the median
    processor_ms: float  # median of the time that a processor worked on a call, whoever else wanted it


def bench(
    stage: Annotated[Stage, typer.Argument(help="Stage to measure.")] = Stage.ALL,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long every stage is repeated.")] = 5.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated scene.")] = 1,
    out: Annotated[Path | None, typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    """Measure what every stage costs, on one core: median and 95 % time of a call, and calls per second.

    The input is a simulated left tree, filled with contrast, 512 x 512 px in both planes. sbp, which is not part of
    all, tells the parts of a reconstruction apart, and how a sparse convolution grows with its voxels. tracking by
    itself tells how a step grows with the nodes, and runs the paper's scheme beside it. chain plays a bag of masks, 60
    s at 15 Hz, to the nodes and times the graphs, on all cores; frames does the same with raw frames, which are
    segmented first. On shared machines times move by 10-25 %.
    """
    if stage is Stage.SBP:
        _bench_parts(len(bench_sbp.SETS) + 2, bench_sbp.bench_sbp, bench_sbp.tables, seed, out)
        return
    if stage is Stage.TRACKING:
        steps = len(bench_tracking.SIZES) + len(bench_tracking.SCHEMES) + 1
        _bench_parts(steps, bench_tracking.bench_tracking, bench_tracking.tables, seed, out)
        return
    if stage in (Stage.CHAIN, Stage.FRAMES):
        run = bench_chain.bench_frames if stage is Stage.FRAMES else bench_chain.bench_chain
        _bench_parts(bench_chain.STEPS, run, bench_chain.tables, seed, out, cores=0)
        return
    alone = (Stage.ALL, Stage.SBP, Stage.CHAIN, Stage.FRAMES)
    wanted: list[Stage] = [s for s in Stage if s not in alone] if stage is Stage.ALL else [stage]
    with one_core():
        times = list(_measure_all(wanted, seconds, seed))
    terminal().print(_table(times))
    if out:
        write_json(out, {"stages": [asdict(t) for t in times], "cores_used": 1, **provenance(seed)})


def _bench_parts(
    steps: int,
    run: Callable[[int, Callable[[str], None]], dict[str, Any]],
    tables: Callable[[dict[str, Any]], list[Table]],
    seed: int,
    out: Path | None,
    cores: int = 1,
) -> None:
    """Run a bench of one stage that tells its parts apart, on one core; with `cores` 0 on all."""
    with one_core() if cores else nullcontext(), progress() as bar:
        task = bar.add_task("Preparing", total=steps)
        found = run(seed, lambda text: bar.update(task, advance=1, description=text))
    for table in tables(found):
        terminal().print(table)
    if out:
        write_json(out, {**found, "cores_used": cores or os.cpu_count(), **provenance(seed)})


def measure(name: str, work: Work, seconds: float, least: int = 5) -> StageTime:
    """Call once to warm up, then for `seconds` and at least `least` times."""
    work.call(0)
    spent: list[float] = []
    worked: list[float] = []
    end = time.perf_counter() + seconds
    while len(spent) < least or time.perf_counter() < end:
        begin, own = time.perf_counter(), time.process_time()
        work.call(len(spent) + 1)
        worked.append((time.process_time() - own) * 1e3)
        spent.append((time.perf_counter() - begin) * 1e3)
    median, p95 = (float(q) for q in np.quantile(spent, (0.5, 0.95)))
    return StageTime(name, work.size, len(spent), median, p95, 1e3 / median, float(np.median(worked)))


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core, whatever the libraries start."""
    cores, threads = os.sched_getaffinity(0), torch.get_num_threads()
    os.sched_setaffinity(0, {min(cores)})
    torch.set_num_threads(1)  # more would wait for each other on the one core
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        os.sched_setaffinity(0, cores)


def _measure_all(stages: list[Stage], seconds: float, seed: int) -> Iterator[StageTime]:
    makers: dict[Stage, Callable[[Scene], list[Work]]] = {
        Stage.SIMULATOR: _simulator,
        Stage.SEGMENTATION: _segmentation,
        Stage.ALIGNMENT: _alignment,
        Stage.RECONSTRUCTION: _reconstruction,
        Stage.TRACKING: _tracking,
        Stage.NAVIGATION: _navigation,
    }
    with progress() as bar:
        task = bar.add_task("Preparing a scene", total=len(stages))
        scene = Scene(SimulationConfig(seed=seed, contrast="full"))
        for stage in stages:
            bar.update(task, description=f"Measuring {stage}")
            for work in makers[stage](scene):
                yield measure(stage, work, seconds)
            bar.advance(task)


def _simulator(scene: Scene) -> list[Work]:
    def call(k: int) -> None:
        for plane in "ab":
            scene.image(plane, STEP * (k % FRAMES))

    return [Work(f"pair of {_size(scene)}", call)]


def _segmentation(scene: Scene) -> list[Work]:
    """Every method."""
    images = [scene.image(plane, STEP * k) for k in range(FRAMES) for plane in "ab"]

    def work(name: str, segmenter: Segmenter) -> Work:
        return Work(f"image of {_size(scene)}, {name}", lambda k: segmenter.segment(images[k % len(images)]))

    return [work(name, segmenter) for name, segmenter in load_segmenters(list(METHODS)).items()]


def _alignment(scene: Scene) -> list[Work]:
    """What the synchronization does to a pair: solve plane B's pose at the first, again at key frames, else watch."""
    seen = _pairs(scene)
    misread = [mistaken(np.random.default_rng(k), scene.pose("b"), *MISTAKE) for k in range(FRAMES)]
    pairs = [replace(pair, pose_b=pose) for pair, pose in zip(seen, misread, strict=True)]
    watched = [replace(pair, pose_b=misread[0]) for pair in seen]
    watched += watched[-2:0:-1]  # forth and back, without a jump

    def works(how: str) -> list[Work]:
        config = AlignmentConfig(align=how)
        aligner = Aligner(config)

        def settle(k: int) -> None:
            settling = Aligner(config)
            for n in range(KEY_FRAMES):
                settling.correct(watched[(k + n) % len(watched)])

        def watch(k: int) -> None:
            aligner.correct(replace(watched[k % len(watched)], key_frame=k == 0))

        return [
            Work(f"first pair, {how}", lambda k: Aligner(config).correct(pairs[k % FRAMES])),
            Work(f"first {KEY_FRAMES} key frames, {how}", settle),
            Work(f"pair watched, {how}", watch),
        ]

    return works("shift") + works("full")


def _reconstruction(scene: Scene) -> list[Work]:
    pairs = _pairs(scene)
    config = ReconstructionConfig()
    network = network_for(config)
    nodes = len(reconstruct(pairs[0], config, network).graph)
    return [Work(f"graph of {nodes} nodes", lambda k: reconstruct(pairs[k % len(pairs)], config, network))]


def _tracking(scene: Scene) -> list[Work]:
    pairs = _pairs(scene)
    pairs += pairs[-2:0:-1]  # forth and back, without a jump
    graph = reconstruct(pairs[0]).graph
    tracker = Tracker()
    tracker.update(pairs[0], graph)

    def call(k: int) -> None:
        stamp = pairs[0].stamp_a_ns + int((k + 1) * STEP * NANOSECONDS)
        tracker.update(replace(pairs[(k + 1) % len(pairs)], stamp_a_ns=stamp, stamp_b_ns=stamp))

    return [Work(f"pair on {len(graph)} nodes", call)]


def _navigation(scene: Scene) -> list[Work]:
    graph = reconstruct(_pairs(scene)[0]).graph
    ends = graph.position[(degree(len(graph), graph.edges) == 1) & (graph.parent >= 0)]
    return [Work(f"path on {len(graph)} nodes", lambda k: plan_paths(graph, GoalPoint(ends[k % len(ends)])))]


def _pairs(scene: Scene) -> list[FramePair]:
    return [pair_at(scene, STEP * k) for k in range(FRAMES)]


def _size(scene: Scene) -> str:
    pose = scene.pose("a")
    return f"{pose.columns} x {pose.rows}"


def _table(times: list[StageTime]) -> Table:
    table = Table("stage", "per call", "calls", "median, ms", "p95, ms", "per second", "processor, ms")
    for t in times:
        numbers = (f"{value:.1f}" for value in (t.median_ms, t.p95_ms, t.per_second, t.processor_ms))
        table.add_row(t.stage, t.size, str(t.calls), *numbers)
    return table
