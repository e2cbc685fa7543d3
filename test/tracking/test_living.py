"""What a living graph makes of views that show little."""

import numpy as np
import pytest
from tracking.scenes import CAMERAS, EMPTY, TREE, mask, truth

from autocar_ros.config import TrackingConfig
from autocar_ros.tracking.living import Living
from autocar_ros.tracking.motion import Expected
from autocar_ros.tracking.observation import View, observe

GRAPH = truth(0.0)
PART = np.flatnonzero(TREE.branch == 0)[:25]  # of the trunk


def view(plane, nodes=None, shift=(0.0, 0.0, 0.0)):
    """What a plane shows of the tree: all of it or some nodes, moved by mm."""
    moved = GRAPH.with_(position=GRAPH.position + np.asarray(shift))
    if nodes is not None:
        moved = moved.with_(edges=moved.edges[np.isin(moved.edges, nodes).all(1)])
    return observe(mask(plane, moved), CAMERAS[plane])


def used(*views):
    living = Living(GRAPH, TrackingConfig())
    assert all(isinstance(v, View) for v in views)
    return living.without_clutter(living.expected(0, 0.0), views)


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (12.0, 0.0, 5.0)])
def test_a_view_of_the_whole_tree_is_used_wherever_it_is(shift):
    views = view(0, shift=shift), view(1, shift=shift)
    assert used(*views) == views


def test_the_rest_of_a_washed_out_tree_is_used_where_it_is_expected():
    views = view(0, PART), view(1, PART)
    assert used(*views) == views


def test_little_that_is_not_where_the_graph_is_expected_is_clutter_in_that_plane_alone():
    stray, full = view(0, PART, shift=(12.0, 0.0, 5.0)), view(1)
    a, b = used(stray, full)
    assert isinstance(a, str)
    assert "not where they are expected" in a
    assert b is full


def test_a_view_that_shows_nothing_keeps_its_reason():
    reason, full = observe(EMPTY, CAMERAS[0]), view(1)
    living = Living(GRAPH, TrackingConfig())
    assert living.without_clutter(living.expected(0, 0.0), (reason, full)) == (reason, full)


def test_a_fit_further_from_the_centrelines_than_those_before_is_unusual():
    living, views, step = Living(GRAPH, TrackingConfig()), (view(0), view(1)), 1 / 15
    fit = living.fit(living.expected(0, 0.0), views)
    assert not living.is_unusual(fit)  # of the first no usual is known
    living.judged(fit, views, [], step)
    assert not living.is_unusual(fit)
    moved = living.fit(Expected(fit.position + np.array([5.0, 0.0, 3.0]), np.ones(len(GRAPH))), views, rounds=0)
    assert living.distance(moved) > living.distance(fit)
    assert living.is_unusual(moved)


def test_nodes_not_seen_lately_stay_where_they_are_expected():
    views, end = (view(0, shift=(2.0, 0.0, 1.5)), view(1, shift=(2.0, 0.0, 1.5))), np.arange(len(GRAPH)) >= 95
    moved = []
    for confidence in (1.0, 0.0):
        living = Living(GRAPH, TrackingConfig())
        living.evidence.confidence = np.where(end, confidence, 1.0)
        fit = living.fit(Expected(GRAPH.position, np.full(len(GRAPH), 0.5)), views)
        moved.append(np.linalg.norm(fit.position - GRAPH.position, axis=1))
    assert moved[1][end].mean() < 0.7 * moved[0][end].mean()
    assert np.median(moved[1][:70]) == pytest.approx(np.median(moved[0][:70]), rel=0.1)
