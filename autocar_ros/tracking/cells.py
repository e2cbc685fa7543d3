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


def sort_into_cells(points: FloatArray, size: float = CELL) -> tuple[Cells, IntArray]:
    """Sort points (M, 2) px, at least one, into cells of a size in px; also their order (M,)."""
    low = points.min(0)
    column, row = ((points - low) // size).astype(np.int64).T
    rows, columns = int(row.max()) + 1, int(column.max()) + 1
    cell = row * columns + column
    order = np.argsort(cell, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=rows * columns))])
    return Cells(np.ascontiguousarray(points[order]), first, low, rows, columns), order


@njit(cache=True)
def nearest_line(x, y, dx, dy, cells, direction, slant):  # type: ignore[no-untyped-def]
    """Index of the point (px) of least distance + slant * (1 - |cosine|) from (x, y) with unit direction (dx, dy).

    Rings of cells are searched until no further one can hold a better point: exact over all points.
    """
    column, row = math.floor((x - cells.low[0]) / CELL), math.floor((y - cells.low[1]) / CELL)
    right, down = x - cells.low[0] - column * CELL, y - cells.low[1] - row * CELL
    border = min(right, CELL - right, down, CELL - down)
    ring = max(0, -column, column - cells.columns + 1, -row, row - cells.rows + 1)
    last = max(column, cells.columns - 1 - column, row, cells.rows - 1 - row)
    best, found = np.inf, 0
    while ring <= last and (ring == 0 or best > (ring - 1) * CELL + border):
        for r in range(max(row - ring, 0), min(row + ring, cells.rows - 1) + 1):
            step = 1 if abs(r - row) == ring else max(2 * ring, 1)
            for c in range(column - ring, column + ring + 1, step):
                if c < 0 or c >= cells.columns:
                    continue
                cell = r * cells.columns + c
                for k in range(cells.first[cell], cells.first[cell + 1]):
                    across, along = cells.points[k, 0] - x, cells.points[k, 1] - y
                    square = across * across + along * along
                    if square < best * best:
                        cosine = abs(direction[k, 0] * dx + direction[k, 1] * dy)
                        cost = math.sqrt(square) + slant * (1 - cosine)
                        if cost < best:
                            best, found = cost, k
        ring += 1
    return found


def near_any(points: FloatArray, others: FloatArray, reach: float) -> NDArray[np.bool_]:
    """(M,) whether any of the others (N, 2) px lies within `reach` px of points (M, 2) px."""
    if len(others) == 0 or len(points) == 0:
        return np.zeros(len(points), np.bool_)
    cells, _ = sort_into_cells(others, reach)
    return np.asarray(_near_any(points, cells, reach))


@njit(cache=True)
def _near_any(points, cells, reach):  # type: ignore[no-untyped-def]
    found = np.zeros(len(points), np.bool_)
    for i in range(len(points)):
        x, y = points[i]
        column, row = math.floor((x - cells.low[0]) / reach), math.floor((y - cells.low[1]) / reach)
        for r in range(max(row - 1, 0), min(row + 2, cells.rows)):
            for c in range(max(column - 1, 0), min(column + 2, cells.columns)):
                for k in range(cells.first[r * cells.columns + c], cells.first[r * cells.columns + c + 1]):
                    if (cells.points[k, 0] - x) ** 2 + (cells.points[k, 1] - y) ** 2 <= reach * reach:
                        found[i] = True
                        break
    return found
