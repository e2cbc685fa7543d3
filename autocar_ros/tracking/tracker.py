"""The living graph: every pair of masks moves it, and its nodes keep their identity while its topology is good."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from autocar_ros.config import TrackingConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.tracking.fitting import Refit
from autocar_ros.tracking.observation import View, observe
from autocar_ros.tracking.quality import Fit, look, seen_bits
from autocar_ros.tracking.state import Evidence, judge
from autocar_ros.tracking.warp import carry
from autocar_ros.types import NANOSECONDS, FloatArray, FramePair, GraphStatus, VesselGraph

CLOCK_JUMP = NANOSECONDS  # pairs running backwards by more than this: another recording
HISTORY = 90  # graphs kept, to bring late reconstructions up to the present
SAME_TIME = NANOSECONDS // 5  # a graph this near in time tells where nodes were


Views = tuple[View | str, View | str]


@dataclass
class _Living:
    """A graph with what is needed to move it and to judge it."""

    graph: VesselGraph
    refit: Refit
    evidence: Evidence
    history: deque[VesselGraph] = field(default_factory=lambda: deque(maxlen=HISTORY))


class Tracker:
    """Keeps one vessel graph on the images (`update`).

    A graph from a reconstruction is taken when there is none, when `force_rebuild` asked for it, when the present one
    has not been OK for `rebuild_pairs` pairs, or when the new one explains `rebuild_gain` more of the masks. It is then
    moved by what the old one has moved since its exposure. Otherwise it is ignored, and nodes keep their identity.
    """

    def __init__(self, config: TrackingConfig | None = None) -> None:
        self._config = config or TrackingConfig()
        self._graph_id = 0
        self._sequence = 0
        self.reset()

    def reset(self) -> None:
        """Forget the graph; ids and sequence numbers go on."""
        self._living: _Living | None = None
        self._newest: int | None = None
        self._not_ok = 0
        self._forced = False

    def force_rebuild(self) -> None:
        """Take the next new graph, however good the present one is."""
        self._forced = True

    def update(self, pair: FramePair, new_graph: VesselGraph | None = None) -> VesselGraph | None:
        """Move the graph to a pair of masks.

        Returns
        -------
        VesselGraph or None
            With the pair's stamps and phase. None before the first graph, and for a pair older than the last.

        Raises
        ------
        PoseError
            When a pose of the pair cannot be used.
        InvalidInputError
            When the new graph holds values that are not finite.
        """
        began = time.perf_counter()
        now = max(pair.stamp_a_ns, pair.stamp_b_ns)
        if self._is_late(now):
            return None
        step = 0.0 if self._newest is None else (now - self._newest) / NANOSECONDS
        cameras = (camera_from_pose(pair.pose_a), camera_from_pose(pair.pose_b))
        views = (observe(pair.mask_a, cameras[0]), observe(pair.mask_b, cameras[1]))
        fit = self._fit(self._living, views) if self._living else None
        if new_graph is not None and len(new_graph):
            fit = self._consider(new_graph, fit, views)
        self._newest = now
        if self._living is None or fit is None:
            return None
        graph = self._describe(self._living, fit, pair, views, cameras, step)
        graph = graph.with_(processing_time=time.perf_counter() - began)
        self._living.graph = graph
        self._living.history.append(graph)
        return graph

    def _is_late(self, now: int) -> bool:
        """Whether a pair is older than the last one; a clock that jumped back starts anew."""
        if self._newest is None or now >= self._newest:
            return False
        if now < self._newest - CLOCK_JUMP:
            self.reset()
            return False
        return True

    def _fit(self, living: _Living, views: Views, rounds: int = 1) -> Fit:
        position = living.graph.position
        usable = [v for v in views if isinstance(v, View)]
        for _ in range(rounds if usable else 0):
            position = living.refit(position, usable)
        tangent = living.refit.direction(position)
        a, b = (look(position, tangent, living.graph.edges, v, self._config.seen_distance) for v in views)
        return Fit(position, a, b)

    def _consider(self, new: VesselGraph, fit: Fit | None, views: Views) -> Fit | None:
        """Take a new graph in place of the present one when that is due; the fit that is then valid."""
        if not (np.isfinite(new.position).all() and np.isfinite(new.radius).all()):
            raise InvalidInputError("the new graph has positions or radii that are not finite: it was ignored")
        candidate = _Living(
            new.with_(position=self._to_present(new)), Refit(new, self._config), Evidence(new, self._config.max_speed)
        )
        new_fit = self._fit(candidate, views, rounds=2)
        if not (fit is None or self._forced or self._is_better(new_fit, fit)):
            return fit
        self._graph_id += 1
        self._living = candidate
        self._forced, self._not_ok = False, 0
        return new_fit

    def _is_better(self, new: Fit, old: Fit) -> bool:
        if new.coverage >= old.coverage + self._config.rebuild_gain:
            return True
        return self._not_ok >= self._config.rebuild_pairs and new.coverage >= old.coverage

    def _to_present(self, new: VesselGraph) -> FloatArray:
        """Nodes of a graph of the past, moved by what the present graph has moved since."""
        if self._living is None or not self._living.history:
            return new.position
        history = self._living.history
        then = min(history, key=lambda g: abs(g.stamp_a_ns - new.stamp_a_ns))
        if abs(then.stamp_a_ns - new.stamp_a_ns) > SAME_TIME:
            return new.position
        return carry(new.position, then.position, history[-1].position)

    def _describe(
        self, living: _Living, fit: Fit, pair: FramePair, views: Views, cameras: tuple[Camera, Camera], step: float
    ) -> VesselGraph:
        moved = np.median(np.linalg.norm(fit.position - living.graph.position, axis=1)) if living.history else 0.0
        living.evidence.add(fit, float(moved), step)
        status, reason = judge(fit, views, living.evidence, self._config)
        self._not_ok = 0 if status == GraphStatus.OK else self._not_ok + 1
        self._sequence += 1
        return living.graph.with_(
            position=fit.position,
            radius=living.evidence.radius,
            confidence=living.evidence.confidence,
            sigma=living.evidence.sigma(fit, cameras),
            seen_by=seen_bits(fit),
            graph_id=self._graph_id,
            sequence=self._sequence,
            status=status,
            status_reason=reason,
            phase=pair.phase_a,
            stamp_a_ns=pair.stamp_a_ns,
            stamp_b_ns=pair.stamp_b_ns,
            residual=(fit.a.residual, fit.b.residual),
            coverage=(fit.a.coverage, fit.b.coverage),
        )
