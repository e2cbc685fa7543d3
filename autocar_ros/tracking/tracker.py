"""The living graph: every pair of masks moves it, and its nodes keep their identity while its topology is good."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from autocar_ros.config import TrackingConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.tracking.confirmation import confirm
from autocar_ros.tracking.growth import cut, graft
from autocar_ros.tracking.living import Living, Views
from autocar_ros.tracking.motion import Expected
from autocar_ros.tracking.observation import View, observe
from autocar_ros.tracking.quality import Fit, seen_bits
from autocar_ros.tracking.shift import find_shift
from autocar_ros.tracking.state import OFF_VESSELS, STATE_OF, Repeats, State
from autocar_ros.types import NANOSECONDS, CArmPose, FramePair, GraphStatus, VesselGraph

CLOCK_JUMP = NANOSECONDS  # pairs running backwards by more than this: another recording
FARTHEST_AHEAD = 0.5  # s that a graph is predicted
RECENT = 30  # pairs through which a late graph is brought to the present when no graph knows the way

Seen = tuple[int, float, Views]  # stamp and phase of plane A, and what both planes show


class Tracker:
    """Keeps one vessel graph on the images (`update`).

    A new reconstruction is first brought from its exposure to the present. Then

    - it is the graph when there is none, when `force_rebuild` asked for it, and when the present graph is lost or has
      not been OK for `rebuild_pairs`, and explains `rebuild_gain` less of the masks: a new `graph_id`;
    - nodes of the present graph are moved towards where it has them, by less the more reconstructions had their say;
    - ends of the present graph that the images have contradicted for `prune_after`, or that hardly any reconstruction
      finds again, are cut: a new `graph_id`;
    - branches that explain more of the masks are grafted, at most once in `growth_pause` while the graph explains
      enough: the `graph_id` stays, new nodes come last (unless the ostium is among them and edges turn).
    """

    def __init__(self, config: TrackingConfig | None = None) -> None:
        self._config = config or TrackingConfig()
        self._graph_id = 0
        self._sequence = 0
        self.reset()

    def reset(self) -> None:
        """Forget the graph; ids and sequence numbers go on."""
        self._living: Living | None = None
        self._repeats = Repeats()
        self._poses: tuple[CArmPose, CArmPose] | None = None  # of `_cameras`
        self._last: tuple[FramePair, list[str]] | None = None  # pair and what was wrong with it
        self._recent: deque[Seen] = deque(maxlen=RECENT)
        self._newest: int | None = None
        self._compared = -(2**62)  # stamp of the last comparison with a new graph
        self._not_ok = 0
        self._forced = False

    @property
    def state(self) -> State:
        """What the tracker is doing."""
        return STATE_OF[self._living.graph.status] if self._living else State.SEARCHING

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
        views, notes = self._observe(pair)
        if self._living is not None:
            views = self._living.without_clutter(self._living.expected(pair.stamp_a_ns, pair.phase_a), views)
        self._recent.append((pair.stamp_a_ns, pair.phase_a, views))
        self._last = pair, notes
        fit = self._follow(self._living, pair, views) if self._living else None
        if new_graph is not None and len(new_graph):
            fit = self._consider(new_graph, fit, views, now)
        self._newest = now
        if self._living is None or fit is None:
            return None
        graph = self._describe(self._living, fit, pair, views, notes, step)
        graph = graph.with_(processing_time=time.perf_counter() - began)
        self._living.took_place(graph)
        return graph

    def begin_late(self, new_graph: VesselGraph) -> VesselGraph | None:
        """Graph of the last pair, of a first reconstruction that came when no pair follows any more.

        None when there is a graph already, or no pair yet. Raises `InvalidInputError` like `update`.
        """
        if self._living is not None or self._last is None or self._newest is None or not len(new_graph):
            return None
        (pair, notes), views = self._last, self._recent[-1][2]
        fit = self._consider(new_graph, None, views, self._newest)
        if self._living is None or fit is None:
            return None
        graph = self._describe(self._living, fit, pair, views, notes, 0.0)
        self._living.took_place(graph)
        return graph

    def predict(self, stamp_ns: int) -> VesselGraph:
        """Graph expected at a time up to `FARTHEST_AHEAD` s after the last pair.

        It has that time as stamps of both planes, status STALE (LOST if it is lost) with the reason, the phase if the
        heart rate is known, and the error that predictions had so far added to its sigma.

        Raises
        ------
        InvalidInputError
            When there is no graph, or the time is not within reach.
        """
        if self._living is None or self._newest is None:
            raise InvalidInputError("no vessel graph yet: it needs a reconstruction and a frame pair")
        ahead = (stamp_ns - self._newest) / NANOSECONDS
        if not 0 <= ahead <= FARTHEST_AHEAD:
            raise InvalidInputError(
                f"a graph is predicted for up to {FARTHEST_AHEAD:g} s after the last pair, not for {ahead:.3f} s"
            )
        graph, motion = self._living.graph, self._living.motion
        phase = motion.phase_at(stamp_ns / NANOSECONDS)
        expected = motion.at(stamp_ns / NANOSECONDS, phase)
        reason = f"predicted {ahead:.2f} s ahead of the last pair"
        return graph.with_(
            position=expected.position,
            sigma=np.hypot(graph.sigma, expected.sigma),
            phase=phase,
            stamp_a_ns=stamp_ns,
            stamp_b_ns=stamp_ns,
            status=max(graph.status, GraphStatus.STALE),
            status_reason="; ".join(filter(None, (reason, graph.status_reason))),
        )

    def _is_late(self, now: int) -> bool:
        """Whether a pair is older than the last one; a clock that jumped back starts anew."""
        if self._newest is None or now >= self._newest:
            return False
        if now < self._newest - CLOCK_JUMP:
            self.reset()
            return False
        return True

    def _observe(self, pair: FramePair) -> tuple[Views, list[str]]:
        """Centreline of each plane or why it shows none, and what else is wrong with the pair."""
        frozen, notes = self._repeats.check(pair)
        if pair.doubt:
            notes.append(pair.doubt)
        poses = (pair.pose_a, pair.pose_b)
        if poses != self._poses:
            self._poses, self._cameras = poses, (camera_from_pose(pair.pose_a), camera_from_pose(pair.pose_b))
        a = frozen[0] or observe(pair.mask_a, self._cameras[0])
        b = frozen[1] or observe(pair.mask_b, self._cameras[1])
        return (a, b), notes

    def _follow(self, living: Living, pair: FramePair, views: Views) -> Fit:
        """Fit from where the nodes are expected; from where a shift of them all leads if that is a better one."""
        expected = living.expected(pair.stamp_a_ns, pair.phase_a)
        fit = living.fit(expected, views)
        a, b = views
        if not isinstance(a, View) or not isinstance(b, View) or living.fills_little(a) or living.fills_little(b):
            return fit
        # nodes that show no contrast have not gone anywhere while the others explain the masks
        off = living.on_vessels(fit) < OFF_VESSELS and fit.coverage < self._config.good_coverage
        if not off and not living.is_unusual(fit):
            return fit
        offset = find_shift(expected.position, (a, b))
        shifted = living.fit(expected.shifted(offset), views, rounds=2 if off else 1)
        if not off:
            return min(fit, shifted, key=living.distance)
        if living.on_vessels(shifted) < OFF_VESSELS or shifted.coverage < fit.coverage:
            return fit
        living.jumped(offset)
        return shifted

    def _consider(self, new: VesselGraph, fit: Fit | None, views: Views, now: int) -> Fit | None:
        """Take a new graph, or what it has more than the present one, when that is due; the fit that is then valid."""
        if not (np.isfinite(new.position).all() and np.isfinite(new.radius).all()):
            raise InvalidInputError("the new graph has positions or radii that are not finite: it was ignored")
        living, c = self._living, self._config
        if living is None or fit is None or self._forced:
            return self._take(*self._caught_up(new))
        fit = self._confirm(living, new, fit, views)
        if fit.coverage < c.good_coverage or now - self._compared >= c.growth_pause * NANOSECONDS:
            fit, self._compared = self._grow(living, new, fit, views), now
        if self.state == State.LOST or self._not_ok >= c.rebuild_pairs:
            other, other_fit = self._caught_up(new)
            if other_fit.coverage >= fit.coverage + c.rebuild_gain:
                return self._take(other, other_fit)
        return fit

    def _caught_up(self, new: VesselGraph) -> tuple[Living, Fit]:
        """A new graph followed through the pairs since its exposure, and its fit to the present one.

        It knows no motion yet, and its nodes may slip along the vessels in a fast part of the beat: every fit is also
        tried from a shift.
        """
        living = Living(new, self._config)
        *past, (now, phase_now, views) = self._recent
        for stamp, phase, then in past:
            if stamp >= new.stamp_a_ns:
                fit = _better_fit(living, living.expected(stamp, phase), then)
                living.took_place(new.with_(position=fit.position, stamp_a_ns=stamp, phase=phase))
        return living, _better_fit(living, living.expected(now, phase_now), views, rounds=2)

    def _take(self, living: Living, fit: Fit) -> Fit:
        self._graph_id += 1
        self._living = living
        self._forced, self._not_ok = False, 0
        return fit

    def _grow(self, living: Living, new: VesselGraph, fit: Fit, views: Views) -> Fit:
        """Cut what the images contradict and graft what the new graph has more; the fit of what is then there."""
        if living.on_vessels(fit) < OFF_VESSELS:
            return fit
        gone = (living.evidence.absent >= self._config.prune_after) | living.evidence.refuted
        cut_off = cut(living.graph, gone)
        if cut_off:
            self._graph_id += 1
            fit = living.become(cut_off, living.graph.position, fit.position, views)
        then, seen = living.shape_at(new.stamp_a_ns), self._seen_at(new.stamp_a_ns) or views
        grown = None if then is None else graft(living.graph.with_(position=then), new, seen)
        if grown and then is not None:
            old = living.graph.edges
            self._graph_id += not np.array_equal(grown.graph.edges[: len(old)], old)  # turned towards another root
            fit = living.become(grown, then, fit.position, views)
        return fit

    def _confirm(self, living: Living, new: VesselGraph, fit: Fit, views: Views) -> Fit:
        """Nodes moved towards where a new graph has them, by less the more graphs had their say; the fit of that."""
        then, seen = living.shape_at(new.stamp_a_ns), self._seen_at(new.stamp_a_ns)
        if then is None or seen is None or living.on_vessels(fit) < OFF_VESSELS:
            return fit
        told = confirm(living.graph.with_(position=then), new)
        share = living.evidence.confirm(told, living.shown(then, seen))
        return living.bent(share[:, None] * told.offset, fit.position, views)

    def _seen_at(self, stamp_ns: int) -> Views | None:
        return next((views for stamp, _, views in self._recent if stamp == stamp_ns), None)

    def _describe(
        self, living: Living, fit: Fit, pair: FramePair, views: Views, notes: list[str], step: float
    ) -> VesselGraph:
        status, reason = living.judged(fit, views, notes, step)
        self._not_ok = 0 if status == GraphStatus.OK else self._not_ok + 1
        self._sequence += 1
        return living.graph.with_(
            position=fit.position,
            radius=living.evidence.radius,
            confidence=living.evidence.confidence,
            sigma=living.evidence.sigma(fit),
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


def _better_fit(living: Living, expected: Expected, views: Views, rounds: int = 1) -> Fit:
    """Fit from where the nodes are expected, or from the shift of them all that suits both views best."""
    fit = living.fit(expected, views, rounds)
    a, b = views
    if not isinstance(a, View) or not isinstance(b, View):
        return fit
    shifted = living.fit(expected.shifted(find_shift(expected.position, (a, b))), views, rounds)
    return min(fit, shifted, key=living.distance)
