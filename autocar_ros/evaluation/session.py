"""What a recorded session was worth: all figures from what was recorded, none from the running nodes.

Exposure stamps tie everything together: an image, its mask, its pair, its graph and the true graph bear the same one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from autocar_ros.config import SynchronizationConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.graph_metrics import graph_correspondence, graph_score
from autocar_ros.evaluation.identity import identity
from autocar_ros.evaluation.report import quantiles, spread
from autocar_ros.types import NANOSECONDS, CArmPose, CatheterPath, FloatArray, VesselGraph
from autocar_ros.vessels.tree import visible_part

PLANES = ("a", "b")
TIMED = ("plane_a/mask", "plane_b/mask", "frame_pair", "reconstruction/graph", "vessel_graph")
SETTLE = 1.0  # s at the end of a session: what was exposed then may still have been on its way
HOW_COUNTED = (
    "exposed: every recorded exposure of both planes at one time, but for those of the last second, whose graphs may "
    "still be on their way; offered: those from the first graph's exposure on, since before it the first "
    "reconstruction is made (the demo records as soon as all nodes are active, and tells the time from launch to first "
    "graph); published: offered ones whose stamp a vessel_graph with nodes bears, whatever its status; lost: the "
    "others, by what was recorded of them last (a mask of plane B by the stamp of plane A)"
)


@dataclass
class Session:
    """What was recorded; topic names are relative to the namespace of the session."""

    counts: dict[str, int]  # messages per topic
    start_ns: int  # log time of the first message
    end_ns: int  # log time of the last
    exposures: dict[str, list[int]] = field(default_factory=lambda: {p: [] for p in PLANES})  # stamps of the images, ns
    poses: dict[str, dict[int, CArmPose]] = field(default_factory=lambda: {p: {} for p in PLANES})
    arrivals: dict[str, dict[int, int]] = field(default_factory=lambda: {t: {} for t in TIMED})  # exposure -> log time
    graphs: list[VesselGraph] = field(default_factory=list)  # in order of arrival
    truths: dict[int, VesselGraph] = field(default_factory=dict)  # by the exposure of plane A
    paths: tuple[CatheterPath, ...] = ()  # newest suggestions, best first
    path_stamp_ns: int = 0
    drops: dict[str, dict[str, int]] = field(default_factory=dict)  # node -> reason -> how often
    complaints: list[tuple[int, str, str]] = field(default_factory=list)  # log time, node, what troubles it

    @property
    def exposed_ns(self) -> tuple[int, int]:
        """First and last exposure; the times of the records when there is none."""
        stamps = [stamp for plane in PLANES for stamp in self.exposures[plane]]
        return (min(stamps), max(stamps)) if stamps else (self.start_ns, self.end_ns)

    @property
    def troubles(self) -> dict[str, Counter[str]]:
        """Node -> complaint -> how often it was reported, from the first exposure to the last."""
        first, last = self.exposed_ns
        found: dict[str, Counter[str]] = {}
        for at, node, text in self.complaints:
            if first <= at <= last:
                found.setdefault(node, Counter())[text] += 1
        return found

    def pose_at(self, plane: str, stamp_ns: int) -> CArmPose:
        """Newest pose of a plane not after an exposure, else the first; `InvalidInputError` when there is none."""
        poses = self.poses[plane]
        if not poses:
            raise InvalidInputError(f"the session has no pose of plane {plane.upper()}")
        return poses[max((s for s in poses if s <= stamp_ns), default=min(poses))]


def summarize(session: Session) -> dict[str, Any]:
    """All figures of a session; metrics are left out when it holds no true graphs."""
    summary = {
        "exposed_s": (session.exposed_ns[1] - session.exposed_ns[0]) / NANOSECONDS,
        "messages": session.counts,
        "frame_pairs": _frame_pairs(session),
        "latency_ms": {topic: quantiles(ms) for topic, (_, ms) in latencies(session).items()},
        "drops": {node: reasons for node, reasons in sorted(session.drops.items()) if reasons},
        "troubles": {node: dict(found.most_common(3)) for node, found in sorted(session.troubles.items())},
        "paths": [_path(p) for p in session.paths],
    }
    return summary | (_against_truth(session) if session.truths else {})


def exposed_pairs(session: Session) -> list[int]:
    """Exposure stamps [ns] of plane A that had a partner in plane B, up to `SETTLE` s before the end.

    The source's true graphs name the pairs; without them, exposures of both planes not further apart than the
    default `max_pair_skew`.
    """
    end = session.end_ns - int(SETTLE * NANOSECONDS)
    if session.truths:
        return sorted(stamp for stamp in session.truths if stamp <= end)
    a, b = (np.unique(session.exposures[plane]) for plane in "ab")
    if not (len(a) and len(b)):
        return []
    after = np.clip(np.searchsorted(b, a), 1, len(b) - 1) if len(b) > 1 else np.zeros(len(a), int)
    skew = np.minimum(np.abs(b[after] - a), np.abs(b[np.maximum(after - 1, 0)] - a))
    return [int(s) for s in a[(skew <= SynchronizationConfig().max_pair_skew * NANOSECONDS) & (a <= end)]]


def latencies(session: Session) -> dict[str, tuple[FloatArray, FloatArray]]:
    """By topic: time of exposure [s from the first one] and time from exposure to arrival [ms]."""
    found = {}
    for topic, arrivals in session.arrivals.items():
        exposed, arrived = (np.array(v, np.int64) for v in (list(arrivals.keys()), list(arrivals.values())))
        found[topic] = ((exposed - session.exposed_ns[0]) / NANOSECONDS, (arrived - exposed) / 1e6)
    return found


def _frame_pairs(session: Session) -> dict[str, Any]:
    exposed = exposed_pairs(session)
    published = {graph.stamp_a_ns: graph.status.name for graph in reversed(session.graphs) if len(graph)}
    start = min(published, default=session.start_ns)
    offered = [stamp for stamp in exposed if stamp >= start]
    status = Counter(published[stamp] for stamp in offered if stamp in published)
    lost = Counter(last_seen(session, stamp) for stamp in offered if stamp not in published)
    span = (exposed[-1] - exposed[0]) / NANOSECONDS if len(exposed) > 1 else 0.0
    return {
        "exposed": len(exposed),
        "before_first_graph": len(exposed) - len(offered),
        "offered": len(offered),
        "graphs_published": status.total(),
        "published_share": status.total() / len(offered) if offered else None,
        "published_share_of_exposed": status.total() / len(exposed) if exposed else None,
        "rate_hz": (len(exposed) - 1) / span if span else None,
        "graph_status": dict(status),
        "lost": dict(lost.most_common()),
        "how_counted": HOW_COUNTED,
    }


def last_seen(session: Session, stamp_ns: int) -> str:
    """How far the pair of an exposure of plane A got that has no graph, in words."""
    masks = [stamp_ns in session.arrivals[f"plane_{plane}/mask"] for plane in PLANES]
    if stamp_ns in session.arrivals["frame_pair"]:
        return "pair, but no graph"
    return {
        (True, True): "masks of both planes, but no pair",
        (True, False): "mask of plane A alone",
        (False, True): "mask of plane B alone",
        (False, False): "no mask of either plane",
    }[masks[0], masks[1]]


def _against_truth(session: Session) -> dict[str, Any]:
    first = {graph.stamp_a_ns: graph for graph in reversed(session.graphs)}  # later: the same again, as stale
    judged = [(first[stamp], session.truths[stamp]) for stamp in sorted(first.keys() & session.truths.keys())]
    scores = [s for graph, truth in judged if (s := _scores(session, graph, truth))]
    kept = identity([g for g, _ in judged], [t for _, t in judged])
    names = list(scores[0]) if scores else []
    return {
        "graph": {name: spread(score[name] for score in scores) for name in names},
        "graph_how": "the vessel_graph of every exposure against the true graph of the same exposure; recall on the "
        "true vessels filled with contrast and in view in both planes, precision on all true vessels; mean over graphs",
        "identity": asdict(kept),
    }


def _scores(session: Session, graph: VesselGraph, truth: VesselGraph) -> dict[str, float]:
    visible = visible_part(truth)
    if len(visible.edges) == 0:
        return {}
    poses = (session.pose_at("a", graph.stamp_a_ns), session.pose_at("b", graph.stamp_b_ns))
    return asdict(graph_score(graph, visible, truth)) | asdict(graph_correspondence(graph, visible, *poses))


def _path(path: Any) -> dict[str, Any]:
    """Figures of a path, mm."""
    names = ("length", "min_radius", "max_curvature", "clearance", "score", "feasible", "reason")
    return {name: getattr(path, name) for name in names} | {
        "unit": "mm",
        "nodes": len(path.nodes),
        "instructions": list(path.instruction),
    }
