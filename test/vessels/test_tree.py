"""Helpers on trees, on graphs small enough to draw."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from autocar_ros.vessels import tree

#     0 - 1 - 2 - 3 - 4        a line, with a twig 5 at 2
LINE = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [2, 5]])
POINTS = np.array([[0.0, 0], [2, 0], [4, 0], [6, 0], [8, 0], [4, 1]])


def test_spanning_forest_leaves_the_heaviest_edge_of_a_cycle():
    edges = np.array([[0, 1], [1, 2], [2, 0], [3, 4]])
    kept = tree.spanning_forest(5, edges, np.array([1.0, 2.0, 3.0, 1.0]))
    assert {tuple(sorted(e)) for e in kept.tolist()} == {(0, 1), (1, 2), (3, 4)}


def test_spanning_forest_takes_the_lighter_of_parallel_edges():
    kept = tree.spanning_forest(3, np.array([[0, 1], [1, 0], [1, 2], [2, 0]]), np.array([9.0, 1.0, 2.0, 3.0]))
    assert {tuple(sorted(e)) for e in kept.tolist()} == {(0, 1), (1, 2)}


def test_chains_run_between_leaves_and_bifurcations():
    found = {tuple(c) if c[0] < c[-1] else tuple(c[::-1]) for c in tree.chains(6, LINE)}
    assert found == {(0, 1, 2), (2, 3, 4), (2, 5)}


@given(st.integers(1, 30), st.integers(0, 10_000))
def test_chains_cut_a_forest_where_it_ends_or_forks(count, seed):
    rng = np.random.default_rng(seed)
    child = np.flatnonzero(rng.random(count - 1) < 0.9) + 1
    parent = np.array([rng.integers(max(k - 3, 0), k) for k in child], np.int64)
    name = rng.permutation(count)
    edges = name[np.stack([parent, child], 1).reshape(-1, 2)]
    degree, found = tree.degree(count, edges), tree.chains(count, edges)
    steps = sorted(tuple(sorted(map(int, step))) for chain in found for step in pairwise(chain))
    assert steps == sorted(tuple(sorted(map(int, edge))) for edge in edges)
    for chain in found:
        assert (degree[chain[1:-1]] == 2).all()
        assert (degree[chain[[0, -1]]] != 2).all()


def test_rooted_orders_parents_first():
    order, parent = tree.rooted(6, LINE, np.array([4]))
    assert order[0] == 4
    assert parent.tolist() == [1, 2, 3, 4, -1, 2]
    place = np.argsort(order)
    assert all(place[parent[k]] < place[k] for k in range(6) if parent[k] >= 0)


def test_prune_spurs_drops_the_twig_only():
    keep = tree.prune_spurs(POINTS, LINE, np.full(6, 1.5))
    assert keep.tolist() == [True] * 5 + [False]
    assert tree.prune_spurs(POINTS, LINE, np.full(6, 0.5)).all()
    assert tree.keep_nodes(6, LINE, keep).tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]


def test_of_two_short_twigs_at_a_bifurcation_the_longer_stays():
    """With both gone the vessel would lose its end."""
    points = np.array([[0.0, 0], [10, 0], [11, 0.5], [11.2, -0.5]])
    keep = tree.prune_spurs(points, np.array([[0, 1], [1, 2], [1, 3]]), np.full(4, 3.0))
    assert keep.tolist() == [True, True, False, True]


def test_smooth_path_keeps_ends_and_straight_lines(rng):
    line = np.linspace([0, 0, 0], [9, 3, 1], 30)
    np.testing.assert_allclose(tree.smooth_path(line, 3.0), line, atol=1e-9)
    noisy = line + rng.normal(0, 0.5, line.shape)
    smooth = tree.smooth_path(noisy, 3.0)
    np.testing.assert_allclose(smooth[[0, -1]], noisy[[0, -1]], atol=1e-9)
    assert np.abs(np.diff(smooth, 2, axis=0)).mean() < 0.1 * np.abs(np.diff(noisy, 2, axis=0)).mean()


@pytest.mark.parametrize("count", [3, 7, 60])
def test_smooth_path_is_gaussian_smoothing_odd_about_both_ends(rng, count):
    values = rng.normal(size=(count, 2))
    ramp = np.linspace(values[0], values[-1], count)
    rest = values - ramp
    endless = np.concatenate([rest[:-1], -rest[:0:-1]])  # one period
    expected = ramp + ndimage.gaussian_filter1d(endless, 2.0, axis=0, mode="wrap")[:count]
    np.testing.assert_allclose(tree.smooth_path(values, 2.0), expected, atol=1e-12)


def test_chain_tangents_are_unit_differences():
    tangent = tree.chain_tangents(np.append(POINTS, [[9.0, 9]], 0), LINE)
    assert tangent[1] == pytest.approx((POINTS[2] - POINTS[0]) / np.linalg.norm(POINTS[2] - POINTS[0]))
    np.testing.assert_allclose(np.linalg.norm(tangent, axis=1), [1, 1, 1, 1, 1, 1, 0])


@given(st.integers(2, 40), st.integers(0, 1000))
def test_every_edge_is_in_one_chain(count, seed):
    rng = np.random.default_rng(seed)
    edges = np.array([[rng.integers(0, k), k] for k in range(1, count)])
    chains = [chain.tolist() for chain in tree.chains(count, edges)]
    steps = [tuple(sorted(pair)) for chain in chains for pair in pairwise(chain)]
    assert sorted(steps) == sorted(tuple(sorted(e)) for e in edges.tolist())


def test_an_empty_graph_is_no_problem():
    none = np.zeros((0, 2), np.int64)
    assert len(tree.spanning_forest(0, none, np.zeros(0))) == 0
    assert tree.chains(3, none) == []
    assert tree.rooted(3, none).order.tolist() == [0, 1, 2]
    assert tree.components(2, none).tolist() == [0, 1]


def test_chain_length_is_the_sum_of_steps():
    assert tree.chain_length(POINTS, np.array([0, 1, 2, 5])) == pytest.approx(5.0)


def test_path_length():
    length = tree.path_length(np.append(POINTS, [[9.0, 9]], 0), LINE, np.array([0, 5]))
    assert length[0] == pytest.approx([0, 2, 4, 6, 8, 5, np.inf])
    assert length[1] == pytest.approx([5, 3, 1, 3, 5, 0, np.inf])
