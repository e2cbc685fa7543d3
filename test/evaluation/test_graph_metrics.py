"""Graph metrics on lines and forks whose answer is known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.graph_metrics import (
    bifurcations,
    count_components,
    graph_correspondence,
    graph_score,
    match_points,
    ostium_found,
    sample_centreline,
)
from autocar_ros.types import CArmPose, SeenBy
from autocar_ros.vessels import tree
from autocar_ros.vessels.tree import visible_part


def test_samples_carry_the_length(fork):
    samples = sample_centreline(fork, step=0.3)
    assert samples.length.sum() == pytest.approx(30.0)
    assert samples.length.max() <= 0.3


def test_samples_interpolate_radius_and_position(build):
    edge = build([[0, 0, 0], [4, 0, 0]], [[0, 1]]).with_(radius=np.array([1.0, 3.0]))
    samples = sample_centreline(edge, step=2.0)
    assert samples.points[:, 0] == pytest.approx([1.0, 3.0])
    assert samples.radius == pytest.approx([1.5, 2.5])


def test_perfect_graph(fork):
    score = graph_score(fork, fork)
    assert score.recall_1mm == score.precision_1mm == 1.0
    assert score.error_p95_mm == score.missed_p95_mm == score.radius_error_mm == 0.0
    assert (score.bifurcations_found, score.bifurcations_missed, score.bifurcations_invented) == (1, 0, 0)
    assert score.components == 1
    assert score.length_mm == score.true_length_mm == pytest.approx(30.0)


def test_half_of_a_line_found(build, line):
    half = build(line.position[:6], line.edges[:5])
    score = graph_score(half, line)
    assert score.precision_1mm == 1.0
    assert score.recall_1mm == pytest.approx(0.6, abs=0.02)  # 5 mm found and 1 mm of tolerance
    assert score.recall_3mm == pytest.approx(0.8, abs=0.02)
    assert score.missed_p95_mm == pytest.approx(4.5, abs=0.2)


def test_parallel_line(move, line):
    score = graph_score(move(line, 0, 1.5, 0), line)
    assert (score.recall_1mm, score.recall_2mm) == (0.0, 1.0)
    assert (score.precision_1mm, score.precision_2mm) == (0.0, 1.0)
    assert score.error_median_mm == score.error_mean_mm == score.missed_median_mm == pytest.approx(1.5)


def test_shares_are_of_length_and_not_of_nodes(build):
    # The wrong half has a hundred nodes, the right half two.
    right = [[0, 0, 0], [10, 0, 0]]
    wrong = [[0, 50, 10 * k / 99] for k in range(100)]
    predicted = build([*right, *wrong], [[0, 1], *[[k, k + 1] for k in range(2, 101)]])
    score = graph_score(predicted, build(right, [[0, 1]]))
    assert score.precision_3mm == pytest.approx(0.5)
    assert score.components == 2


def test_radius_error_and_bias(line):
    score = graph_score(line.with_(radius=np.full(11, 0.7)), line)
    assert score.radius_error_mm == pytest.approx(0.3)
    assert score.radius_bias_mm == pytest.approx(-0.3)


def test_bifurcations_found_missed_and_invented(move, fork, line):
    moved = move(fork, 0, 2.9, 0)
    assert graph_score(moved, fork).bifurcations_found == 1
    away = move(fork, 0, 3.1, 0)
    score = graph_score(away, fork)
    assert (score.bifurcations_found, score.bifurcations_missed, score.bifurcations_invented) == (0, 1, 1)
    assert graph_score(line, fork).bifurcations_missed == 1
    assert bifurcations(fork).tolist() == [1]


def test_one_bifurcation_is_not_found_twice():
    assert match_points(np.array([[0.0, 0, 0], [1.0, 0, 0]]), np.zeros((1, 3)), 3.0) == 1


def test_matching_finds_the_largest_number_of_pairs():
    # The greedy nearest pair (1.0 with 0.9) would leave 3.8 without a partner.
    found, wanted = np.array([[0.9, 0, 0], [-2.0, 0, 0]]), np.array([[1.0, 0, 0], [3.8, 0, 0]])
    assert match_points(found, wanted, 3.0) == 2


def test_vessels_not_yet_filled_are_no_invention(fork):
    seen = fork.with_(seen_by=np.array([3, 3, 3, 1], np.uint8))
    visible = visible_part(seen)
    assert visible.edges.tolist() == [[0, 1], [1, 2]]
    assert len(visible_part(seen, SeenBy.A)) == 4
    score = graph_score(fork, visible, extent=fork)
    assert score.precision_1mm == score.recall_1mm == 1.0
    assert score.bifurcations_invented == 0
    assert graph_score(fork, visible).precision_1mm < 0.8


def test_nothing_predicted(build, fork):
    score = graph_score(build([], []), fork)
    assert score.recall_3mm == 0.0
    assert np.isnan(score.precision_3mm)
    assert np.isnan(score.error_median_mm)
    assert np.isnan(score.missed_median_mm)
    assert (score.bifurcations_missed, score.components) == (1, 0)


def test_empty_truth_is_an_error(build, line):
    with pytest.raises(InvalidInputError, match="no edges"):
        graph_score(line, build([], []))


def test_components(fork):
    assert count_components(fork) == 1
    assert count_components(fork.with_(edges=fork.edges[:1])) == 3


coordinates = st.lists(st.tuples(*[st.floats(-40, 40)] * 3), min_size=2, max_size=12, unique=True)


@settings(max_examples=40, deadline=None)
@given(coordinates, st.integers(0, 99), st.tuples(*[st.floats(-50, 50)] * 3))
def test_invariant_to_rigid_motion(build, points, seed, shift):
    truth = build(points, [[i, i + 1] for i in range(len(points) - 1)])
    predicted = truth.with_(position=truth.position + np.random.default_rng(seed).normal(0, 2, truth.position.shape))
    rotation = Rotation.random(random_state=seed)
    moved = [g.with_(position=rotation.apply(g.position) + shift) for g in (predicted, truth)]
    before, after = graph_score(predicted, truth), graph_score(*moved)
    assert after.error_mean_mm == pytest.approx(before.error_mean_mm, abs=1e-6)
    assert after.missed_mean_mm == pytest.approx(before.missed_mean_mm, abs=1e-6)
    assert after.recall_2mm == pytest.approx(before.recall_2mm, abs=0.02)


@settings(max_examples=40, deadline=None)
@given(coordinates, coordinates)
def test_recall_and_precision_change_sides(build, first, second):
    a, b = (build(p, [[i, i + 1] for i in range(len(p) - 1)]) for p in (first, second))
    there, back = graph_score(a, b), graph_score(b, a)
    assert there.recall_2mm == pytest.approx(back.precision_2mm)
    assert there.error_mean_mm == pytest.approx(back.missed_mean_mm)
    assert there.recall_1mm <= there.recall_2mm <= there.recall_3mm


def test_the_ostium_is_found_missed_or_out_of_reach(fork):
    assert ostium_found(fork, fork) == 1.0
    tip = fork.edges[-1, 1]
    order = tree.rooted(len(fork), fork.edges, np.array([tip]))
    kept = order.parent >= 0
    turned = fork.with_(edges=np.stack([order.parent[kept], np.flatnonzero(kept)], 1))
    assert ostium_found(turned, fork) == 0.0
    assert math.isnan(ostium_found(fork.with_(position=fork.position + 50.0), fork))


def test_correspondence_of_a_graph_moved_along_the_rays(move, fork):
    # A shift along the ray of A leaves its image in A alone and shows in full in B, 90 degrees away.
    fork = fork.with_(position=fork.position[:, [0, 2, 1]])  # frontal: its arms do not overlap in A
    common = {"secondary_angle": 0.0, "source_to_detector": 1200.0, "source_to_isocenter": 800.0}
    size = {"pixel_spacing": (0.3, 0.3), "rows": 512, "columns": 512}
    ap, lateral = (CArmPose(primary_angle=p, **common, **size) for p in (0.0, np.pi / 2))
    assert graph_correspondence(fork, fork, ap, lateral).epe_mm < 0.2
    shifted = move(fork, 0.0, 2.0, 0.0)
    result = graph_correspondence(shifted, fork, ap, lateral)
    assert result.coverage == result.accuracy == 1.0
    assert result.epe_mm == pytest.approx(2.0, abs=0.2)
