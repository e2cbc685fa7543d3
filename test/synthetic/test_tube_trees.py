"""Trees of tubes that follow no anatomy."""

import numpy as np
import pytest

from autocar_ros.config import CaseConfig
from autocar_ros.synthetic.anatomy import graph_of
from autocar_ros.synthetic.cases import case_rng, draw_case
from autocar_ros.synthetic.courses import SPACING
from autocar_ros.synthetic.tube_trees import BRANCHES, REACH, draw_tubes
from autocar_ros.vessels.tree import components


@pytest.fixture(scope="module")
def trees():
    return [draw_tubes(np.random.default_rng(k)) for k in range(40)]


def test_a_tree_is_in_one_piece_and_near_the_origin(trees):
    for tubes in trees:
        graph, _ = graph_of(tubes)
        assert BRANCHES[0] < len(tubes) <= BRANCHES[1] + 1
        assert components(len(graph), graph.edges).max() == 0
        assert len(graph.edges) == len(graph) - 1
        assert np.linalg.norm(graph.position, axis=1).max() < 2 * REACH + 60
        step = np.linalg.norm(np.diff(graph.position[graph.edges], axis=1)[:, 0], axis=1)
        np.testing.assert_allclose(step, SPACING, atol=1e-9)


def test_tubes_keep_their_width_and_side_tubes_are_not_wider(trees):
    for tubes in trees:
        for tube in tubes:
            assert (np.diff(tube.radius) <= 1e-12).all()
            assert tube.radius[-1] >= 0.49 * tube.radius[0] > 0
            if tube.parent >= 0:
                assert tube.radius[0] <= max(tubes[tube.parent].radius[tube.start], 0.35) + 1e-9
    even = np.mean([np.ptp(tube.radius) == 0 for tubes in trees for tube in tubes])
    assert 0.3 < even < 0.7


def test_no_two_are_alike_and_each_is_repeatable():
    first, again, other = (draw_case(case_rng("train", 1, k), CaseConfig(tree="tubes")) for k in (3, 3, 4))
    np.testing.assert_array_equal(first.pair.mask_a, again.pair.mask_a)
    assert not np.array_equal(first.pair.mask_a, other.pair.mask_a)
    assert len(first.truth) > 0
