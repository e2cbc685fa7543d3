"""Branches that a new graph adds, and ends that are cut."""

import numpy as np
import pytest
from tracking.scenes import CAMERAS, TREE, mask, truth

from autocar_ros.tracking.growth import cut, graft
from autocar_ros.tracking.observation import observe
from autocar_ros.types import VesselGraph
from autocar_ros.vessels.tree import components, keep_nodes


def part(keep, graph=TREE):
    return VesselGraph(
        graph.position[keep],
        graph.radius[keep],
        keep_nodes(len(graph), graph.edges, keep),
        np.unique(graph.branch[keep], return_inverse=True)[1],
        tuple(np.array(graph.branch_label)[np.unique(graph.branch[keep])]),
    )


def views(graph=TREE):
    return tuple(observe(mask(plane, graph), CAMERAS[plane]) for plane in (0, 1))


def shuffled(graph, seed=0):
    """The same graph with its nodes in another order and a little noise."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(graph))
    moved = graph.position[order] + rng.normal(0, 0.2, (len(graph), 3))
    return VesselGraph(moved, graph.radius[order], np.argsort(order)[graph.edges], graph.branch[order])


def assert_tree(graph):
    assert len(graph.edges) == len(graph) - 1
    assert len(np.unique(components(len(graph), graph.edges))) == 1
    assert (np.bincount(graph.edges[:, 1], minlength=len(graph)) <= 1).all()  # one parent
    assert len(graph.branch_label) > graph.branch.max()


@pytest.mark.parametrize("hidden", [1, 2])
def test_a_branch_is_appended_and_old_nodes_stay(hidden):
    living = part(TREE.branch != hidden)
    grown = graft(living, shuffled(TREE), views())
    n = len(living)
    np.testing.assert_array_equal(grown.graph.position[:n], living.position)
    np.testing.assert_array_equal(grown.graph.branch[:n], living.branch)
    np.testing.assert_array_equal(grown.graph.edges[: len(living.edges)], living.edges)
    np.testing.assert_array_equal(grown.origin[:n], np.arange(n))
    assert grown.added.sum() == len(grown.graph) - n
    assert 30 <= grown.added.sum() <= 36
    assert_tree(grown.graph)
    joint = grown.graph.parent[grown.added]
    assert np.linalg.norm(TREE.position[40] - living.position[joint[joint < n]], axis=1).max() < 3.0


def test_ends_grow_on():
    keep = np.ones(len(TREE), bool)
    keep[60:76] = False  # far half of an arm
    grown = graft(part(keep), shuffled(TREE), views())
    assert_tree(grown.graph)
    assert 13 <= grown.added.sum() <= 17
    assert np.linalg.norm(np.diff(grown.graph.position[grown.graph.edges], axis=1)[:, 0], axis=1).max() < 3.5


def test_a_vessel_nearer_the_ostium_becomes_the_root():
    keep = np.ones(len(TREE), bool)
    keep[:15] = False
    grown = graft(part(keep), TREE, views())
    assert_tree(grown.graph)
    root = np.flatnonzero(grown.graph.parent < 0)
    np.testing.assert_allclose(grown.graph.position[root], TREE.position[:1])


def test_nothing_is_added_twice_nor_without_evidence():
    assert graft(TREE, shuffled(TREE), views()) is None
    living = part(TREE.branch != 1)
    assert graft(living, TREE, views(living)) is None  # not in the images
    ghost = TREE.with_(
        position=np.where((TREE.branch == 1)[:, None], TREE.position + np.array([0, 12, 0]), TREE.position)
    )
    assert graft(living, ghost, views()) is None


def test_growing_twice_adds_nothing_more():
    grown = graft(part(TREE.branch != 1), shuffled(TREE), views())
    assert graft(grown.graph, shuffled(TREE, 1), views()) is None


def test_a_graph_a_little_off_is_not_taken_for_new_vessels():
    moved = truth(0.0).with_(position=TREE.position + np.array([1.5, -1.0, 1.0]))
    assert graft(TREE, moved, views()) is None


def test_only_ends_are_cut():
    gone = np.zeros(len(TREE), bool)
    gone[20:25] = True  # inside the trunk
    assert cut(TREE, gone) is None
    gone[60:76] = True
    rest = cut(TREE, gone)
    assert len(rest.graph) == len(TREE) - 16
    np.testing.assert_array_equal(rest.graph.position, TREE.position[rest.origin])
    assert_tree(rest.graph)
    assert cut(TREE, np.ones(len(TREE), bool)) is None
