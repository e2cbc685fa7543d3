"""A graph with all that is needed to move it, to judge it, and to let it grow."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from autocar_ros.config import TrackingConfig
from autocar_ros.tracking.evidence import Evidence
from autocar_ros.tracking.fitting import Refit, Targets
from autocar_ros.tracking.growth import Grown
from autocar_ros.tracking.motion import Expected, MotionPrior
from autocar_ros.tracking.observation import View
from autocar_ros.tracking.quality import Fit, Sight, explained, look, shown_radius
from autocar_ros.tracking.state import OFF_VESSELS, Memory, judge
from autocar_ros.tracking.warp import carry
from autocar_ros.types import NANOSECONDS, FloatArray, GraphStatus, VesselGraph

HISTORY = 90  # shapes kept, to bring late reconstructions up to the present
UNSURE = 5.0  # mm, 1-sigma of nodes whose motion is not known
RECONSTRUCTED = 1.0  # 1/mm^2, weight of where reconstructions have a node
UNSEEN = 30.0  # times the weight of what is expected, for nodes not seen lately: the lines near them are others'
ENOUGH = 0.5  # points of a centreline for every node, of a tree filled well enough to be found elsewhere
SAME_TIME = NANOSECONDS // 5  # a shape this near in time tells where nodes were
FAR = 3.0  # mm to a centreline that count no more than this
USUAL = 1.0  # s through which the usual distance of a graph to the centrelines is followed
UNUSUAL = 1.2  # of the usual distance, beyond which the graph may have been caught by the wrong vessels

Views = tuple[View | str, View | str]


class Living:
    """One set of nodes and edges through time.

    Attributes
    ----------
    graph : VesselGraph
        After the last pair.
    """

    def __init__(self, graph: VesselGraph, config: TrackingConfig) -> None:
        self._config = config
        self.graph = graph
        self._born = graph  # the shape whose bends are kept
        self._refit = Refit(graph, config)
        self.evidence = Evidence(graph)
        self.motion = MotionPrior(len(graph))
        self.memory = Memory()
        self._shapes: deque[tuple[int, FloatArray]] = deque(maxlen=HISTORY)
        self._usual = np.inf  # mm to the centrelines

    def expected(self, stamp_ns: int, phase: float) -> Expected:
        """Where the nodes are expected at a time."""
        if not self._shapes:
            return Expected(self.graph.position, np.full(len(self.graph), UNSURE))
        return self.motion.at(stamp_ns / NANOSECONDS, phase)

    def fills_little(self, view: View) -> bool:
        """Whether a view shows too little of the tree to look for it elsewhere."""
        return len(view.points) < ENOUGH * len(self.graph)

    def without_clutter(self, expected: Expected, views: Views) -> Views:
        """The views, without one that shows little, and that not where the graph is expected: no contrast is left."""
        a, b = (self._unless_clutter(expected.position, view) for view in views)
        return a, b

    def _unless_clutter(self, position: FloatArray, view: View | str) -> View | str:
        if isinstance(view, str) or not self.fills_little(view):
            return view
        if explained(position, self.graph.edges, view).mean() >= self._config.good_coverage:
            return view
        return "the mask shows hardly any vessels (contrast washes out or comes), and those not where they are expected"

    def fit(self, expected: Expected, views: Views, rounds: int = 1, points: Targets | None = None) -> Fit:
        """Nodes fitted to the views, and to `points` as of `Refit`, from where they are expected.

        After the first round no more is expected.
        """
        position, sigma = expected
        error = float(np.median(sigma))
        usable = [v for v in views if isinstance(v, View)]
        prior = (position, expected.weight * np.where(self.evidence.lately, 1.0, UNSEEN))
        for k in range(rounds if usable else 0):
            position, sigma = self._refit(position, usable, prior if k == 0 else None, points, error)
        return Fit(position, sigma, *self._looked(position, views))

    def _looked(self, position: FloatArray, views: Views) -> tuple[Sight, Sight]:
        """What both views say about nodes (N, 3) mm."""
        tangent = self._refit.direction(position)
        a, b = (look(position, tangent, self.graph.edges, v, self._config.seen_distance) for v in views)
        return a, b

    def shown(self, position: FloatArray, views: Views) -> NDArray[np.bool_]:
        """Which nodes (N, 3) mm both views show something at."""
        a, b = self._looked(position, views)
        return np.asarray(a.seen & b.seen)

    def on_vessels(self, fit: Fit) -> float:
        """Share of the nodes seen lately that a view shows now, in the worse view; 1 when none can be told."""
        lately = self.evidence.lately
        shares = [
            float(sight.seen[lately & sight.inside].mean())
            for sight in (fit.a, fit.b)
            if sight.shows and (lately & sight.inside).any()
        ]
        return min(shares, default=1.0)

    def distance(self, fit: Fit) -> float:
        """Mean distance in mm of the nodes seen lately to the centrelines of both views; 0 when none can be told."""
        lately = self.evidence.lately
        far = [np.minimum(sight.distance[lately & sight.inside], FAR) for sight in (fit.a, fit.b) if sight.shows]
        return float(np.concatenate(far).mean()) if any(map(len, far)) else 0.0

    def is_unusual(self, fit: Fit) -> bool:
        """Whether the nodes lie further from the centrelines than they did before: some may be on other vessels."""
        return self.distance(fit) > UNUSUAL * self._usual

    def took_place(self, graph: VesselGraph) -> None:
        """Keep the graph of a pair."""
        self.graph = graph
        self._shapes.append((graph.stamp_a_ns, graph.position))
        if graph.status in (GraphStatus.OK, GraphStatus.DEGRADED):
            self.motion.add(graph.stamp_a_ns / NANOSECONDS, graph.phase, graph.position)

    def shape_at(self, stamp_ns: int) -> FloatArray | None:
        """Nodes (N, 3) mm as they were at a time; None when that is not known."""
        stamp, shape = min(self._shapes, key=lambda s: abs(s[0] - stamp_ns), default=(0, self.graph.position))
        if abs(stamp - stamp_ns) > SAME_TIME:
            return None
        now = self.graph.position
        return np.concatenate([shape, carry(now[len(shape) :], now[: len(shape)], shape)])

    def jumped(self, offset: FloatArray) -> None:
        """Follow a jump of all nodes by (3,) mm."""
        self.motion.shifted(offset)
        self.memory.jump, self.memory.since_jump = float(np.linalg.norm(offset)), 0.0

    def judged(self, fit: Fit, views: Views, notes: list[str], step: float) -> tuple[GraphStatus, str]:
        """Take the fit of a pair `step` s after the last as evidence; status of the graph, and why."""
        moved = np.median(np.linalg.norm(fit.position - self.graph.position, axis=1)) if self._shapes else 0.0
        on_vessels = self.on_vessels(fit)
        self.memory.add(fit, step, float(moved), self._config.max_speed)
        distance = self.distance(fit)
        usual = self._usual if np.isfinite(self._usual) else distance
        self._usual = usual + (1 - np.exp(-step / USUAL)) * (distance - usual)
        radius = shown_radius(fit, self._refit.direction(fit.position), views)
        self.evidence.add(fit, radius, step, fit.a.shows and fit.b.shows and on_vessels >= OFF_VESSELS)
        return judge(fit, views, notes, self.memory, on_vessels, self._config)

    def bent(self, offset: FloatArray, present: FloatArray, views: Views) -> Fit:
        """Go on with nodes that have been (N, 3) mm off all the time; `present` as for `become`."""
        self._born = self._born.with_(position=self._born.position + offset)
        self._refit = Refit(self._born, self._config)
        last = self.graph.position + offset
        self.motion = self.motion.taken(np.arange(len(last)), last)
        self.graph = self.graph.with_(position=last)
        shapes = [(stamp, shape + offset[: len(shape)]) for stamp, shape in self._shapes]
        self._shapes = deque(shapes, maxlen=HISTORY)
        there = present + offset
        told = np.where((offset != 0).any(1), RECONSTRUCTED, 0.0)
        return self.fit(Expected(there, np.full(len(last), UNSURE)), views, points=(there, told))

    def become(self, grown: Grown, then: FloatArray, present: FloatArray, views: Views) -> Fit:
        """Go on as a graph that has grown or was cut when this one was at `then` (N, 3) mm.

        `present` (N, 3) mm is where this one is now, at the time of the views.
        """
        changed, origin, added = grown
        count, kept, new = len(self.graph), origin[~added], changed.position[added]
        born, last, start = (
            np.concatenate([shape[kept], carry(new, then, shape)])
            for shape in (self._born.position, self.graph.position, present)
        )
        self._born = changed.with_(position=born)
        self._refit = Refit(self._born, self._config)
        self.evidence = self.evidence.taken(changed, origin, added)
        self.motion = self.motion.taken(origin, last)
        self.graph = changed.with_(position=last)
        if len(changed) < count:
            shapes = [(stamp, shape[origin]) for stamp, shape in self._shapes if len(shape) == count]
            self._shapes = deque(shapes, maxlen=HISTORY)
        return self.fit(Expected(start, np.full(len(start), UNSURE)), views)
