"""Gaps are closed where the volume allows it, cheapest first."""

import numpy as np
import pytest

from autocar_ros.types import SparseVolume
from autocar_ros.vessels import tree
from autocar_ros.vessels.gaps import close_gaps


def two_lines(gap=6.0):
    x = np.arange(0.0, 10.0)
    points = np.concatenate([np.stack([x, 0 * x, 0 * x], 1), np.stack([x + 9 + gap, 0 * x, 0 * x], 1)])
    edges = np.concatenate([np.stack([np.arange(9), np.arange(1, 10)], 1)] * 2)
    edges[9:] += 10
    return points, np.repeat([2.0, 1.0], 10), edges


def corridor(bend=0.0, centreness=1.0):
    """Voxels of 1 mm along the x axis, bent away from it by `bend` mm between the lines."""
    x = np.arange(-2, 30)
    y = np.rint(bend * np.exp(-(((x - 12) / 3) ** 2))).astype(int)
    steps = zip(x.tolist(), y.tolist(), np.roll(y, -1).tolist(), strict=True)
    cells = {(i, j) for i, a, b in steps for j in range(min(a, b), max(a, b) + 1)}
    voxels = np.array([(i, j, 0) for i, j in sorted(cells)])
    values = np.full(len(voxels), centreness)
    return SparseVolume(voxels, np.array([-0.5, -0.5, -0.5]), 1.0, values, values)


def test_gap_is_closed_along_the_volume():
    points, radius, edges = close_gaps(*two_lines(), corridor(), 20.0)
    assert len(np.unique(tree.components(len(points), edges))) == 1
    assert len(edges) == len(points) - 1
    new = points[20:]
    assert len(new)
    assert np.abs(new[:, 1:]).max() < 0.6
    assert ((radius[20:] >= 1.0) & (radius[20:] <= 2.0)).all()
    assert np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1).max() < 2.1


def test_path_follows_the_volume_round_a_bend():
    points, _, edges = close_gaps(*two_lines(), corridor(bend=5.0), 60.0)
    assert points[20:, 1].max() > 3.5
    assert len(np.unique(tree.components(len(points), edges))) == 1


@pytest.mark.parametrize(("largest", "centreness", "parts"), [(3.0, 1.0, 2), (10.0, 1.0, 1), (10.0, 0.0, 2)])
def test_gap_that_costs_too_much_stays_open(largest, centreness, parts):
    points, _, edges = close_gaps(*two_lines(), corridor(centreness=centreness), largest)
    assert len(np.unique(tree.components(len(points), edges))) == parts


def test_without_volume_nothing_is_joined():
    none = SparseVolume(np.zeros((0, 3), np.int64), np.zeros(3), 1.0, np.zeros(0), np.zeros(0))
    points, _, edges = close_gaps(*two_lines(), none, 50.0)
    assert len(points) == 20
    assert len(edges) == 18
