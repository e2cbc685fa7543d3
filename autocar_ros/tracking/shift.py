"""Where a lost graph went: the one shift of the whole graph that puts it back onto the vessels of both planes."""

from __future__ import annotations

import cv2
import numpy as np

from autocar_ros.tracking.observation import View
from autocar_ros.types import FloatArray

FARTHEST = 24.0  # mm, of a shift
STEP = 3.0  # mm between the shifts that are tried
FAR = 6.0  # mm to a centreline that count no more than this
MOST_NODES = 80


def find_shift(position: FloatArray, views: tuple[View, View]) -> FloatArray:
    """Shift (3,) mm of nodes (N, 3) mm after which they lie nearest to the centrelines of both views.

    Distances are taken from a map of every image, for shifts on a grid in that image (which stand for shifts in space
    at the depth of the nodes' middle), and summed for shifts on a grid in space.
    """
    nodes = position[:: max(len(position) // MOST_NODES, 1)]
    steps = np.arange(-FARTHEST, FARTHEST + STEP / 2, STEP)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    grid = grid[np.linalg.norm(grid, axis=1) <= FARTHEST]
    cost = sum(_cost(nodes, view, grid) for view in views) + 1e-3 * np.linalg.norm(grid, axis=1)
    return np.asarray(grid[np.argmin(cost)])


def _cost(nodes: FloatArray, view: View, grid: FloatArray) -> FloatArray:
    """Mean distance (G,) in mm from shifted nodes to the centreline of a view."""
    camera = view.camera
    middle = nodes.mean(0)
    pixels, depth = camera.project(np.vstack([nodes, middle]))
    size = float(camera.mm_per_pixel(depth)[-1])
    far = _distance_map(view, (camera.rows, camera.columns)) * size
    flat = camera.project(middle + grid)[0] - pixels[-1]  # (G, 2) px
    place = np.rint(flat / (STEP / size)).astype(int)
    shifts, which = np.unique(place, axis=0, return_inverse=True)
    moved = pixels[:-1] + shifts[:, None] * (STEP / size)  # (S, N, 2)
    column, row = (np.clip(np.rint(moved[..., k]).astype(int), 0, far.shape[1 - k] - 1) for k in (0, 1))
    distance = np.where(camera.contains(moved.reshape(-1, 2)).reshape(row.shape), far[row, column], FAR)
    return np.asarray(np.minimum(distance, FAR).mean(1)[which.ravel()])


def _distance_map(view: View, shape: tuple[int, int]) -> FloatArray:
    """Distance (rows, columns) in px to the centreline."""
    free = np.full(shape, 255, np.uint8)
    column, row = np.rint(view.points).astype(int).T
    free[np.clip(row, 0, shape[0] - 1), np.clip(column, 0, shape[1] - 1)] = 0
    return np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, 5), np.float64)
