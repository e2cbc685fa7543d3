"""What later reconstructions say of nodes: their place, their confidence, and nodes that none finds again."""

import numpy as np
import pytest
from tracking.scenes import TREE, pair, truth

from autocar_ros.config import TrackingConfig
from autocar_ros.tracking.confirmation import confirm
from autocar_ros.tracking.evidence import Evidence
from autocar_ros.tracking.living import Living
from autocar_ros.tracking.tracker import Tracker
from autocar_ros.types import GraphStatus, VesselGraph
from autocar_ros.vessels.tree import keep_nodes

FRAME = 1 / 15
RIGHT = TREE.branch == 2


def without(graph: VesselGraph, gone: np.ndarray) -> VesselGraph:
    """A graph without some nodes (N,)."""
    return graph.with_(
        edges=keep_nodes(len(graph), graph.edges, ~gone),
        **{k: getattr(graph, k)[~gone] for k in ("position", "radius", "branch", "confidence", "sigma", "seen_by")},
    )


def test_a_graph_confirms_itself():
    told = confirm(TREE, TREE.with_(confidence=np.full(len(TREE), 0.7)))
    assert told.found.all()
    np.testing.assert_allclose(told.confidence, 0.7)
    assert np.linalg.norm(told.offset, axis=1).max() < 0.15


@pytest.mark.parametrize("off", [(0.0, 1.5, 0.0), (0.8, -0.5, 0.3)])
def test_a_displacement_is_found_across_the_vessels(off):
    told = confirm(TREE.with_(position=TREE.position - np.array(off)), TREE)
    assert told.found.mean() > 0.95
    left = np.array(off) - told.offset
    along = TREE.position[11:30] - TREE.position[10:29]
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = left[11:30] - np.einsum("nc,nc->n", left[11:30], along)[:, None] * along
    assert np.linalg.norm(across, axis=1).max() < 0.25 * np.linalg.norm(off)


def test_what_a_new_graph_lacks_or_crosses_is_not_found():
    told = confirm(TREE, without(TREE, RIGHT))
    assert told.found[~RIGHT].all()
    assert not told.found[RIGHT][6:].any()
    assert (told.offset[RIGHT][6:] == 0).all()
    assert (told.confidence[RIGHT][6:] == 0).all()
    turned = TREE.with_(position=TREE.position[:, [1, 0, 2]] * [1, -1, 1])  # by 90 degrees about z
    assert confirm(TREE.with_(edges=TREE.edges[:39]), turned).found.mean() < 0.8


def test_every_graph_counts_alike():
    evidence, none = Evidence(TREE), np.zeros(len(TREE), bool)
    told = confirm(TREE, TREE.with_(confidence=np.full(len(TREE), 0.4)))
    np.testing.assert_allclose(evidence.confirm(told, none), 1 / 2)
    np.testing.assert_allclose(evidence.confirm(told, none), 1 / 3)
    assert not evidence.refuted.any()
    missed = confirm(TREE, without(TREE, RIGHT))
    for _ in range(8):  # what the images did not show then is nobody's mistake
        assert evidence.confirm(missed, none)[RIGHT][6:].max() == 0
    assert not evidence.refuted.any()


def test_a_node_that_no_other_graph_finds_is_refuted():
    evidence, shown = Evidence(TREE), np.ones(len(TREE), bool)
    missed = confirm(TREE, without(TREE, RIGHT))
    for k in range(3):
        assert not evidence.refuted.any(), k
        evidence.confirm(missed, shown)
    np.testing.assert_array_equal(evidence.refuted[RIGHT][6:], True)
    assert not evidence.refuted[~RIGHT].any()


def test_nodes_that_were_off_all_the_time_are_moved_in_all_that_is_known():
    living, offset = Living(TREE, TrackingConfig()), np.array([0.0, 2.0, 0.0]) * RIGHT[:, None]
    for k in range(3):
        living.took_place(truth(k * FRAME).with_(status=GraphStatus.OK, stamp_a_ns=pair(k * FRAME).stamp_a_ns))
    before = living.expected(pair(3 * FRAME).stamp_a_ns, np.nan).position
    fit = living.bent(offset, truth(2 * FRAME).position, ("covered", "covered"))
    np.testing.assert_allclose(fit.position, truth(2 * FRAME).position + offset)
    np.testing.assert_allclose(living.shape_at(pair(FRAME).stamp_a_ns), truth(FRAME).position + offset)
    np.testing.assert_allclose(living.expected(pair(3 * FRAME).stamp_a_ns, np.nan).position, before + offset)


def test_a_ghost_loses_confidence_and_goes():
    """Both views show something at a branch, but one graph alone has made a vessel of it."""
    tracker = Tracker()
    graph = tracker.update(pair(0.0), truth(0.0))
    confidence = []
    for k in range(1, 5 * 45):
        now = pair(k * FRAME)
        made = truth((k - 1) * FRAME).with_(stamp_a_ns=pair((k - 1) * FRAME).stamp_a_ns)
        graph = tracker.update(now, without(made, RIGHT) if k % 35 == 0 else None)
        confidence.append(graph.confidence[RIGHT].mean() if len(graph) == len(TREE) else np.nan)
    assert confidence[33] > 0.9
    assert confidence[60] < 0.7
    assert graph.graph_id == 2
    assert len(graph) < len(TREE) - 20
    assert (graph.branch != 2).mean() > 0.9
