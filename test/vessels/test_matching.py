"""Curve-scatter matching against the plain algorithm, and on curves whose points are known."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import KDTree

from autocar_ros.errors import InvalidInputError
from autocar_ros.vessels.matching import match_curves
from autocar_ros.vessels.tree import Paths, paths


def one_curve(n: int) -> Paths:
    return Paths(np.arange(n), np.array([n]))


def cost(curve: np.ndarray, matched: np.ndarray) -> float:
    """What Algorithm 1 minimises."""
    steps = np.linalg.norm(np.diff(curve, axis=0) - np.diff(matched, axis=0), axis=1)
    return float(np.linalg.norm(curve - matched, axis=1).sum() + steps.sum())


def algorithm_1(curve: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Plain dynamic programming over all points."""
    near = np.linalg.norm(curve[:, None] - points, axis=2)
    f, h = near[0], []
    for i in range(1, len(curve)):
        u, v = curve[i] - curve[i - 1], points[:, None] - points[None]
        through = f[None] + np.linalg.norm(u - v, axis=2)
        h.append(through.argmin(1))
        f = through.min(1) + near[i]
    best = [int(f.argmin())]
    for back in reversed(h):
        best.append(int(back[best[-1]]))
    return np.array(best[::-1])


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 15), st.sampled_from([2, 3]))
def test_with_all_candidates_it_is_algorithm_1(seed, n, m, dimension):
    rng = np.random.default_rng(seed)
    curve, points = rng.normal(size=(n, dimension)).cumsum(0), 2 * rng.normal(size=(m, dimension))
    np.testing.assert_array_equal(match_curves(curve, one_curve(n), points, m), algorithm_1(curve, points))


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 4))
def test_no_other_choice_costs_less(seed, n, m):
    rng = np.random.default_rng(seed)
    curve, points = rng.normal(size=(n, 3)), rng.normal(size=(m, 3))
    found = cost(curve, points[match_curves(curve, one_curve(n), points, m)])
    assert found == pytest.approx(min(cost(curve, points[list(c)]) for c in product(range(m), repeat=n)))


@given(st.integers(0, 10**6), st.floats(-1, 1))
def test_few_candidates_are_enough_for_a_displaced_curve(seed, shift):
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 3, 40)
    curve = 15 * np.stack([np.cos(t), np.sin(t), t / 2], 1)
    points = curve + shift + rng.normal(0, 0.1, curve.shape)
    order = rng.permutation(len(points))
    found = match_curves(curve, one_curve(len(t)), points[order], 8)
    np.testing.assert_array_equal(found, match_curves(curve, one_curve(len(t)), points[order], len(points)))


def test_a_curve_is_not_led_astray_by_single_points_that_are_nearer():
    curve = np.stack([np.arange(30.0), np.zeros(30)], 1)
    points = np.vstack([curve + np.array([0.0, 1.0]), curve[::7] - np.array([0.0, 0.8])])
    assert (KDTree(points).query(curve)[1] >= 30).sum() == 5
    np.testing.assert_array_equal(match_curves(curve, one_curve(30), points, 8), np.arange(30))


def test_a_bifurcation_takes_one_point_and_curves_part_there():
    arm = np.arange(1.0, 6.0)
    position = np.vstack([[0, 0], np.stack([arm, arm], 1), np.stack([-arm, arm], 1), np.stack([0 * arm, -arm], 1)])
    edges = np.array([[0, 1], [0, 6], [0, 11]] + [[k, k + 1] for k in range(1, 15) if k % 5])
    found = match_curves(position, paths(16, edges), position[::-1] + 0.1, 4)
    np.testing.assert_array_equal(found, np.arange(16)[::-1])


def test_nodes_out_of_reach_or_on_no_curve_have_none():
    curve = np.stack([np.arange(10.0), np.zeros(10)], 1)
    points = np.add(np.delete(curve, [4, 5, 6], axis=0), [0.0, 0.2])
    found = match_curves(curve, Paths(np.arange(9), np.array([9])), points, 4, reach=0.5)
    np.testing.assert_array_equal(found, [0, 1, 2, 3, -1, -1, -1, 4, 5, -1])


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_match(n, m):
    found = match_curves(np.zeros((n, 3)), one_curve(n), np.zeros((m, 3)))
    np.testing.assert_array_equal(found, np.full(n, -1))


def test_bad_input_is_refused():
    with pytest.raises(InvalidInputError, match="must be"):
        match_curves(np.zeros((3, 3)), one_curve(3), np.zeros((3, 2)))
    with pytest.raises(InvalidInputError, match="candidates"):
        match_curves(np.zeros((3, 3)), one_curve(3), np.zeros((3, 3)), 0)
