"""The chain run live on a simulation: started, recorded, watched, asked for a path."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress, TaskID
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from autocar_ros.cli.console import progress
from autocar_ros.errors import AutocarError
from autocar_ros.types import FloatArray, VesselGraph
from autocar_ros.vessels.tree import visible_part

TICK = 0.5  # s
SHOWN = 2.0  # Hz of overlays and markers: two cores carry simulator and recorder beside the chain
WEIGH = 2.0  # s; to read the memory of all processes takes 60 ms of processor time
START_LIMIT = 60.0  # s, for the first exposure
ON_ITS_WAY = 1.5  # s after the last exposure, for the graphs that are still to come
FIRST_GOAL = 0.4  # of the run: the tree is filled by then
ASK_AGAIN = 2.0  # s


@dataclass
class Course:
    """What only the running system knows."""

    launched_ns: int  # when the first node was started
    active_ns: int = 0  # when all nodes were active
    memory: dict[str, int] = field(default_factory=dict)  # bytes by process, when all together took most
    cores: dict[str, float] = field(default_factory=dict)  # by process, processor time per time while exposing
    path_request: dict[str, Any] = field(default_factory=dict)  # answer of the action ComputeCatheterPath

    def weigh(self, memory: Mapping[str, int]) -> None:
        """Keep the greatest memory of all processes together."""
        if sum(memory.values()) > sum(self.memory.values()):
            self.memory = dict(memory)


def run_live(bag: Path, logs: Path, seconds: float, simulation: Mapping[str, Any]) -> Course:
    """Start simulator and processing nodes together; once all are active, record for `seconds` of exposures.

    Raises `AutocarError` with the end of its log when a node dies, or when no exposure comes.
    """
    from autocar_ros.ros.chain import processing_nodes
    from autocar_ros.ros.middleware import keep_apart
    from autocar_ros.ros.observer import Observer
    from autocar_ros.ros.processes import NodeProcesses, NodeSpec

    keep_apart()
    course = Course(time.time_ns())
    source, chain = [NodeSpec("simulator", parameters=simulation)], processing_nodes(visualization={"rate": SHOWN})
    with progress() as bar, NodeProcesses(chain, logs) as nodes, NodeProcesses(source, logs) as simulator:
        task = bar.add_task("Starting the nodes", total=round(seconds))
        nodes.wait_active()
        simulator.wait_active()
        course.active_ns = time.time_ns()
        with Observer(bag) as observer:
            _watch(observer, (nodes, simulator), course, seconds, bar, task)
            simulator.stop()
            observer.spin(ON_ITS_WAY)
    return course


def distal_end(graph: VesselGraph) -> FloatArray:
    """Position (3,) mm of the end farthest from its root along the vessels; raises `AutocarError` without edges."""
    if len(graph.edges) == 0:
        raise AutocarError("the graph has no vessel: there is no far end")
    length = np.linalg.norm(np.diff(graph.position[graph.edges], axis=1)[:, 0], axis=1)
    matrix = coo_array((np.maximum(length, 1e-9), tuple(graph.edges.T)), shape=(len(graph), len(graph))).tocsr()
    way = dijkstra(matrix, indices=np.flatnonzero(graph.parent < 0), min_only=True)
    return np.asarray(graph.position[int(np.argmax(np.where(np.isfinite(way), way, -1.0)))])


def _watch(
    observer: Any, processes: tuple[Any, ...], course: Course, seconds: float, bar: Progress, task: TaskID
) -> None:
    """Record from the first exposure on; meanwhile weigh the processes and ask for a path."""
    _wait_for_exposure(observer, processes)
    first, asked, weighed, used = time.monotonic(), 0.0, 0.0, _processor_time(processes)
    while (elapsed := time.monotonic() - first) < seconds:
        observer.spin(TICK)
        for group in processes:
            group.check()
        if elapsed > weighed + WEIGH:
            weighed = elapsed
            course.weigh(_memory(processes))
        if elapsed > max(FIRST_GOAL * seconds, asked + ASK_AGAIN) and course.path_request.get("error") != "NONE":
            asked = elapsed
            course.path_request = _ask(observer)
        graphs = observer.counts.get("/vessel_graph", 0)
        bar.update(task, completed=round(elapsed), description=f"Running: {graphs} vessel graphs")
    course.cores = {name: (t - used[name]) / elapsed for name, t in _processor_time(processes).items()}


def _wait_for_exposure(observer: Any, processes: tuple[Any, ...]) -> None:
    end = time.monotonic() + START_LIMIT
    while observer.truth is None:
        observer.spin(TICK, lambda: observer.truth is not None)
        for group in processes:
            group.check()
        if time.monotonic() > end:
            raise AutocarError(f"the simulator sent no exposure within {START_LIMIT:g} s")


def _memory(processes: tuple[Any, ...]) -> dict[str, int]:
    from autocar_ros.ros.processes import memory_of

    nodes = {name: size for group in processes for name, size in group.resident_memory().items()}
    return nodes | {"autocar demo": memory_of(os.getpid())}


def _processor_time(processes: tuple[Any, ...]) -> dict[str, float]:
    from autocar_ros.ros.processes import processor_time_of

    nodes = {name: time_s for group in processes for name, time_s in group.processor_time().items()}
    return nodes | {"autocar demo": processor_time_of(os.getpid())}


def _ask(observer: Any) -> dict[str, Any]:
    """Set the far end of the filled tree as goal, and ask the planner for the way there."""
    try:
        goal = distal_end(visible_part(observer.truth))
        observer.set_goal(goal)
        answer = observer.ask_path(goal, timeout=2.0)
    except AutocarError as e:
        return {"error": "NO_ANSWER", "message": str(e)}
    return {
        "goal_mm": goal.round(2).tolist(),
        "error": answer.error,
        "message": answer.message,
        "planning_ms": answer.planning_time * 1e3,
        "suggestions": len(answer.paths),
    }
