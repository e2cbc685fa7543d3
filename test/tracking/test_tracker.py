"""The living graph on a beating tree whose truth is known, and what it says when the images fail it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import KDTree
from tracking.scenes import CAMERAS, EMPTY, FULL, PERIOD, POSES, TREE, mask, pair, truth

import autocar_ros.tracking.tracker as module
from autocar_ros.config import TrackingConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.tracking.motion import Expected
from autocar_ros.tracking.observation import observe
from autocar_ros.tracking.tracker import Tracker
from autocar_ros.types import GraphStatus, SeenBy, VesselGraph

FRAME = 1 / 15


def tracked(frames: int = 3, config: TrackingConfig | None = None) -> tuple[Tracker, VesselGraph]:
    """A tracker that has followed the tree from its truth at time 0 for some frames."""
    tracker = Tracker(config)
    graph = tracker.update(pair(0.0), truth(0.0))
    for k in range(1, frames):
        graph = tracker.update(pair(k * FRAME))
    return tracker, graph


def error(graph: VesselGraph, time: float) -> np.ndarray:
    return np.linalg.norm(graph.position - truth(time).position, axis=1)


def assert_finite(graph: VesselGraph) -> None:
    for name in ("position", "radius", "confidence", "sigma"):
        assert np.isfinite(getattr(graph, name)).all(), name
    assert (graph.radius > 0).all()
    assert ((graph.confidence >= 0) & (graph.confidence <= 1)).all()


def test_nothing_to_track_before_the_first_graph():
    assert Tracker().update(pair(0.0)) is None


def test_a_first_graph_after_the_last_pair_is_followed_through_the_pairs():
    tracker = Tracker()
    for k in range(8):
        assert tracker.update(pair(k * FRAME)) is None
    graph = tracker.begin_late(truth(0.0))
    assert graph.stamp_a_ns == pair(7 * FRAME).stamp_a_ns
    assert np.median(error(graph, 7 * FRAME)) < 1.3
    assert tracker.begin_late(truth(0.0)) is None  # there is one now


def test_a_first_graph_without_a_pair_has_to_wait():
    assert Tracker().begin_late(truth(0.0)) is None


def test_follows_the_beating_heart_for_two_beats():
    tracker = Tracker()
    graph = tracker.update(pair(0.0), truth(0.0))
    for k in range(1, 25):
        graph = tracker.update(pair(k * FRAME))
        distance = KDTree(graph.position).query(truth(k * FRAME).position)[0]
        assert (distance < 1.5).mean() > 0.98
        assert np.median(error(graph, k * FRAME)) < 1.3  # the same node, but nothing shows motion along a vessel
        assert graph.status == GraphStatus.OK, graph.status_reason
        assert_finite(graph)
    assert np.median(error(graph, 24 * FRAME)) < 0.3  # at rest again: nothing has crept along


def test_stamps_phase_and_numbers_are_kept():
    tracker, first = tracked(1)
    shown = pair(FRAME, stamp_b_ns=round(FRAME * 1e9) + 4_000_000)
    graph = tracker.update(shown)
    assert (graph.stamp_a_ns, graph.stamp_b_ns) == (shown.stamp_a_ns, shown.stamp_b_ns)
    assert graph.skew == pytest.approx(0.004)
    assert graph.phase == pytest.approx(FRAME / PERIOD)
    assert (graph.graph_id, graph.sequence) == (first.graph_id, first.sequence + 1)
    assert graph.processing_time > 0
    np.testing.assert_array_equal(graph.edges, TREE.edges)
    assert graph.branch_label == TREE.branch_label


def test_quality_of_a_good_fit():
    _, graph = tracked(4)
    assert min(graph.coverage) > 0.95
    assert max(graph.residual) < 1.0
    assert (graph.seen_by == SeenBy.BOTH).mean() > 0.9
    assert np.median(graph.sigma) < 1.0
    assert np.median(graph.confidence) > 0.9


def test_radius_follows_the_masks():
    tracker = Tracker()
    tracker.update(pair(0.0), truth(0.0).with_(radius=np.full(len(TREE), 3.0)))
    for k in range(1, 40):
        graph = tracker.update(pair(k * FRAME))
    assert np.median(np.abs(graph.radius - TREE.radius)) < 0.3


def test_hidden_branch_loses_confidence_and_gains_sigma():
    tracker, _ = tracked(3)
    hidden = TREE.branch == 1
    keep = np.cumsum(~hidden) - 1
    inside = ~hidden[TREE.edges].any(1)
    for k in range(3, 15):
        now = truth(k * FRAME)
        part = VesselGraph(now.position[~hidden], now.radius[~hidden], keep[now.edges[inside]], now.branch[~hidden])
        graph = tracker.update(pair(k * FRAME, mask_a=mask(0, part), mask_b=mask(1, part)))
    assert graph.confidence[hidden][8:].max() < 0.6
    assert graph.confidence[~hidden].min() > 0.8
    assert np.median(graph.sigma[hidden]) > 4 * np.median(graph.sigma[~hidden])
    assert np.median(error(graph, 14 * FRAME)[~hidden]) < 1.0


def test_a_graph_a_few_millimetres_off_is_pulled_in():
    tracker = Tracker()
    graph = tracker.update(pair(0.0), truth(0.0).with_(position=truth(0.0).position + np.array([3.0, -2.0, 2.0])))
    for k in range(3):
        graph = tracker.update(pair(FRAME * 1e-3 * (k + 1)))
    assert np.median(error(graph, 0.0)) < 0.7


@pytest.mark.parametrize("picture", [EMPTY, FULL])
def test_one_covered_plane_is_degraded(picture):
    tracker, _ = tracked()
    graph = tracker.update(pair(3 * FRAME, mask_b=picture))
    assert graph.status == GraphStatus.DEGRADED
    assert "plane B" in graph.status_reason
    assert graph.coverage[1] == 0.0
    assert_finite(graph)


def test_both_planes_blind_is_stale_then_lost_then_back():
    tracker, before = tracked(config=TrackingConfig(lost_after=0.3))
    graph = tracker.update(pair(3 * FRAME, mask_a=EMPTY, mask_b=EMPTY))
    assert graph.status == GraphStatus.STALE
    assert np.linalg.norm(graph.position - before.position, axis=1).max() < 1.0  # goes on a little, then stands
    for k in range(4, 12):
        graph = tracker.update(pair(k * FRAME, mask_a=EMPTY, mask_b=EMPTY))
        assert_finite(graph)
    assert graph.status == GraphStatus.LOST
    assert graph.confidence.max() < before.confidence.max()
    graph = tracker.update(pair(12 * FRAME))
    graph = tracker.update(pair(13 * FRAME))
    assert graph.status == GraphStatus.OK
    assert np.median(error(graph, 13 * FRAME)) < 1.0


def jumped(time: float, offset: np.ndarray):
    moved = truth(time).with_(position=truth(time).position + offset)
    return pair(time, mask_a=mask(0, moved), mask_b=mask(1, moved))


def test_a_jump_of_15_mm_is_not_ok():
    tracker, _ = tracked()
    offset = 15 * np.array([0.6, 0.0, 0.8])
    states = [tracker.update(jumped(k * FRAME, offset)).status for k in range(3, 9)]
    assert all(status != GraphStatus.OK for status in states)


def test_other_vessels_are_not_ok():
    tracker, _ = tracked()
    other = truth(0.0).with_(position=truth(0.0).position[:, [1, 2, 0]] * [1, -1, 1] + [0, 20, 0])
    for k in range(3, 8):
        graph = tracker.update(pair(k * FRAME, mask_a=mask(0, other), mask_b=mask(1, other)))
        assert_finite(graph)
        assert graph.status != GraphStatus.OK


def test_a_new_graph_is_ignored_while_tracking_is_good():
    tracker, before = tracked()
    graph = tracker.update(pair(3 * FRAME), truth(3 * FRAME))
    assert graph.graph_id == before.graph_id


def test_force_rebuild_takes_the_next_graph_once():
    tracker, before = tracked()
    tracker.force_rebuild()
    assert tracker.update(pair(3 * FRAME)).graph_id == before.graph_id
    after = tracker.update(pair(4 * FRAME), truth(4 * FRAME))
    assert after.graph_id > before.graph_id
    assert tracker.update(pair(5 * FRAME), truth(5 * FRAME)).graph_id == after.graph_id


def test_branches_of_a_graph_that_explains_more_are_added():
    trunk = TREE.branch == 0
    part = VesselGraph(
        truth(0.0).position[trunk], TREE.radius[trunk], TREE.edges[: trunk.sum() - 1], TREE.branch[trunk]
    )
    tracker = Tracker()
    first = tracker.update(pair(0.0), part)
    assert first.status != GraphStatus.OK
    second = tracker.update(pair(FRAME), truth(FRAME))
    assert second.graph_id == first.graph_id
    assert len(second) == pytest.approx(len(TREE), abs=3)
    assert second.status == GraphStatus.OK
    trunk_error = np.linalg.norm(second.position[: len(first)] - truth(FRAME).position[: len(first)], axis=1)
    assert np.median(trunk_error) < 1.0


def test_a_late_graph_is_brought_up_to_the_present():
    tracker, _ = tracked(1)
    for k in range(1, 6):
        tracker.update(pair(k * FRAME))
    tracker.force_rebuild()
    graph = tracker.update(pair(6 * FRAME), truth(FRAME).with_(stamp_a_ns=round(FRAME * 1e9)))
    assert np.median(error(graph, 6 * FRAME)) < 1.3


@pytest.mark.parametrize(("at", "blind", "best"), [(12.0, False, 12.0), (1.0, False, 0.0), (12.0, True, 0.0)])
def test_a_new_graph_is_also_fitted_from_a_shift(monkeypatch, at, blind, best):
    """Where both planes show vessels the fit that lies nearer to them is taken."""

    class Straight:  # a living graph that does not move from where it is expected
        def fit(self, expected, views, rounds):
            return expected

        def distance(self, fit):
            return abs(fit.position - at).mean()

    monkeypatch.setattr(module, "find_shift", lambda position, views: np.full(3, 12.0))
    views = tuple(observe(mask(k, truth(0.0)), CAMERAS[k]) for k in (0, 1))
    if blind:
        views = (views[0], "no contrast")
    found = module._better_fit(Straight(), Expected(np.zeros((5, 3)), np.ones(5)), views)
    np.testing.assert_array_equal(found.position, np.full((5, 3), best))


def test_pairs_out_of_order_are_ignored_and_a_clock_jump_starts_anew():
    tracker = Tracker()
    first = tracker.update(pair(16.0), truth(0.0))
    assert tracker.update(pair(15.9)) is None
    assert tracker.update(pair(0.0)) is None
    again = tracker.update(pair(FRAME), truth(FRAME))
    assert again.graph_id > first.graph_id
    assert again.sequence > first.sequence


def test_reset_forgets_the_graph():
    tracker, _ = tracked()
    tracker.reset()
    assert tracker.update(pair(3 * FRAME)) is None


def test_a_new_graph_with_nan_is_refused():
    tracker, before = tracked()
    broken = truth(0.0).position.copy()
    broken[3] = np.nan
    with pytest.raises(InvalidInputError, match="not finite"):
        tracker.update(pair(3 * FRAME), truth(0.0).with_(position=broken))
    assert tracker.update(pair(4 * FRAME)).graph_id == before.graph_id


def test_an_empty_new_graph_is_no_graph():
    empty = VesselGraph(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 2), np.int64), np.zeros(0, np.int64))
    assert Tracker().update(pair(0.0), empty) is None


@pytest.mark.parametrize("count", [1, 2, 5])
def test_tiny_graphs_do_not_break(count):
    edges = np.column_stack([np.arange(count - 1), np.arange(1, count)])
    graph = Tracker().update(
        pair(0.0), VesselGraph(truth(0.0).position[:count], np.ones(count), edges, np.zeros(count, np.int64))
    )
    assert_finite(graph)


def test_disconnected_and_cyclic_graphs_do_not_break():
    cut = np.delete(TREE.edges, [10, 60], axis=0)
    ring = np.vstack([TREE.edges, [len(TREE) - 1, 75]])
    for edges in (cut, ring):
        tracker = Tracker()
        tracker.update(pair(0.0), truth(0.0).with_(edges=edges))
        graph = tracker.update(pair(FRAME))
        assert_finite(graph)
        assert np.median(error(graph, FRAME)) < 0.7


def test_cameras_may_change_from_pair_to_pair():
    tracker, _ = tracked()
    turned = replace(POSES[1], principal_point=(120.0, 140.0))
    moved = CAMERAS[1].matrix[:2, 2]
    shown = pair(3 * FRAME)
    shifted = np.roll(shown.mask_b, np.round([140.0 - moved[1], 120.0 - moved[0]]).astype(int), axis=(0, 1))
    graph = tracker.update(replace(shown, mask_b=shifted, pose_b=turned))
    assert graph.status == GraphStatus.OK
    assert np.median(error(graph, 3 * FRAME)) < 0.9


def test_the_same_input_gives_the_same_graph():
    a, b = tracked(4)[1], tracked(4)[1]
    np.testing.assert_array_equal(a.position, b.position)
