"""What the tracker is doing, and why: covered and frozen planes, jumps, wash-out, growth, prediction."""

from dataclasses import replace

import numpy as np
import pytest
from tracking.scenes import CAMERAS, EMPTY, PERIOD, TREE, mask, pair, truth

from autocar_ros.config import TrackingConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.tracking.observation import observe
from autocar_ros.tracking.shift import find_shift
from autocar_ros.tracking.state import Repeats, State
from autocar_ros.tracking.tracker import Tracker
from autocar_ros.types import NANOSECONDS, GraphStatus, VesselGraph
from autocar_ros.vessels.tree import keep_nodes

FRAME = 1 / 15
BEATS_2 = 24  # frames


def tracked(frames=3, config=None):
    tracker = Tracker(config)
    graph = tracker.update(pair(0.0), truth(0.0))
    for k in range(1, frames):
        graph = tracker.update(pair(k * FRAME))
    return tracker, graph


def part(keep, graph):
    return VesselGraph(
        graph.position[keep], graph.radius[keep], keep_nodes(len(graph), graph.edges, keep), graph.branch[keep]
    )


def shown(time, graph):
    return pair(time, mask_a=mask(0, graph), mask_b=mask(1, graph))


def moved(time, offset):
    return truth(time).with_(position=truth(time).position + offset)


def error(graph, time, offset=0.0):
    return np.median(np.linalg.norm(graph.position - truth(time).position - offset, axis=1))


def test_searching_tracking_degraded_lost_and_back():
    tracker = Tracker(TrackingConfig(lost_after=0.2))
    assert tracker.state == State.SEARCHING
    tracker.update(pair(0.0), truth(0.0))
    assert tracker.state == State.TRACKING
    graph = tracker.update(pair(FRAME, mask_b=EMPTY))
    assert (tracker.state, graph.status) == (State.DEGRADED, GraphStatus.DEGRADED)
    graph = tracker.update(pair(2 * FRAME, mask_a=EMPTY, mask_b=EMPTY))
    assert (tracker.state, graph.status) == (State.DEGRADED, GraphStatus.STALE)
    for k in range(3, 7):
        graph = tracker.update(pair(k * FRAME, mask_a=EMPTY, mask_b=EMPTY))
    assert (tracker.state, graph.status) == (State.LOST, GraphStatus.LOST)
    assert "no vessels seen for" in graph.status_reason
    tracker.update(pair(7 * FRAME))
    tracker.update(pair(8 * FRAME))
    assert tracker.state == State.TRACKING
    tracker.reset()
    assert tracker.state == State.SEARCHING


def test_a_frozen_plane_is_told_at_once_and_not_used():
    tracker, before = tracked(BEATS_2)
    frozen = pair(BEATS_2 * FRAME).mask_b
    tracker.update(pair(BEATS_2 * FRAME))
    for k in range(BEATS_2 + 1, BEATS_2 + 5):
        graph = tracker.update(pair(k * FRAME, mask_b=frozen))
        assert graph.status == GraphStatus.DEGRADED
        assert "plane B: the image is frozen" in graph.status_reason
        assert error(graph, k * FRAME) < 1.5  # plane A and the beat lead on
    assert graph.graph_id == before.graph_id
    assert tracker.update(pair((BEATS_2 + 5) * FRAME)).status == GraphStatus.OK


def test_a_stamp_that_stands_still_is_told():
    tracker, _ = tracked()
    first = pair(2 * FRAME)
    still = replace(pair(3 * FRAME), stamp_a_ns=first.stamp_a_ns, mask_a=first.mask_a)
    graph = tracker.update(still)
    assert graph.status == GraphStatus.DEGRADED
    assert "plane A stands still" in graph.status_reason


def test_two_planes_that_show_the_same_again_are_a_heart_at_rest():
    repeats = Repeats()
    for k in range(3):
        frozen, notes = repeats.check(replace(pair(0.0), stamp_a_ns=k + 1, stamp_b_ns=k + 1))
        assert (frozen, notes) == (("", ""), [])


@pytest.mark.parametrize("frames", [6, BEATS_2])
def test_one_covered_plane_leaves_the_graph_to_the_other(frames):
    tracker, before = tracked(frames)
    for k in range(frames, frames + 9):
        graph = tracker.update(pair(k * FRAME, mask_b=EMPTY))
        assert graph.status == GraphStatus.DEGRADED
    assert error(graph, (frames + 8) * FRAME) < (3.0 if frames == 6 else 1.0)  # the beat gives the depth
    assert np.median(graph.sigma) > 2 * np.median(before.sigma)
    assert graph.confidence.max() < before.confidence.max()


def test_find_shift_finds_a_jump():
    offset = np.array([9.0, -6.0, 10.0])

    views = tuple(observe(mask(plane, moved(0.0, offset)), CAMERAS[plane]) for plane in (0, 1))
    assert np.linalg.norm(find_shift(truth(0.0).position, views) - offset) < 4.0


