"""What a living graph makes of views that show little."""

import numpy as np
import pytest
from tracking.scenes import CAMERAS, EMPTY, TREE, mask, truth

from autocar_ros.config import TrackingConfig
from autocar_ros.tracking.living import Living
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
