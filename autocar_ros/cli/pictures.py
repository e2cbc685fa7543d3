"""Pictures of a recorded session."""

from __future__ import annotations

from pathlib import Path

import cv2

from autocar_ros.cli.session import read_images
from autocar_ros.errors import AutocarError
from autocar_ros.evaluation.graph_metrics import sample_centreline
from autocar_ros.evaluation.session import PLANES, Session, latencies
from autocar_ros.figures.graph3d import draw_graph
from autocar_ros.figures.overlay import overlay
from autocar_ros.figures.route import draw_path
from autocar_ros.figures.timing import latency_histogram, latency_timeline
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.types import NANOSECONDS, VesselGraph
from autocar_ros.vessels.tree import visible_part

Picture = tuple[Path, str]  # file and caption


def draw_session(session: Session, bag: Path, out: Path) -> list[Picture]:
    """Write the pictures of a session with at least one graph into a folder."""
    graph = shown_graph(session)
    pictures = [
        *_overlays(session, graph, bag, out),
        _graph(session, graph, out),
        *_path(session, out),
        *_timing(session, out),
    ]
    return pictures


def shown_graph(session: Session) -> VesselGraph:
    """Graph of the exposure with the most true vessels in view, the first of equals; without truth, the longest one.

    A graph whose frames the recorder missed is shown only when there is no other.
    """
    recorded = {plane: set(session.exposures[plane]) for plane in PLANES}

    def seen(graph: VesselGraph) -> tuple[int, float]:
        frames = (graph.stamp_a_ns in recorded["a"]) + (graph.stamp_b_ns in recorded["b"])
        truth = session.truths.get(graph.stamp_a_ns)
        return frames, float(sample_centreline(visible_part(truth) if truth else graph).length.sum())

    drawable = [graph for graph in session.graphs if len(graph)]
    if not drawable:
        raise AutocarError("the session has no vessel graph to draw")
    return max(drawable, key=seen)


def _overlays(session: Session, graph: VesselGraph, bag: Path, out: Path) -> list[Picture]:
    pictures = []
    for plane, stamp in zip(PLANES, (graph.stamp_a_ns, graph.stamp_b_ns), strict=True):
        frame = read_images(bag, f"plane_{plane}/image_raw", {stamp}).get(stamp)
        if frame is None:
            continue  # the recorder missed it; the graph's own planes did not
        camera = camera_from_pose(session.pose_at(plane, stamp))
        path = out / f"overlay_{plane}.png"
        cv2.imwrite(str(path), cv2.cvtColor(overlay(frame, graph, camera), cv2.COLOR_RGB2BGR))
        pictures.append((path, f"Plane {plane.upper()} with the tracked graph"))
    return pictures


def _graph(session: Session, graph: VesselGraph, out: Path) -> Picture:
    truth = session.truths.get(graph.stamp_a_ns)
    path = out / "graph_3d.png"
    draw_graph(graph, truth, path)
    return path, "Vessel graph" + (" (coloured) and the true tree of the same exposure (grey)" if truth else "")


def _path(session: Session, out: Path) -> list[Picture]:
    graph = next((g for g in session.graphs if g.stamp_a_ns == session.path_stamp_ns), None)
    if graph is None or not session.paths:
        return []
    file = out / "path_3d.png"
    draw_path(graph, session.paths[0]).savefig(file, dpi=110)
    return [(file, "The best path suggestion on the graph it was planned for")]


def _timing(session: Session, out: Path) -> list[Picture]:
    found = {topic: times for topic, times in latencies(session).items() if len(times[1])}
    rebuilt = [
        (graph.stamp_a_ns - session.exposed_ns[0]) / NANOSECONDS
        for before, graph in zip([None, *session.graphs], session.graphs, strict=False)
        if before is None or graph.graph_id != before.graph_id
    ]
    histogram, timeline = out / "latency_histogram.png", out / "latency_timeline.png"
    latency_histogram({topic: ms for topic, (_, ms) in found.items()}).savefig(histogram, dpi=110)
    latency_timeline(found, rebuilt).savefig(timeline, dpi=110)
    return [
        (histogram, "Time from exposure to arrival of every stage's message"),
        (timeline, "The same over the session; grey lines: a new graph"),
    ]