@pytest.mark.parametrize("direction", [(0.6, 0.0, 0.8), (-0.8, 0.6, 0.0), (0.0, -0.6, -0.8)])
def test_after_a_jump_of_15_mm_the_same_graph_is_found_again(direction):
    tracker, before = tracked(BEATS_2)
    offset = 15 * np.array(direction)
    graph = tracker.update(shown(BEATS_2 * FRAME, moved(BEATS_2 * FRAME, offset)))
    assert graph.status != GraphStatus.OK
    for k in range(BEATS_2 + 1, 2 * BEATS_2):
        graph = tracker.update(shown(k * FRAME, moved(k * FRAME, offset)))
    assert graph.status == GraphStatus.OK
    assert graph.graph_id == before.graph_id
    assert error(graph, (2 * BEATS_2 - 1) * FRAME, offset) < 1.0


def test_a_lost_graph_gives_way_to_a_reconstruction_of_another_tree():
    tracker, before = tracked()

    def other(time):
        return truth(time).with_(position=truth(time).position[:, [1, 2, 0]] * [1, -1, 1] + [0, 20, 0])

    for k in range(3, 3 + BEATS_2):
        new = other(k * FRAME).with_(stamp_a_ns=round(k * FRAME * NANOSECONDS)) if k % 5 == 0 else None
        graph = tracker.update(shown(k * FRAME, other(k * FRAME)), new)
    assert graph.graph_id > before.graph_id
    assert graph.status == GraphStatus.OK
    assert np.median(np.linalg.norm(graph.position - other((2 + BEATS_2) * FRAME).position, axis=1)) < 1.0


def test_washing_out_and_filling_again_keeps_the_graph():
    tracker, before = tracked(BEATS_2)
    k = BEATS_2
    for length in (*range(100, -1, -20), *[0] * 10, *range(0, 120, 20)):  # contrast that goes and comes
        keep = np.arange(len(TREE)) % 41 < 41 * length / 100
        picture = shown(k * FRAME, part(keep, truth(k * FRAME))) if keep.any() else pair(
            k * FRAME, mask_a=EMPTY, mask_b=EMPTY
        )  # fmt: skip
        graph = tracker.update(picture)
        k += 1
    for last in range(k, k + 8):
        graph = tracker.update(pair(last * FRAME))
    assert graph.graph_id == before.graph_id
    assert graph.status == GraphStatus.OK
    assert error(graph, last * FRAME) < 1.5  # some of the motion is along the vessels


def test_a_grafted_branch_keeps_identity_and_graph_id():
    keep = TREE.branch != 2
    tracker = Tracker()
    first = tracker.update(shown(0.0, part(keep, truth(0.0))), part(keep, truth(0.0)))
    for k in range(1, 2 * BEATS_2):
        late = k - 4
        new = truth(late * FRAME).with_(stamp_a_ns=round(late * FRAME * NANOSECONDS)) if k == 14 else None
        contrast = truth(k * FRAME) if k > 5 else part(keep, truth(k * FRAME))
        graph = tracker.update(shown(k * FRAME, contrast), new)
    assert graph.graph_id == first.graph_id
    assert len(graph) > len(first) + 30
    n = len(first)
    apart = np.linalg.norm(graph.position[:n] - truth(k * FRAME).position[keep], axis=1)
    assert np.median(apart) < 1.0
    np.testing.assert_array_equal(graph.edges[: len(first.edges)], first.edges)
    added = np.linalg.norm(graph.position[n:, None] - truth(k * FRAME).position[~keep], axis=2).min(1)
    assert np.median(added) < 1.0
    assert graph.status == GraphStatus.OK


def test_a_branch_that_the_images_contradict_is_cut_at_the_next_growth():
    ghost = TREE.branch == 2
    tracker = Tracker(TrackingConfig(prune_after=1.0))
    for k in range(60):
        now = part(~ghost, truth(k * FRAME))
        new = now.with_(stamp_a_ns=round(k * FRAME * NANOSECONDS)) if k == 59 else None
        graph = tracker.update(shown(k * FRAME, now), truth(0.0) if k == 0 else new)
    assert graph.graph_id == 2
    assert len(graph) < len(TREE) - 15


def test_prediction_beats_holding_still_and_says_what_it_is():
    tracker, graph = tracked(2 * BEATS_2 + 3)
    time = (2 * BEATS_2 + 2) * FRAME
    for ahead in (0.1, 0.3, 0.5):
        guess = tracker.predict(round((time + ahead) * NANOSECONDS))
        held = error(graph, time + ahead)
        assert error(guess, time + ahead) < max(0.6 * held, 0.7)
        assert guess.status == GraphStatus.STALE
        assert f"predicted {ahead:.2f} s ahead" in guess.status_reason
        assert (guess.sigma > graph.sigma).all()
        assert guess.graph_id == graph.graph_id
        assert guess.phase == pytest.approx((time + ahead) / PERIOD % 1.0, abs=0.02)


def test_what_cannot_be_predicted_is_refused():
    with pytest.raises(InvalidInputError, match="no vessel graph yet"):
        Tracker().predict(0)
    tracker, graph = tracked()
    for ahead in (-0.1, 0.7):
        with pytest.raises(InvalidInputError, match=r"up to 0\.5 s"):
            tracker.predict(graph.stamp_a_ns + round(ahead * NANOSECONDS))
