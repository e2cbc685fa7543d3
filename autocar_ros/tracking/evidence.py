"""What the images have shown of every node over time: confidence, radius, uncertainty, contradiction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from autocar_ros.tracking.confirmation import Confirmation
from autocar_ros.tracking.quality import Fit
from autocar_ros.types import FloatArray, IntArray, VesselGraph

ONE_VIEW = 0.5  # confidence of a node that one plane shows, of one that both show
FOLLOW = 0.5  # s in which confidence and radius follow the images
DRIFT = 3.0  # mm/s by which the 1-sigma of a node grows while not both planes show it
SYSTEMATIC = 0.5  # mm, 1-sigma of what poses and masks get wrong for all nodes alike
LARGEST_SIGMA = 20.0  # mm
REFUTED = 0.3  # of all reconstructions: a node that fewer find is given up, so one that none of three more does
CONFIRMED = 0.25  # confidence from which a node was seen lately


class Evidence:
    """Confidence, radius and uncertainty of the nodes of one graph, from what the views have shown.

    Attributes
    ----------
    confidence : (N,) follows what the reconstructions gave when both planes show a node, half of it with one, 0 unseen
    radius : (N,) mm
    absent : (N,) s for which a node was in both images, next to a node that a plane showed or one that was
        absent itself, and no plane showed it
    """

    def __init__(self, graph: VesselGraph) -> None:
        self._birth = np.clip(np.nan_to_num(graph.confidence), 0.0, 1.0)
        self._unseen = np.zeros(len(graph))  # s since both planes showed a node
        self._parent = graph.parent
        self.confidence = self._birth
        self.radius = graph.radius
        self.absent = np.zeros(len(graph))
        self._graphs = np.ones(len(graph))  # reconstructions that could find a node
        self._found = np.ones(len(graph))  # and that did

    @property
    def lately(self) -> NDArray[np.bool_]:
        """(N,) nodes that were seen lately."""
        return np.asarray(self.confidence > CONFIRMED * self._birth)

    def add(self, fit: Fit, radius: FloatArray, step: float, contrast: bool) -> None:
        """Take what a fit shows that lies `step` s after the one before; without contrast no node counts as absent.

        `radius` (N,) mm is what the views show, NaN where they do not.
        """
        follow = 1.0 - np.exp(-step / FOLLOW)
        planes = fit.a.seen.astype(int) + fit.b.seen
        target = self._birth * np.array([0.0, ONE_VIEW, 1.0])[planes]
        self.confidence = self.confidence + follow * (target - self.confidence)
        self.radius = np.where(np.isfinite(radius), self.radius + follow * (radius - self.radius), self.radius)
        self._unseen = np.where(planes == 2, 0.0, self._unseen + step)
        beside = (self._parent >= 0) & ((planes > 0) | (self.absent > 0))[self._parent]
        self.absent = np.where(planes > 0, 0.0, self.absent + step * (contrast & fit.a.inside & fit.b.inside & beside))

    @property
    def refuted(self) -> NDArray[np.bool_]:
        """(N,) nodes that hardly any reconstruction finds again, though the images show something there."""
        return np.asarray(self._found <= REFUTED * self._graphs)

    def confirm(self, told: Confirmation, shown: NDArray[np.bool_]) -> FloatArray:
        """Take what a new reconstruction says of nodes (N,); the share of its say in their place, 0..1.

        A node that it does not find counts as missed where both of its views had `shown` something. The confidence that
        the graph was born with becomes the mean over all reconstructions.
        """
        asked = told.found | shown
        self._graphs = self._graphs + asked
        self._found = self._found + told.found
        self._birth = self._birth + asked * (told.confidence - self._birth) / self._graphs
        return np.where(told.found, 1.0 / self._found, 0.0)

    def sigma(self, fit: Fit) -> FloatArray:
        """1-sigma (N,) mm: of fit and poses, distance to the centrelines, time since both showed the node."""
        both = fit.a.seen & fit.b.seen
        apart = np.where(both, np.hypot(fit.a.distance, fit.b.distance) / 2, 0.0)
        fitted = np.nan_to_num(fit.sigma, nan=np.inf)
        sigma = np.sqrt(fitted**2 + apart**2 + (DRIFT * self._unseen) ** 2 + SYSTEMATIC**2)
        return np.asarray(np.minimum(sigma, LARGEST_SIGMA))

    def taken(self, graph: VesselGraph, origin: IntArray, added: NDArray[np.bool_]) -> Evidence:
        """Evidence for a graph whose nodes (M,) were `origin` (M,) here, but for the added ones."""
        new = Evidence(graph)
        for name in ("_birth", "_unseen", "confidence", "radius", "absent", "_graphs", "_found"):
            setattr(new, name, np.where(added, getattr(new, name), getattr(self, name)[origin]))
        return new
