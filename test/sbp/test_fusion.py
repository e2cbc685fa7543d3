"""Clouds of several moments made one."""

import numpy as np
import pytest

from autocar_ros.sbp.fusion import CELL, CONFIRMING, FEWEST, confirmed, mean_in_cells
from autocar_ros.vessels.graph import Cloud


def cloud(points, sure=1.0):
    points = np.array(points, float)
    n = len(points)
    return Cloud(points, np.full(n, 1.5), np.full(n, sure), np.full(n, 0.5))


def line(start, count=20):
    return np.array(start, float) + np.arange(count)[:, None] * np.array([1.0, 0.0, 0.0])


def test_too_few_moments_leave_the_first():
    first = cloud(line((0, 0, 0)))
    assert confirmed([first]) is first
    assert confirmed([first, *[cloud(line((0, 30, 0)))] * (FEWEST - 2)]) is first


def test_what_few_moments_show_is_left_out_and_what_the_first_lacks_is_added():
    vessel, branch, ghost = line((0.5, 0.5, 0.5)), line((0.5, 20.5, 0.5)), line((0.5, -40.5, 0.5))
    clouds = [cloud(np.vstack([vessel, ghost]))] + [cloud(np.vstack([vessel, branch]))] * 4
    found = confirmed(clouds)
    rows = {tuple(np.round(p, 6)) for p in found.points}
    assert rows == {tuple(p) for p in np.vstack([vessel, branch])}
    on_branch = found.points[:, 1] > 10
    np.testing.assert_allclose(found.confidence[~on_branch], 1.0)
    np.testing.assert_allclose(found.confidence[on_branch], 0.8)  # one of five lacks it
    assert 4 / 5 >= CONFIRMING > 1 / 5
    np.testing.assert_allclose(found.radius, 1.5)


def test_noise_is_averaged(rng):
    true = line((0.5, 0.5, 0.5), 40)
    clouds = [cloud(true + rng.normal(0, 0.3, true.shape)) for _ in range(10)]
    found = confirmed(clouds)
    across, usual = (np.abs(points[:, 1:] - 0.5).mean() for points in (found.points, clouds[0].points))
    assert across < 0.5 * usual


def test_mean_in_cells():
    values = np.array([[0.2, 0.2, 0.2, 1.0], [0.6, 0.4, 0.2, 3.0], [5.5, -3.5, 2.5, 7.0]]) * [CELL, CELL, CELL, 1]
    points, (mean,) = mean_in_cells(values)
    order = np.argsort(points[:, 0])
    np.testing.assert_allclose(points[order], np.array([[0.4, 0.3, 0.2], [5.5, -3.5, 2.5]]) * CELL)
    assert mean[order] == pytest.approx([2.0, 7.0])
