"""Short straight lines sorted into square cells of an image: the nearest one that runs the same way, in O(1)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from autocar_ros.types import FloatArray, IntArray

CELL = 8.0  # px


class Cells(NamedTuple):
    """Points (M, 2) px in the order of their cells, row by row; cell k holds points first[k] to first[k + 1]."""

    points: FloatArray
    first: IntArray  # (rows * columns + 1,)
    low: FloatArray  # (2,) px, corner of the first cell
    rows: int
    columns: int


def sort_into_cells(points: FloatArray) -> tuple[Cells, IntArray]:
    """Sort points (M, 2) px, at least one, into cells; also their order (M,)."""
    low, high = points.min(0), points.max(0)
    columns, rows = ((high - low) // CELL).astype(int).tolist()
    first, order = _sorted(points, low, rows + 1, columns + 1)
    return Cells(points[order], first, low, rows + 1, columns + 1), order


@njit(cache=True)
def _sorted(points, low, rows, columns):  # type: ignore[no-untyped-def]
    """Order (M,) of points by their cells, and where in it every cell begins."""
    cell = np.empty(len(points), np.int64)
    first, order = np.zeros(rows * columns + 1, np.int64), np.empty(len(points), np.int64)
    for k in range(len(points)):
        row, column = math.floor((points[k, 1] - low[1]) / CELL), math.floor((points[k, 0] - low[0]) / CELL)
        cell[k] = row * columns + column
        first[cell[k] + 1] += 1
    first = np.cumsum(first)
    place = first.copy()
    for k in range(len(points)):
        order[place[cell[k]]] = k
        place[cell[k]] += 1
    return first, order


@njit(cache=True)
def nearest_line(x, y, dx, dy, cells, direction, slant, guess):  # type: ignore[no-untyped-def]
    """Index of the point (px) of least distance + slant * (1 - |cosine|) from (x, y) with unit direction (dx, dy).

    Rings of cells are searched until no further one can hold a better point: exact over all points, and sooner with a
    good guess, the index of a point.
    """
    x, y = x - cells.low[0], y - cells.low[1]
    column, row = math.floor(x / CELL), math.floor(y / CELL)
    border = min(x - column * CELL, (column + 1) * CELL - x, y - row * CELL, (row + 1) * CELL - y)
    ring = max(0, -column, column - cells.columns + 1, -row, row - cells.rows + 1)
    last = max(column, cells.columns - 1 - column, row, cells.rows - 1 - row)
    across, along = cells.points[guess, 0] - cells.low[0] - x, cells.points[guess, 1] - cells.low[1] - y
    best = math.hypot(across, along) + slant * (1 - abs(direction[guess, 0] * dx + direction[guess, 1] * dy))
    found = guess
    while ring <= last and (ring == 0 or best > (ring - 1) * CELL + border):
        for r in range(max(row - ring, 0), min(row + ring, cells.rows - 1) + 1):
            above = max(r * CELL - y, y - (r + 1) * CELL, 0.0)
            step = 1 if abs(r - row) == ring else max(2 * ring, 1)
            for c in range(column - ring, column + ring + 1, step):
                beside = max(c * CELL - x, x - (c + 1) * CELL, 0.0)
                if c < 0 or c >= cells.columns or above * above + beside * beside >= best * best:
                    continue
                cell = r * cells.columns + c
                for k in range(cells.first[cell], cells.first[cell + 1]):
                    across, along = cells.points[k, 0] - cells.low[0] - x, cells.points[k, 1] - cells.low[1] - y
                    square = across * across + along * along
                    if square < best * best:
                        cosine = abs(direction[k, 0] * dx + direction[k, 1] * dy)
                        cost = math.sqrt(square) + slant * (1 - cosine)
                        if cost < best:
                            best, found = cost, k
        ring += 1
    return found


def near_edges(cells: Cells, pixels: FloatArray, edges: IntArray, reach: float) -> NDArray[np.bool_]:
    """(M,) whether a sorted point lies within `reach` px of any of the straight edges (E, 2) between pixels (N, 2)."""
    return np.asarray(_near_edges(cells, np.ascontiguousarray(pixels), edges, reach))


@njit(cache=True)
def _near_edges(cells, pixels, edges, reach):  # type: ignore[no-untyped-def]
    near = np.zeros(len(cells.points), np.bool_)
    for i, j in edges:
        ax, ay = pixels[i, 0] - cells.low[0], pixels[i, 1] - cells.low[1]
        bx, by = pixels[j, 0] - pixels[i, 0], pixels[j, 1] - pixels[i, 1]
        square = max(bx * bx + by * by, 1e-12)
        left, right = min(ax, ax + bx) - reach, max(ax, ax + bx) + reach
        top, bottom = min(ay, ay + by) - reach, max(ay, ay + by) + reach
        for r in range(max(math.floor(top / CELL), 0), min(math.floor(bottom / CELL) + 1, cells.rows)):
            for c in range(max(math.floor(left / CELL), 0), min(math.floor(right / CELL) + 1, cells.columns)):
                cell = r * cells.columns + c
                for k in range(cells.first[cell], cells.first[cell + 1]):
                    if near[k]:
                        continue
                    x, y = cells.points[k, 0] - pixels[i, 0], cells.points[k, 1] - pixels[i, 1]
                    along = min(max((x * bx + y * by) / square, 0.0), 1.0)
                    if (x - along * bx) ** 2 + (y - along * by) ** 2 <= reach * reach:
                        near[k] = True
    return near
