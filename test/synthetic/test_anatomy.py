"""Trees: topology, sizes of Dodge et al., smooth courses, stenoses."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autocar_ros.errors import ConfigError
from autocar_ros.synthetic.anatomy import Anatomy, draw_anatomy
from autocar_ros.synthetic.branching import MIN_RADIUS
from autocar_ros.synthetic.coronaries import VESSELS
from autocar_ros.synthetic.courses import SPACING
from autocar_ros.types import VesselGraph

seeds = st.integers(0, 10_000)
trees = st.sampled_from(["left", "right"])


def draw(seed: int, tree: str, **options):
    return draw_anatomy(np.random.default_rng(seed), tree, **options)


def named(graph: VesselGraph, label: str) -> np.ndarray:
    return np.flatnonzero(graph.branch == graph.branch_label.index(label))


@settings(max_examples=30, deadline=None)
@given(seeds, trees)
def test_a_tree_rooted_at_the_ostium(seed, tree):
    anatomy = draw(seed, tree)
    g = anatomy.graph
    directed = nx.DiGraph(g.edges.tolist())
    assert nx.is_arborescence(directed)
    assert g.parent[0] == -1
    assert anatomy.distance[0] == 0
    step = np.linalg.norm(np.diff(g.position[g.edges], axis=1)[:, 0], axis=1)
    assert step.max() < 1.3 * SPACING
    np.testing.assert_allclose(anatomy.distance[g.edges[:, 1]] - anatomy.distance[g.edges[:, 0]], SPACING)
    assert g.radius.min() >= MIN_RADIUS
    assert VESSELS[0] <= len(g.branch_label) <= VESSELS[1]
    assert len(set(g.branch_label)) == len(g.branch_label) == g.branch.max() + 1


@settings(max_examples=30, deadline=None)
@given(seeds, trees)
def test_vessels_bend_smoothly(seed, tree):
    g = draw(seed, tree).graph
    for label in range(len(g.branch_label)):
        steps = np.diff(g.position[g.branch == label], axis=0)
        steps /= np.linalg.norm(steps, axis=1, keepdims=True)
        assert np.min(np.sum(steps[1:] * steps[:-1], axis=1), initial=1.0) > 0.75  # less than 41 degrees a millimetre


@pytest.fixture(scope="module")
def many() -> list[Anatomy]:
    return [draw(seed, tree) for seed in range(30) for tree in ("left", "right")]


def test_trees_differ_widely(many):
    graphs = [anatomy.graph for anatomy in many]
    branches = [len(g.branch_label) for g in graphs]
    assert min(branches) <= 9
    assert max(branches) >= 22
    assert np.std(branches) > 4
    bent = [np.median(bending(g.position[named(g, label)])) for g in graphs for label in ("LAD", "RCA")
            if label in g.branch_label]  # fmt: skip
    assert min(bent) < 0.05  # 1/mm; the skeletons of two CT trees have about 0.1 with the noise of their voxels
    assert max(bent) > 0.1


def bending(points: np.ndarray) -> np.ndarray:
    """Angle [rad] between steps 1 mm long."""
    steps = np.diff(points, axis=0)
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    return np.arccos(np.clip(np.sum(steps[1:] * steps[:-1], axis=1), -1, 1))


def test_all_kinds_of_branches_appear(many):
    labels = {label for anatomy in many for label in anatomy.graph.branch_label}
    assert {"LM", "LAD", "LCx", "RI", "D1", "S1", "OM1", "RCA", "CB", "AM", "RV1", "PDA", "PL", "PL1"} <= labels
    assert {"LADa", "D1a", "OM1a"} <= labels  # twigs of the second and third order
    assert any(label[-2:].isalpha() and label[-2:].islower() for label in labels)  # and of the fourth


def test_twigs_of_septals_stay_in_the_wall(many):
    deep = []
    for anatomy in many:
        for label in anatomy.graph.branch_label:
            if label[0] == "S" and label[-1].isalpha():
                local = anatomy.heart.local(anatomy.graph.position[named(anatomy.graph, label)])
                deep.append(np.linalg.norm(local / anatomy.heart.semi_axes, axis=1).max())
    assert deep
    assert max(deep) < 1.1


def test_sizes_are_those_of_dodge():
    left = [draw(seed, "left", dominance="right").graph for seed in range(40)]
    right = [draw(seed, "right", dominance="right").graph for seed in range(40)]

    def diameter(graphs, label):
        return np.mean([2 * g.radius[named(g, label)[:5]].mean() for g in graphs])

    assert diameter(left, "LM") == pytest.approx(4.5, abs=0.4)
    assert diameter(left, "LAD") == pytest.approx(3.7, abs=0.4)
    assert diameter(left, "LCx") == pytest.approx(3.4, abs=0.5)
    assert diameter(right, "RCA") == pytest.approx(3.9, abs=0.4)
    lengths = {label: np.mean([len(named(g, label)) for g in left]) for label in ("LM", "LAD", "LCx")}
    assert 8 < lengths["LM"] < 13
    assert 95 < lengths["LAD"] < 130
    assert 55 < lengths["LCx"] < 85
    assert 110 < np.mean([len(named(g, "RCA")) for g in right]) < 145


def test_dominance_decides_who_feeds_the_posterior_groove():
    assert "PDA" in draw(0, "left", dominance="left").graph.branch_label
    assert "PDA" not in draw(0, "left", dominance="right").graph.branch_label
    assert "PDA" in draw(0, "right", dominance="right").graph.branch_label
    assert "PDA" not in draw(0, "right", dominance="left").graph.branch_label


def test_stenoses_are_where_they_say():
    anatomy = draw(3, "left", stenoses=3)
    assert len(anatomy.stenoses) == 3
    for s in anatomy.stenoses:
        assert anatomy.graph.branch[s.node] == s.branch
        assert anatomy.graph.radius[s.node] == pytest.approx(s.reference_radius * (1 - s.diameter_stenosis), rel=0.05)


def test_the_tree_is_as_large_as_a_real_one(data_dir):
    """Extent of a CT tree's skeleton against drawn trees of the same side."""
    for name, tree in (("ct_tree_A", "left"), ("ct_tree_B", "right")):
        points = np.loadtxt(data_dir / "trees" / f"{name}.csv", delimiter=",", comments="#")
        real = np.sort(np.ptp(points[:, :3], axis=0))
        drawn = np.median([np.sort(np.ptp(draw(seed, tree).graph.position, axis=0)) for seed in range(10)], axis=0)
        assert (drawn > 0.5 * real).all()
        assert (drawn < 2.0 * real).all()


def test_wrong_choices_are_named():
    with pytest.raises(ConfigError, match="tree must be"):
        draw(0, "middle")
