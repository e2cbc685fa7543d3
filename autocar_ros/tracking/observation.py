"""What a mask tells the tracker: centreline points with their normals, found in a few milliseconds.

`vessels.skeleton` makes cleaner centrelines (no spurs, sub-pixel chains) but takes several times as long; here a local
line fit through the thinned pixels gives sub-pixel normals, and the robust refit bears spurs.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import KDTree
from skimage.morphology import skeletonize

from autocar_ros.geometry.camera import Camera
from autocar_ros.types import FloatArray, IntArray, Mask

VESSEL = 128  # of a mask
FEWEST_POINTS = 20  # a shorter centreline is not a view of a vessel tree
LARGEST_SHARE = 0.4  # of the image; more is a failed segmentation
EVERY = 2  # thinned pixels that make one point of the centreline, about
LINE_POINTS = 9  # through which a local line is fitted
CANDIDATES = 4  # centreline points a node may match
SLANT = 12.0  # px that a match at right angles counts as further away


@dataclass(frozen=True)
class Match:
    """Centreline lines that nodes (N,) match."""

    offset: FloatArray  # (N,) px from the node to the line, signed along the normal
    normal: FloatArray  # (N, 2) unit
    index: IntArray  # (N,) point of the centreline
    distance: FloatArray  # (N,) px to the line, beyond its end to that end
    alignment: FloatArray  # (N,) |cosine| between the directions of node and line


@dataclass(frozen=True)
class View:
    """Centreline of one mask with its camera."""

    camera: Camera
    points: FloatArray  # (M, 2) px, on the local line
    direction: FloatArray  # (M, 2) unit, along the vessel
    radius: FloatArray  # (M,) px
    tree: KDTree

    def match(self, pixels: FloatArray, direction: FloatArray) -> Match:
        """Match projected nodes (N, 2) with unit directions (N, 2): nearest line that runs the same way."""
        distance, candidate = (np.asarray(found) for found in self.tree.query(pixels, k=CANDIDATES))
        cosine = np.abs(np.einsum("nkc,nc->nk", self.direction[candidate], direction))
        best = np.argmin(distance + SLANT * (1 - cosine), axis=1)
        rows = np.arange(len(pixels))
        index = candidate[rows, best]
        along = self.direction[index]
        normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
        gap = pixels - self.points[index]
        offset = (gap * normal).sum(1)
        beyond = np.maximum(np.abs((gap * along).sum(1)) - EVERY, 0.0)
        return Match(offset, normal, index, np.hypot(offset, beyond), cosine[rows, best])


def observe(mask: Mask, camera: Camera) -> View | str:
    """Find the centreline of a mask (rows, columns) 0..255, or say why it shows no vessel tree."""
    vessel = cv2.inRange(mask, VESSEL, 255)
    share = cv2.countNonZero(vessel) / mask.size
    if share > LARGEST_SHARE:
        return f"{share:.0%} of the mask is vessel: the segmentation failed"
    left, top, width, height = cv2.boundingRect(vessel)
    crop = np.pad(vessel[top : top + height, left : left + width], 1)
    pixels = np.argwhere(skeletonize(crop > 0))
    if len(pixels) < FEWEST_POINTS:
        return "the mask shows no vessels (no contrast, or the plane is covered)"
    radius = cv2.distanceTransform(crop, cv2.DIST_L2, 5)[tuple(pixels.T)] - 0.5
    points = pixels[:, ::-1] + np.array([left - 1.0, top - 1.0])
    # In the order of rows every second pixel could be all of one vessel and none of its neighbour; this pattern is met
    # evenly by lines of every direction.
    kept = (pixels @ [1, 2]) % 5 < 5 / EVERY
    points, direction = _local_lines(points, points[kept])
    return View(camera, points, direction, np.maximum(radius[kept].astype(float), 0.5), _tree(points))


def _local_lines(points: FloatArray, kept: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Move some of the thinned pixels onto the lines through their neighbours; also the lines' directions."""
    _, near = _tree(points).query(kept, k=LINE_POINTS)
    centre = points[near].mean(1)
    x, y = (points[near] - centre[:, None]).transpose(2, 0, 1)
    angle = 0.5 * np.arctan2(2 * np.einsum("mk,mk->m", x, y), np.einsum("mk,mk->m", x, x) - np.einsum("mk,mk->m", y, y))
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    along = np.einsum("mc,mc->m", kept - centre, direction)
    return centre + along[:, None] * direction, direction


def _tree(points: FloatArray) -> KDTree:
    """Search tree that is quick to build: it serves a single pair."""
    return KDTree(points, compact_nodes=False, balanced_tree=False)
