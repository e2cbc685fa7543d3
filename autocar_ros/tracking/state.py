"""What the tracker knows of every node over time, and the verdict on the whole graph."""

from __future__ import annotations

import numpy as np

from autocar_ros.config import TrackingConfig
from autocar_ros.geometry.camera import Camera
from autocar_ros.tracking.observation import View
from autocar_ros.tracking.quality import Fit, fused_radius
from autocar_ros.types import FloatArray, GraphStatus, VesselGraph
from autocar_ros.vessels.measure import ray_sigma

FEW_SEEN = 0.3  # share of nodes seen in both planes below which a graph is not OK
ONE_VIEW = 0.5  # confidence of a node that one plane shows, of one that both show
FOLLOW = 0.5  # s in which confidence and radius follow the images
DRIFT = 10.0  # mm/s by which the 1-sigma of a node grows while not both planes show it
LARGEST_SIGMA = 20.0  # mm
DOUBT = 1.0  # s that a graph is not OK after a jump


class Evidence:
    """Confidence, radius and uncertainty of the nodes of one graph, from what the views have shown.

    Attributes
    ----------
    confidence : (N,) follows what the graph was born with when both planes show a node, half of it with one, 0 unseen
    radius : (N,) mm
    blind_time : s since any plane showed vessels
    jump : mm of the last motion that was faster than `max_speed`
    since_jump : s
    """

    def __init__(self, graph: VesselGraph, max_speed: float) -> None:
        self._max_speed = max_speed
        self._birth = np.clip(np.nan_to_num(graph.confidence), 0.0, 1.0)
        self._unseen = np.zeros(len(graph))  # s since both planes showed a node
        self.confidence = self._birth
        self.radius = graph.radius
        self.blind_time = 0.0
        self.jump = 0.0
        self.since_jump = np.inf

    def add(self, fit: Fit, moved: float, step: float) -> None:
        """Take what a fit shows that lies `moved` mm (median) and `step` s from the one before."""
        self.since_jump += step
        if moved > self._max_speed * (step + self.blind_time) > 0:
            self.jump, self.since_jump = moved, 0.0
        follow = 1.0 - np.exp(-step / FOLLOW)
        planes = fit.a.seen.astype(int) + fit.b.seen
        target = self._birth * np.array([0.0, ONE_VIEW, 1.0])[planes]
        self.confidence = self.confidence + follow * (target - self.confidence)
        radius = fused_radius(fit)
        self.radius = np.where(np.isfinite(radius), self.radius + follow * (radius - self.radius), self.radius)
        self._unseen = np.where(planes == 2, 0.0, self._unseen + step)
        self.blind_time = 0.0 if fit.a.shows or fit.b.shows else self.blind_time + step

    def sigma(self, fit: Fit, cameras: tuple[Camera, Camera]) -> FloatArray:
        """1-sigma (N,) mm: rays of both views, distance to the centrelines, and time since both showed the node."""
        both = fit.a.seen & fit.b.seen
        apart = np.where(both, np.hypot(fit.a.distance, fit.b.distance) / 2, 0.0)
        sigma = np.sqrt(ray_sigma(fit.position, cameras) ** 2 + apart**2 + (DRIFT * self._unseen) ** 2)
        return np.asarray(np.minimum(sigma, LARGEST_SIGMA))


def judge(
    fit: Fit, views: tuple[View | str, View | str], evidence: Evidence, config: TrackingConfig
) -> tuple[GraphStatus, str]:
    """Status of a graph and its reason."""
    blind_time = evidence.blind_time
    troubles = [f"plane {name}: {view}" for name, view in zip("AB", views, strict=True) if isinstance(view, str)]
    if len(troubles) == len(views):
        reason = "; ".join(troubles)
        if blind_time >= config.lost_after:
            return GraphStatus.LOST, f"no vessels seen for {blind_time:.1f} s: {reason}"
        return GraphStatus.STALE, reason
    for name, sight in (("A", fit.a), ("B", fit.b)):
        if sight.shows and sight.coverage < config.lost_coverage:
            return GraphStatus.LOST, f"the graph explains {sight.coverage:.0%} of the vessels of plane {name}"
        if sight.shows and sight.coverage < config.good_coverage:
            troubles.append(f"the graph explains {sight.coverage:.0%} of the vessels of plane {name}")
    if evidence.since_jump < DOUBT:
        troubles.append(f"it jumped by {evidence.jump:.0f} mm, faster than a heart: nodes may be mistaken")
    if not troubles and fit.seen_share < FEW_SEEN:
        troubles.append(f"both planes show only {fit.seen_share:.0%} of the nodes")
    return (GraphStatus.DEGRADED if troubles else GraphStatus.OK), "; ".join(troubles)
