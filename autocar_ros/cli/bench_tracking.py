"""`autocar bench tracking`: what the tracking step costs, how it grows, and the paper's scheme beside it."""

from __future__ import annotations

import cProfile
import pstats
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from autocar_ros.cli.cases import pair_at
from autocar_ros.config import SimulationConfig
from autocar_ros.evaluation.baselines.lbfgs import LbfgsRefit, MaskLine
from autocar_ros.evaluation.identity import locate
from autocar_ros.evaluation.report import quantiles
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.synthetic.scene import Scene
from autocar_ros.tracking.observation import observe
from autocar_ros.tracking.tracker import Tracker
from autocar_ros.types import FloatArray, FramePair, VesselGraph
from autocar_ros.vessels.graph import equidistant
from autocar_ros.vessels.tree import chains

STEP = 1 / 15  # s between pairs
NODES = 600  # of the graph that is timed
SIZES = (300, 600, 1200, 2500, 5000)  # nodes
FRAMES = 60  # pairs that are timed
SIZE_FRAMES = 10  # pairs of every size
YARDSTICK_FRAMES = 4  # pairs that the paper's scheme follows
SCHEMES = ("ours", "L-BFGS", "L-BFGS, true centreline given")
HEART_RATE = 75.0


@dataclass(frozen=True)
class SizeTime:
    """Time of a tracking step on a graph of some size."""

    nodes: int
    median_ms: float


@dataclass(frozen=True)
class Rival:
    """A scheme that followed the same pairs from the same graph."""

    scheme: str
    median_ms: float
    error_mean_mm: float  # of the nodes against their true places, at the last pair
    error_median_mm: float
    error_p95_mm: float
    line_error_mm: float  # mean distance of the nodes to the true centreline


class Course(NamedTuple):
    """A tree of so many nodes that a scene shows: where its nodes are at a time in s."""

    scene: Scene
    graph: VesselGraph  # at time 0
    at: Callable[[float], FloatArray]


