"""What a mask tells the tracker: centreline points with their direction, and which of them a node matches.

`vessels.skeleton` makes cleaner centrelines (no spurs, sub-pixel chains) but takes several times as long; here a local
line fit through the thinned pixels gives sub-pixel normals, and the robust refit bears spurs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from autocar_ros.geometry.camera import Camera
from autocar_ros.imaging.profiles import HALF, bilinear
from autocar_ros.tracking.cells import Cells, nearest_line, sort_into_cells
from autocar_ros.tracking.thinning import thin
from autocar_ros.types import MASK_THRESHOLD, FloatArray, IntArray, Mask

FEWEST_POINTS = 20  # a shorter centreline is not a view of a vessel tree
LARGEST_SHARE = 0.4  # of the image; more is a failed segmentation
EVERY = 2  # thinned pixels that make one point of the centreline, about
WINDOW = 4  # px, half the side of the square in which a local line is fitted
REACH = 2.0  # px beyond the radius where a border is looked for
FARTHEST = 1.5  # px that the middle between the borders may lie away
SLANT = 12.0  # px that a match at right angles counts as further away


class Match(NamedTuple):
    """Centreline points that nodes (N,) match."""

    offset: FloatArray  # (N,) mm from the line of the point to the node, signed along its normal
    gradient: FloatArray  # (N, 3) of the offset by the node's position
    distance: FloatArray  # (N,) mm to the line, beyond its end to that end
    alignment: FloatArray  # (N,) |cosine| between the directions of node and line in the image
    point: IntArray  # (N,) index of the point
    size: FloatArray  # (N,) mm of a pixel at the node
    inside: NDArray[np.bool_]  # (N,) within the image


class Lines(NamedTuple):
    """Lines of one view, for compiled code."""

    projection: FloatArray  # (3, 4)
    focal: float  # px
    limits: FloatArray  # (2,) largest column and row
    cells: Cells
    direction: FloatArray  # (M, 2) unit


NO_LINES = Lines(
    np.zeros((3, 4)),
    1.0,
    np.zeros(2),
    Cells(np.zeros((0, 2)), np.zeros(1, np.int64), np.zeros(2), 0, 0),
    np.zeros((0, 2)),
)


@dataclass(frozen=True)
class View:
    """Centreline of one mask with its camera."""

    camera: Camera
    mask: Mask  # (rows, columns)
    cells: Cells
    direction: FloatArray  # (M, 2) unit, along the vessel
    radius: FloatArray  # (M,) px

    @property
    def points(self) -> FloatArray:
        """(M, 2) px, each on its local line."""
        return self.cells.points

    def match(self, position: FloatArray, tangent: FloatArray) -> Match:
        """Match nodes (N, 3) mm with unit tangents (N, 3): the nearest line that runs the same way."""
        return Match(*_match(position, tangent, self.lines))

    @cached_property
    def lines(self) -> Lines:
        """What compiled code needs of the view."""
        c, focal = self.camera, 1.0 / float(self.camera.mm_per_pixel(1.0))
        return Lines(c.projection, focal, np.array([c.columns - 1.0, c.rows - 1.0]), self.cells, self.direction)


def observe(mask: Mask, camera: Camera) -> View | str:
    """Find the centreline of a mask (rows, columns) 0..255, or say why it shows no vessel tree."""
    vessel = cv2.inRange(mask, MASK_THRESHOLD, 255)
    share = cv2.countNonZero(vessel) / mask.size
    if share > LARGEST_SHARE:
        return f"{share:.0%} of the mask is vessel: the segmentation failed"
    left, top, width, height = cv2.boundingRect(vessel)
    crop = np.zeros((height + 2, width + 2), np.uint8)
    crop[1:-1, 1:-1] = vessel[top : top + height, left : left + width]
    pixels = thin(crop)
    if len(pixels) < FEWEST_POINTS:
        return "the mask shows no vessels (no contrast, or the plane is covered)"
    # In the order of rows every second pixel could be all of one vessel and none of its neighbour; this pattern is met
    # evenly by lines of every direction.
    kept = pixels[(pixels[:, 0] + 2 * pixels[:, 1]) % 5 < 5 / EVERY]
    radius = cv2.distanceTransform(crop, cv2.DIST_L2, 5)[tuple(kept.T)] - 0.5
    points, direction = _local_lines(pixels, kept, np.zeros(crop.shape, np.bool_))
    _centre(points, direction, radius, crop)
    cells, order = sort_into_cells(points + np.array([left - 1.0, top - 1.0]))
    return View(camera, mask, cells, direction[order], np.maximum(radius[order].astype(float), 0.5))


@njit(cache=True)
def _local_lines(pixels, kept, image):  # type: ignore[no-untyped-def]
    """Move kept pixels (M, 2) (row, column) onto the line through all pixels around: (x, y), and its direction."""
    points, direction = np.empty((len(kept), 2)), np.empty((len(kept), 2))
    for row, column in pixels:
        image[row, column] = True
    for k in range(len(kept)):
        row, column = kept[k]
        n = x = y = xx = xy = yy = 0.0
        for r in range(max(row - WINDOW, 0), min(row + WINDOW + 1, image.shape[0])):
            for c in range(max(column - WINDOW, 0), min(column + WINDOW + 1, image.shape[1])):
                if image[r, c]:
                    u, v = float(c - column), float(r - row)
                    n, x, y, xx, xy, yy = n + 1, x + u, y + v, xx + u * u, xy + u * v, yy + v * v
        x, y = x / n, y / n
        angle = 0.5 * math.atan2(2 * (xy / n - x * y), xx / n - x * x - yy / n + y * y)
        dx, dy = math.cos(angle), math.sin(angle)
        along = -x * dx - y * dy
        points[k, 0], points[k, 1] = column + x + along * dx, row + y + along * dy
        direction[k, 0], direction[k, 1] = dx, dy
    return points, direction


@njit(cache=True)
def _centre(points, direction, radius, vessel):  # type: ignore[no-untyped-def]
    """Move points (M, 2) across their lines to the middle between both borders of the vessel."""
    for k in range(len(points)):
        x, y = points[k]
        dx, dy = direction[k]
        left = _to_border(vessel, x, y, -dy, dx, radius[k] + REACH)
        right = _to_border(vessel, x, y, dy, -dx, radius[k] + REACH)
        shift = (left - right) / 2
        if left >= 0 and right >= 0 and abs(shift) <= FARTHEST:
            points[k, 0] -= shift * dy
            points[k, 1] += shift * dx


@njit(cache=True)
def _to_border(vessel, x, y, dx, dy, reach):  # type: ignore[no-untyped-def]
    """Way in px from (x, y) along (dx, dy) to where a mask interpolated between its pixels falls to half; -1 if far."""
    before, at = 255.0, 0.0
    while at <= reach:
        value = bilinear(vessel, x + at * dx, y + at * dy)
        if value < 0:
            return -1.0
        if value < HALF:
            return at - 0.5 * (HALF - value) / (before - value) if before > value and at > 0 else at
        before = value
        at += 0.5
    return -1.0


@njit(cache=True)
def _match(position, tangent, lines):  # type: ignore[no-untyped-def]
    """The fields of a `Match`."""
    n = len(position)
    offset, distance, alignment, size = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    gradient, index, inside = np.empty((n, 3)), np.empty(n, np.int64), np.empty(n, np.bool_)
    for i in range(n):
        offset[i], distance[i], alignment[i], index[i], size[i], inside[i] = match_node(
            position[i], tangent[i], lines, index[i - 1] if i else 0, gradient[i]
        )
    return offset, gradient, distance, alignment, index, size, inside


@njit(cache=True)
def match_node(position, tangent, lines, guess, gradient):  # type: ignore[no-untyped-def]
    """Offset, distance, alignment, point, size and inside of a `Match` for one node (3,); sets the gradient (3,).

    A good guess of the point makes it faster.
    """
    projection = lines.projection
    x, y, depth = projection[0, 3], projection[1, 3], projection[2, 3]
    for axis in range(3):
        x += projection[0, axis] * position[axis]
        y += projection[1, axis] * position[axis]
        depth += projection[2, axis] * position[axis]
    x, y, dx, dy = x / depth, y / depth, 0.0, 0.0
    for axis in range(3):
        dx += (projection[0, axis] - x * projection[2, axis]) / depth * tangent[axis]
        dy += (projection[1, axis] - y * projection[2, axis]) / depth * tangent[axis]
    length = max(math.sqrt(dx * dx + dy * dy), 1e-9)
    dx, dy = dx / length, dy / length
    k = nearest_line(x, y, dx, dy, lines.cells, lines.direction, SLANT, guess)
    ax, ay = lines.direction[k, 0], lines.direction[k, 1]
    gx, gy = x - lines.cells.points[k, 0], y - lines.cells.points[k, 1]
    across, beyond = ax * gy - ay * gx, max(abs(ax * gx + ay * gy) - EVERY, 0.0)
    size = depth / lines.focal
    for axis in range(3):
        by_x = projection[0, axis] - x * projection[2, axis]
        by_y = projection[1, axis] - y * projection[2, axis]
        gradient[axis] = (ax * by_y - ay * by_x) / lines.focal
    inside = depth > 0 and 0 <= x <= lines.limits[0] and 0 <= y <= lines.limits[1]
    return across * size, math.sqrt(across**2 + beyond**2) * size, abs(ax * dx + ay * dy), k, size, inside
