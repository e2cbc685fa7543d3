"""2D vessel mask to centreline: thinning, spanning tree, spur pruning, sub-pixel smoothing, radius."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import MASK_THRESHOLD, DistanceMap, FloatArray, IntArray, Mask
from autocar_ros.vessels import tree

SMOOTHING = 2.0  # px along the centreline: takes the staircase of the pixels away, keeps bends of a vessel's width
SHORTEST = 12.0  # px; a component of the skeleton shorter than this is noise
SMALLEST_HOLE = 25  # px of area; a smaller hole in a mask is noise and would make the centreline run around it
SURROUND = 5  # px around the vessel: background that reaches so far is larger than SMALLEST_HOLE
THINNING = 2  # px between the points that stand for a centreline where every pixel would be too many
TWIG = 1.5  # a twig shorter than this many radii plus TWIG_BASE px is an artefact of thinning
TWIG_BASE = 3.0


@dataclass(frozen=True)
class Centreline:
    """Centreline of one vessel mask: a forest of sub-pixel points about one pixel apart."""

    points: FloatArray  # (N, 2) px (column, row)
    radius: FloatArray  # (N,) px
    edges: IntArray  # (E, 2)
    nearest: NDArray[np.int32]  # (rows, columns) index of the point nearest to a pixel
    absorbed: FloatArray | None = None  # (N,) px, log attenuation summed across the vessel; None where it is unknown

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def thinned(self) -> tuple[IntArray, IntArray]:
        """`every` point that lifting asks for."""
        return self.every(THINNING)

    def every(self, pixels: float) -> tuple[IntArray, IntArray]:
        """Index (M,) of points about so many px apart with all ends, and the edges (F, 2) between them."""
        path = tree.paths(len(self), self.edges)
        steps = path.ends - path.starts - 1
        pieces = np.maximum(np.rint(steps / pixels), 1).astype(np.int64)
        chain = np.repeat(np.arange(len(steps)), pieces + 1)
        piece = np.arange(len(chain)) - np.repeat(np.cumsum(pieces + 1) - pieces - 1, pieces + 1)
        kept = path.nodes[path.starts[chain] + np.rint(piece * steps[chain] / pieces[chain]).astype(np.int64)]
        index, place = np.unique(kept, return_inverse=True)
        last = piece == pieces[chain]
        return index, np.stack([place[~last], place[np.flatnonzero(~last) + 1]], 1)

    def query(self, pixels: FloatArray) -> tuple[FloatArray, IntArray]:
        """Distance (...,) px and index of the nearest point of pixels (..., 2), also outside the image."""
        rows, columns = self.nearest.shape
        column = np.clip(np.rint(pixels[..., 0]), 0, columns - 1).astype(np.int64)
        row = np.clip(np.rint(pixels[..., 1]), 0, rows - 1).astype(np.int64)
        index = self.nearest[row, column].astype(np.int64)
        return np.linalg.norm(pixels - self.points[index], axis=-1), index


def binary(mask: Mask) -> NDArray[np.uint8]:
    """Mask of (rows, columns) 0..255 as 0/1, small holes filled."""
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise InvalidInputError(f"a mask is (rows, columns) uint8, got {mask.dtype} {mask.shape}")
    vessel = (mask >= MASK_THRESHOLD).astype(np.uint8)
    box = bounding_box(vessel)
    _, label, stats, _ = cv2.connectedComponentsWithStats(1 - vessel[box], connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < SMALLEST_HOLE
    small[0] = False  # the vessel
    vessel[box] |= small[label]
    return vessel


def extract_centreline(mask: Mask) -> Centreline:
    """Centreline of a vessel mask (rows, columns) uint8 0..255; raises `InvalidInputError` when there is none."""
    vessel = binary(mask)
    box = bounding_box(vessel)
    pixels = np.argwhere(skeletonize(vessel[box] > 0))
    if len(pixels) == 0:
        raise InvalidInputError("the mask is empty: no pixel reaches 128 (no contrast, or no vessel was found)")
    # To the nearest background pixel's centre: half a pixel too far, but a thinned line is off centre by about as much.
    inside = cv2.distanceTransform(np.pad(vessel[box], 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    radius = inside[tuple(pixels.T)].astype(float)
    pixels += [box[0].start, box[1].start]
    points = pixels[:, ::-1].astype(float)
    edges = _pixel_tree(pixels)
    keep = _long_components(points, edges)
    keep[keep] = tree.prune_spurs(
        points[keep], tree.keep_nodes(len(points), edges, keep), TWIG * radius[keep] + TWIG_BASE
    )
    edges = tree.keep_nodes(len(points), edges, keep)
    points, radius, pixels = points[keep], radius[keep], pixels[keep]
    if len(points) == 0:
        raise InvalidInputError(f"the mask holds no vessel longer than {SHORTEST:g} px")
    smooth = tree.smooth_chains(np.column_stack([points, radius]), edges, SMOOTHING)
    return Centreline(smooth[:, :2], smooth[:, 2], edges, _nearest_map(pixels, vessel.shape))


def bounding_box(vessel: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Rows and columns of an image that hold all vessel, and `SURROUND` px around it."""
    column, row, width, height = cv2.boundingRect(vessel)
    return (
        slice(max(row - SURROUND, 0), row + height + SURROUND),
        slice(max(column - SURROUND, 0), column + width + SURROUND),
    )


def distance_outside(mask: Mask) -> DistanceMap:
    """(rows, columns) px from every pixel to the vessel; 0 inside."""
    background = (mask < MASK_THRESHOLD).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(background, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32)


def _pixel_tree(pixels: IntArray) -> IntArray:
    """Spanning forest of 8-connected pixels (N, 2) (row, column)."""
    row, column = (pixels - pixels.min(0) + 1).T
    index = np.full((row.max() + 2, column.max() + 2), -1, np.int32)
    index[row, column] = np.arange(len(pixels))
    edges, weight = [], []
    for step in ((0, 1), (1, 0), (1, 1), (1, -1)):
        other = index[row + step[0], column + step[1]]
        here = np.flatnonzero(other >= 0)
        edges.append(np.stack([here, other[here]], 1))
        weight.append(np.full(len(here), np.hypot(*step)))
    return tree.spanning_forest(len(pixels), np.concatenate(edges), np.concatenate(weight))


def _long_components(points: FloatArray, edges: IntArray) -> NDArray[np.bool_]:
    label = tree.components(len(points), edges)
    step = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    length = np.bincount(label[edges[:, 0]], step, minlength=int(label.max()) + 1)
    return np.asarray(length[label] >= SHORTEST)


def _nearest_map(pixels: IntArray, shape: tuple[int, ...]) -> NDArray[np.int32]:
    blank = np.ones(shape, np.uint8)
    blank[tuple(pixels.T)] = 0
    _, label = cv2.distanceTransformWithLabels(blank, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    of_label = np.zeros(int(label.max()) + 1, np.int32)
    of_label[label[tuple(pixels.T)]] = np.arange(len(pixels))
    return of_label.take(np.asarray(label, np.int32))
