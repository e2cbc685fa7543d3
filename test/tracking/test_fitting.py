"""Refit of a graph: what it must find, what it must leave alone, and what it does with too little."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracking.scenes import CAMERAS, TREE, mask

from autocar_ros.config import TrackingConfig
from autocar_ros.geometry.rigid import rotation
from autocar_ros.tracking.fitting import Refit
from autocar_ros.tracking.observation import View, observe
from autocar_ros.types import VesselGraph

CONFIG = TrackingConfig()
REFIT = Refit(TREE, CONFIG)


def views(graph: VesselGraph) -> list[View]:
    return [observe(mask(k, graph), CAMERAS[k]) for k in (0, 1)]


def turned(angle_deg: float, shift: np.ndarray) -> VesselGraph:
    """The tree turned about z through its middle, and moved."""
    a = np.radians(angle_deg)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    middle = TREE.position.mean(0)
    return TREE.with_(position=(TREE.position - middle) @ turn.T + middle + shift)


def off(position: np.ndarray, graph: VesselGraph) -> np.ndarray:
    return np.linalg.norm(position - graph.position, axis=1)


def test_nothing_moves_when_the_views_agree():
    fit = REFIT(TREE.position, views(TREE))
    assert np.median(off(fit.position, TREE)) < 0.15
    assert off(fit.position, TREE).max() < 0.6
    assert np.isfinite(fit.sigma).all()


@pytest.mark.parametrize(("angle", "shift"), [(0, [3.0, -2.0, 3.0]), (8, [0.0, 0.0, 0.0]), (-6, [2.0, 2.0, -1.0])])
def test_rigid_motion_is_recovered(angle, shift):
    moved = turned(angle, np.array(shift))
    position = TREE.position
    for _ in range(2):
        position = REFIT(position, views(moved)).position
    assert np.median(off(position, moved)) < 0.4
    assert np.quantile(off(position, moved), 0.95) < 1.0


def test_what_lies_beyond_the_error_of_the_start_pulls_less():
    beside = TREE.with_(position=TREE.position + np.array([4.0, -3.0, 4.0]))
    sure, unsure = (REFIT(TREE.position, views(beside), error=error).position for error in (0.1, 2.5))
    assert np.median(off(unsure, beside)) < 0.3
    assert np.median(off(sure, beside)) > 2.0


@settings(max_examples=10)
@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3))
def test_targets_in_space_alone_move_the_graph(x, y, z):
    shift = np.array([x, y, z])
    fit = REFIT(TREE.position, [], points=(TREE.position + shift, np.full(len(TREE), 4.0)))
    assert off(fit.position, TREE.with_(position=TREE.position + shift)).max() < 0.2


def test_targets_of_some_nodes_move_their_neighbours():
    target = np.full((len(TREE), 3), np.nan)
    target[::5] = TREE.position[::5] + np.array([0.0, 1.0, 0.0])
    fit = REFIT(TREE.position, [], points=(target, np.full(len(TREE), 4.0)))
    np.testing.assert_allclose((fit.position - TREE.position)[:, 1].mean(), 1.0, atol=0.1)


def test_one_view_leaves_depth_to_what_is_expected():
    moved = TREE.with_(position=TREE.position + np.array([0.0, 4.0, 0.0]))
    view = views(moved)[:1]
    ray = TREE.position.mean(0) - CAMERAS[0].source
    ray /= np.linalg.norm(ray)
    lost = REFIT(TREE.position, view)
    helped = REFIT(TREE.position, view, expected=(moved.position, np.full(len(TREE), 1.0)))
    assert np.median(off(helped.position, moved)) < 0.3
    assert abs(np.median((lost.position - TREE.position) @ ray)) < 1.0
    assert np.median(helped.sigma) < np.median(lost.sigma)
    both = REFIT(TREE.position, views(moved))
    assert np.median(both.sigma) < 0.5 * np.median(lost.sigma)


def test_sigma_grows_where_no_line_is_near():
    hidden = TREE.branch == 1
    keep = np.cumsum(~hidden) - 1
    inside = ~hidden[TREE.edges].any(1)
    part = VesselGraph(TREE.position[~hidden], TREE.radius[~hidden], keep[TREE.edges[inside]], TREE.branch[~hidden])
    fit = REFIT(TREE.position, views(part))
    assert (np.diff(fit.sigma[hidden]) > 0).all()
    assert fit.sigma[hidden][-1] > 2.5 * np.median(fit.sigma[~hidden])


def test_sigma_of_an_expected_node_is_that_of_the_expectation():
    alone = VesselGraph(np.zeros((1, 3)), np.ones(1), np.zeros((0, 2), int), np.zeros(1, int))
    fit = Refit(alone, CONFIG)(alone.position, [], expected=(np.ones((1, 3)), np.full(1, 0.25)))
    assert fit.sigma[0] == pytest.approx(2.0, rel=0.02)
    np.testing.assert_allclose(fit.position, 1.0, atol=0.05)


def test_nothing_to_fit_says_so():
    fit = REFIT(TREE.position + 1.0, [])
    np.testing.assert_array_equal(fit.position, TREE.position + 1.0)
    assert np.isinf(fit.sigma).all()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_nodes(count):
    few = VesselGraph(TREE.position[:count], np.ones(count), TREE.edges[: max(count - 1, 0)], np.zeros(count, int))
    fit = Refit(few, CONFIG)(few.position + 0.5, views(TREE))
    assert fit.position.shape == (count, 3)
    assert fit.sigma.shape == (count,)
    assert np.isfinite(fit.position).all()
    assert np.isfinite(fit.sigma).all()


def test_nodes_outside_the_images_stay():
    away = TREE.with_(position=TREE.position + np.array([0.0, 300.0, 0.0]))
    fit = Refit(away, CONFIG)(away.position, views(TREE))
    np.testing.assert_allclose(fit.position, away.position, atol=1e-6)
    assert fit.sigma.min() > 1.0


def test_edges_that_close_a_loop_do_no_harm():
    loop = TREE.with_(edges=np.vstack([TREE.edges, [len(TREE) - 1, 5]]))
    fit = Refit(loop, CONFIG)(loop.position, views(TREE))
    assert np.median(off(fit.position, TREE)) < 0.3


@given(st.integers(0, 10**6), st.integers(1, 6))
def test_rotation_is_recovered_and_never_a_mirror(seed, count):
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    start = rng.normal(size=(count, 3))
    found = rotation(start, start @ turn.T + rng.normal(size=3))
    assert np.linalg.det(found) == pytest.approx(1)
    centred = start - start.mean(0)
    np.testing.assert_allclose(centred @ found.T, centred @ turn.T, atol=1e-7)
