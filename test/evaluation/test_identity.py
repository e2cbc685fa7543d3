"""Node identity through time, on a fork whose ways along the branches are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.identity import Ruler, identity, locate


def test_place_on_the_nearest_edge(fork):
    place = locate(np.array([[-5.0, 1.0, 0.0], [3.0, 4.0, 2.0], [-12.0, 0.0, 0.0]]), fork)
    assert place.edge.tolist() == [0, 1, 0]
    assert place.fraction == pytest.approx([0.5, 0.5, 0.0])
    assert place.distance == pytest.approx([1.0, 2.0, 2.0])


def test_way_goes_through_the_bifurcation(fork):
    arms = locate(np.array([[3.0, 4.0, 0.0], [-4.0, 0.0, 0.0]]), fork)
    other = locate(np.array([[3.0, -4.0, 0.0], [-7.0, 0.0, 0.0]]), fork)
    assert Ruler(fork).way(arms, other) == pytest.approx([10.0, 3.0])


def test_unconnected_places_are_infinitely_far(build):
    pieces = build([[0, 0, 0], [1, 0, 0], [0, 5, 0], [1, 5, 0]], [[0, 1], [2, 3]])
    a, b = (locate(np.array([[0.5, y, 0.0]]), pieces) for y in (0.0, 5.0))
    assert np.isinf(Ruler(pieces).way(a, b)).all()


def test_a_graph_that_follows_the_motion_keeps_its_identity(move, line):
    truths = [move(line, 0, 3.0 * t, 0) for t in range(5)]
    result = identity(truths, truths)
    assert (result.frame_to_frame, result.whole_sequence, result.rebuilds) == (1.0, 1.0, 0)


def test_a_graph_that_slides_along_the_vessel_loses_it_over_time(build, line):
    graphs = [build([[x + t, 0, 0] for x in (0, 1, 2)], [[0, 1], [1, 2]]) for t in range(4)]
    result = identity(graphs, [line] * 4)
    assert result.frame_to_frame == 1.0  # 1 mm a frame
    assert result.whole_sequence == 0.0  # 3 mm in all


def test_exchanged_arms_are_not_forgiven_by_nearness(build):
    # Two arms 1 mm apart in space, 20 mm along the branches.
    tree = build([[0, 0, 0], [10, 0.5, 0], [10, -0.5, 0]], [[0, 1], [0, 2]])
    swapped = tree.with_(position=tree.position[[0, 2, 1]])
    assert identity([tree, swapped], [tree, tree]).frame_to_frame == pytest.approx(1 / 3)


def test_a_rebuild_starts_a_new_identity(line):
    reverse = line.with_(position=line.position[::-1].copy(), graph_id=7)
    result = identity([line, line, reverse, reverse], [line] * 4)
    assert (result.frame_to_frame, result.whole_sequence, result.rebuilds) == (1.0, 1.0, 1)


def test_nodes_off_every_vessel_do_not_count(build, line):
    stray = build([[5, 0, 0], [5, 9, 0]], [[0, 1]])
    assert identity([stray, stray], [line, line]).frame_to_frame == 1.0
    assert np.isnan(identity([line], [line]).frame_to_frame)
    assert identity([], []).rebuilds == 0


def test_needs_a_truth_per_graph_and_edges(line):
    with pytest.raises(InvalidInputError, match="one truth per graph"):
        identity([line], [])
    with pytest.raises(InvalidInputError, match="no edges"):
        locate(line.position, line.with_(edges=np.zeros((0, 2), np.int64)))
