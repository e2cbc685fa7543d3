"""What the views say about a fitted graph: residual, coverage, visibility, radius."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autocar_ros.tracking.cells import near_edges
from autocar_ros.tracking.observation import View
from autocar_ros.types import FloatArray, IntArray, SeenBy
from autocar_ros.vessels.radius import fuse_radius, lumen_radius
from autocar_ros.vessels.reprojection import COVERAGE_DISTANCE


class Sight(NamedTuple):
    """What one view says about every node of a graph."""

    shows: bool  # the view has a centreline at all
    seen: NDArray[np.bool_]  # (N,) a centreline is near
    inside: NDArray[np.bool_]  # (N,) within the image
    distance: FloatArray  # (N,) mm to the centreline
    residual: float  # px, NaN when no node is in the image
    coverage: float  # 0..1


class Fit(NamedTuple):
    """Fitted nodes and what both views say about them."""

    position: FloatArray  # (N, 3) mm
    sigma: FloatArray  # (N,) mm, 1-sigma per axis
    a: Sight
    b: Sight

    @property
    def coverage(self) -> float:
        """The smaller of both coverages."""
        return min(self.a.coverage, self.b.coverage)

    @property
    def seen_share(self) -> float:
        """Share of the nodes inside both images that both views show."""
        inside = self.a.inside & self.b.inside
        return float((self.a.seen & self.b.seen)[inside].mean()) if inside.any() else 0.0


def look(position: FloatArray, tangent: FloatArray, edges: IntArray, view: View | str, near: float) -> Sight:
    """Compare a graph (N, 3) mm with a view; `near` in mm is how far a seen node may be from a centreline."""
    if isinstance(view, str):
        none, unknown = np.zeros(len(position), np.bool_), np.full(len(position), np.nan)
        return Sight(False, none, none, unknown, np.nan, 0.0)
    match = view.match(position, tangent)
    seen = match.inside & (match.distance <= near)
    return Sight(
        shows=True,
        seen=seen,
        inside=match.inside,
        distance=match.distance,
        residual=float(np.median((match.distance / match.size)[match.inside])) if match.inside.any() else np.nan,
        coverage=float(explained(position, edges, view).mean()),
    )


def seen_bits(fit: Fit) -> NDArray[np.uint8]:
    """(N,) SeenBy bits."""
    return (fit.a.seen * np.uint8(SeenBy.A) | fit.b.seen * np.uint8(SeenBy.B)).astype(np.uint8)


def shown_radius(fit: Fit, tangent: FloatArray, views: tuple[View | str, View | str]) -> FloatArray:
    """(N,) mm where both views show a node and one of them its border, else NaN; `tangent` (N, 3) is of the nodes."""
    radius, both = np.full(len(fit.position), np.nan), fit.a.seen & fit.b.seen
    a, b = views
    if isinstance(a, View) and isinstance(b, View):
        at, along = fit.position[both], tangent[both]
        radius[both] = fuse_radius(*(lumen_radius(at, along, view.camera, view.mask) for view in (a, b)))
    return radius


def explained(position: FloatArray, edges: IntArray, view: View) -> NDArray[np.bool_]:
    """(M,) points of a mask's centreline within 3 mm (at the isocentre) of the projected graph."""
    pixels, _ = view.camera.project(position)
    depth = float(view.camera.project(np.zeros((1, 3)))[1][0])
    near = COVERAGE_DISTANCE / float(view.camera.mm_per_pixel(depth))
    return near_edges(view.cells, pixels, edges, near)