def bench_tracking(seed: int, advance: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything on one core; `advance` is told what comes next."""
    advance(f"Tracking {NODES} nodes")
    scene = Scene(SimulationConfig(seed=seed, contrast="full", heart_rate=HEART_RATE))
    pairs = [pair_at(scene, STEP * k) for k in range(FRAMES + 1)]
    course = make_course(scene, NODES)
    spent, _ = follow(course, pairs)
    parts = _parts(course, pairs[: SIZE_FRAMES + 1])
    sizes = []
    for nodes in SIZES:
        advance(f"Tracking {nodes} nodes")
        larger = make_course(scene, nodes)
        times, _ = follow(larger, pairs[: SIZE_FRAMES + 1])
        sizes.append(SizeTime(len(larger.graph), float(np.median(times))))
    rivals = list(_rivals(course, pairs[: YARDSTICK_FRAMES + 1], advance))
    return {
        "nodes": len(course.graph),
        "step_ms": quantiles(spent),
        "parts": parts,
        "sizes": [asdict(s) for s in sizes],
        **_growth(sizes),
        "rivals": [asdict(r) for r in rivals],
        "times_faster": rivals[1].median_ms / rivals[0].median_ms,
    }


def make_course(scene: Scene, nodes: int) -> Course:
    """Tree of a scene cut anew into about so many nodes, evenly along its branches."""
    truth = scene.truth(0.0)
    length = np.linalg.norm(np.diff(truth.position[truth.edges], axis=1)[:, 0], axis=1).sum()
    graph = resampled(truth, float(length) / nodes)
    place = locate(graph.position, truth)

    def at(moment: float) -> FloatArray:
        start, end = scene.truth(moment).position[truth.edges[place.edge]].transpose(1, 0, 2)
        return np.asarray(start + place.fraction[:, None] * (end - start))

    return Course(scene, graph.with_(position=at(0.0)), at)


def resampled(graph: VesselGraph, spacing: float) -> VesselGraph:
    """The same tree with nodes about `spacing` mm apart along every branch; bifurcations and ends stay."""
    position, radius, branch, edges = [], [], [], []
    new: dict[int, int] = {}  # bifurcations and ends

    def add(node: FloatArray, size: float, label: int) -> int:
        position.append(node)
        radius.append(size)
        branch.append(label)
        return len(position) - 1

    for found in sorted(chains(len(graph), graph.edges), key=min):
        chain = found if found[0] < found[-1] else found[::-1]  # nodes of the simulator go from the ostium outwards
        values = equidistant(np.column_stack([graph.position[chain], graph.radius[chain]]), spacing)
        points, sizes, count = values[:, :3], values[:, 3], len(values) - 1
        label = int(graph.branch[chain[1]])
        for end, k in ((int(chain[0]), 0), (int(chain[-1]), count)):
            if end not in new:
                new[end] = add(points[k], sizes[k], label)
        path = [new[int(chain[0])], *(add(points[k], sizes[k], label) for k in range(1, count)), new[int(chain[-1])]]
        edges += list(pairwise(path))
    return VesselGraph(
        np.array(position), np.array(radius), np.array(edges, np.int64), np.array(branch, np.int64), graph.branch_label
    )


def follow(course: Course, pairs: list[FramePair]) -> tuple[list[float], FloatArray]:
    """Track the pairs from the true graph of the first; processor time of every step [ms] and the last nodes (N, 3)."""
    tracker = Tracker()
    graph = tracker.update(pairs[0], course.graph)
    spent = []
    for pair in pairs[1:]:
        begin = time.process_time()
        graph = tracker.update(pair)
        spent.append(1e3 * (time.process_time() - begin))
    assert graph is not None
    return spent, graph.position[: len(course.graph)]


def follow_as_paper(course: Course, pairs: list[FramePair], ideal: bool = False) -> tuple[list[float], FloatArray]:
    """The same with the paper's scheme; `ideal`: given the true centreline as a reconstruction of every pair, too.

    Every second point of the masks' centrelines is matched, about 1 mm apart as the nodes are: Algorithm 1 takes the
    square of their number.
    """
    refit, position, spent = LbfgsRefit(course.graph), course.graph.position, []
    for k, pair in enumerate(pairs[1:], 1):
        points = course.at(STEP * k) if ideal else None
        begin = time.process_time()
        planes = ((pair.mask_a, pair.pose_a), (pair.mask_b, pair.pose_b))
        views = [observe(mask, camera_from_pose(pose)) for mask, pose in planes]
        lines = [MaskLine(view.camera, view.points[::2]) for view in views if not isinstance(view, str)]
        position = refit(position, lines, points)
        spent.append(1e3 * (time.process_time() - begin))
    return spent, position


def tables(found: dict[str, Any]) -> list[Table]:
    """All tables of what `bench_tracking` found."""
    step = found["step_ms"]
    title = f"{found['nodes']} nodes: median {step['median']:.1f} ms, 99 % {step['p99']:.1f} ms"
    parts = Table("part", "share of the step", title=title)
    for part, share in found["parts"].items():
        parts.add_row(part, f"{share:.0%}")
    sizes = Table("nodes", "median, ms", title=f"{found['base_ms']:.1f} ms and {found['us_a_node']:.1f} us a node")
    for s in found["sizes"]:
        sizes.add_row(str(s["nodes"]), f"{s['median_ms']:.1f}")
    rivals = Table("scheme", "step, ms", "mean error, mm", "median, mm", "95 %, mm", "to the line, mm",
                   title=f"{found['times_faster']:.0f} times faster than the paper's scheme")  # fmt: skip
    for r in found["rivals"]:
        errors = (f"{r[f'error_{name}_mm']:.2f}" for name in ("mean", "median", "p95"))
        rivals.add_row(r["scheme"], f"{r['median_ms']:.1f}", *errors, f"{r['line_error_mm']:.2f}")
    return [parts, sizes, rivals]


def _rivals(course: Course, pairs: list[FramePair], advance: Callable[[str], None]) -> Iterator[Rival]:
    true = course.at(STEP * (len(pairs) - 1))
    runs = (follow, follow_as_paper, partial(follow_as_paper, ideal=True))
    for name, run in zip(SCHEMES, runs, strict=True):
        advance(f"Following {len(pairs) - 1} pairs by {name}")
        spent, position = run(course, pairs)
        error = np.linalg.norm(position - true, axis=1)
        median, p95 = (float(q) for q in np.quantile(error, (0.5, 0.95)))
        beside = locate(position, course.graph.with_(position=true)).distance
        yield Rival(name, float(np.median(spent)), float(error.mean()), median, p95, float(beside.mean()))


def _growth(sizes: list[SizeTime]) -> dict[str, float]:
    """Line through the times: ms of no node, us a node; and the share of the variance that it explains."""
    nodes, ms = np.array([s.nodes for s in sizes], float), np.array([s.median_ms for s in sizes])
    slope, base = np.polyfit(nodes, ms, 1)
    rest = ms - (base + slope * nodes)
    return {"us_a_node": 1e3 * float(slope), "base_ms": float(base), "linear_r2": 1 - float(rest.var() / ms.var())}


def _parts(course: Course, pairs: list[FramePair]) -> dict[str, float]:
    """Shares of the step by the functions that it calls, from a profile."""
    profile = cProfile.Profile()
    tracker = Tracker()
    tracker.update(pairs[0], course.graph)
    for pair in pairs[1:]:
        profile.runcall(tracker.update, pair)
    stats = pstats.Stats(profile)
    stats.calc_callees()
    update = next(f for f in stats.stats if f[2] == "update" and f[0].endswith("tracker.py"))
    whole = stats.stats[update][3]
    shares = {name: spent[3] / whole for (_, _, name), spent in stats.all_callees[update].items()}
    return {name: share for name, share in sorted(shares.items(), key=lambda s: -s[1]) if share >= 0.01}
