"""Lifting finds depths that are known, and its numba kernels equal their numpy twins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sbp.tubes import c_arm, curve, fork, fork_pair, pair_of
from scipy.spatial import KDTree

from autocar_ros.config import ReconstructionConfig
from autocar_ros.geometry.carm import camera_from_pose, shift_image
from autocar_ros.sbp import lifting
from autocar_ros.sbp.fusion import EXPLAINED, completed, fuse
from autocar_ros.sbp.lifting import DEPTH_STEP, cast_rays, confidence, lift_both
from autocar_ros.sbp.lifting_cost import lifting_cost, strand
from autocar_ros.sbp.matching import (
    best_labels,
    best_labels_numpy,
    least_cost,
    matching_cost,
    matching_cost_numpy,
    other_regret,
    other_regret_numpy,
    regret,
)
from autocar_ros.vessels import tree
from autocar_ros.vessels.graph import Cloud
from autocar_ros.vessels.skeleton import extract_centreline

CONFIG = ReconstructionConfig()


def views(pair):
    return (
        extract_centreline(pair.mask_a), camera_from_pose(pair.pose_a),
        extract_centreline(pair.mask_b), camera_from_pose(pair.pose_b),
    )  # fmt: skip


@pytest.mark.parametrize("angles", [((-30, 20), (40, -10)), ((0, 0), (90, 0)), ((10, 30), (-20, -25))])
def test_fork_is_lifted_to_its_place(angles):
    points, _ = fork()
    both = lift_both(*views(fork_pair(*angles)), CONFIG)
    for lifted in both:
        distance, _ = KDTree(points).query(lifted.points)
        assert np.median(distance) < 0.5
        assert np.quantile(distance, 0.95) < 1.5
    # one view alone may see two vessels as one
    together = KDTree(np.concatenate([lifted.points for lifted in both]))
    assert np.quantile(together.query(points)[0], 0.95) < 1.5


def test_lifted_points_lie_on_their_rays():
    line_a, a, line_b, b = views(fork_pair())
    for lifted, camera in zip(lift_both(line_a, a, line_b, b, CONFIG), (a, b), strict=True):
        np.testing.assert_allclose(camera.project(lifted.points)[0], lifted.pixels, atol=1e-9)


def test_radius_tells_parallel_vessels_apart():
    """Two vessels on the same epipolar lines: only their radii say which is which."""
    thick, thin = curve((-20, -20, 15), (20, -20, 15)), curve((-20, 20, -15), (20, 20, -15))
    points, radius = np.concatenate([thick, thin]), np.repeat([2.5, 1.0], len(thick))
    lifted_a, _ = lift_both(*views(pair_of(points, radius, c_arm(0, 25), c_arm(0, -25))), CONFIG)
    assert np.quantile(KDTree(points).query(lifted_a.points)[0], 0.95) < 1.5


def test_what_the_other_view_lacks_is_not_confirmed():
    points, radius = fork()
    full, cut = fork_pair(), pair_of(points[:240], radius[:240], c_arm(-30, 20), c_arm(40, -10))
    line_a, a, _, b = views(full)
    lifted_a, lifted_b = lift_both(line_a, a, extract_centreline(cut.mask_b), b, CONFIG)
    truth = KDTree(points).query(lifted_a.points)[1]
    sure = confidence(lifted_a.distance_to(lifted_b))
    assert np.median(sure[truth < 200]) > 0.9
    assert np.median(sure[truth > 280]) < 0.5


def test_fusion_takes_the_mean_of_what_agrees():
    lifted = lift_both(*views(fork_pair()), CONFIG)
    cloud = fuse(*lifted, CONFIG)
    assert len(cloud.points) == len(cloud.radius) == len(cloud.confidence) == len(cloud.disagreement)
    assert np.median(cloud.confidence) > 0.95
    assert np.median(KDTree(fork()[0]).query(cloud.points)[0]) < 0.4


def test_a_cloud_is_completed_by_what_either_view_lacks_in_it():
    pair = fork_pair()
    cameras = camera_from_pose(pair.pose_a), camera_from_pose(pair.pose_b)
    whole = fuse(*lift_both(*views(pair), CONFIG), CONFIG)
    order = np.argsort(whole.points[:, 2])
    half = Cloud(*(part[order[: len(order) // 2]] for part in whole))
    found = completed(half, whole, cameras)
    assert len(completed(whole, whole, cameras).points) == len(whole.points)  # nothing is new
    assert len(half.points) < len(found.points) <= len(whole.points)
    assert KDTree(found.points).query(whole.points)[0].max() < 2 * EXPLAINED


def test_regret_knows_what_else_is_possible():
    """Equal vessels on the same epipolar lines may be swapped: that costs more than the truth, nonsense most."""
    first, second = curve((-20, -20, 15), (20, -20, 15)), curve((-20, 20, -15), (20, 20, -15))
    points = np.concatenate([first, second])
    pair = pair_of(points, np.full(len(points), 1.5), c_arm(0, 25), c_arm(0, -25))
    line_a, a, line_b, b = views(pair)
    for lifted in lift_both(line_a, a, line_b, b, CONFIG):
        assert lifted.regret.min(1).max() == 0.0
        regret = lifted.regret[np.argmin(np.abs(lifted.points[:, 0]))]  # in the middle of a vessel
        valleys = np.flatnonzero((regret[1:-1] < regret[:-2]) & (regret[1:-1] <= regret[2:])) + 1
        valleys = valleys[regret[valleys] < 0.75 * np.median(regret)]
        assert len(valleys) == 2
        assert np.ptp(valleys) * DEPTH_STEP > 5  # mm


def test_depths_at_which_the_other_view_shows_nothing_change_nothing(monkeypatch):
    line_a, a, line_b, b = views(fork_pair())
    rays, few = cast_rays(line_a, a, line_b, b, CONFIG), lift_both(line_a, a, line_b, b, CONFIG)
    assert (rays.match[:, [0, -1]] >= 0).any(0).all()  # they are left out
    assert rays.cost.shape[1] < CONFIG.box_size / DEPTH_STEP / 2
    monkeypatch.setattr(lifting, "_shown", lambda *of_depths: of_depths)
    for found, wanted in zip(few, lift_both(line_a, a, line_b, b, CONFIG), strict=True):
        assert wanted.regret.shape[1] > CONFIG.box_size / DEPTH_STEP
        np.testing.assert_array_equal(found.matched, wanted.matched)
        np.testing.assert_allclose(found.points, wanted.points)


def test_views_without_a_vessel_in_common_are_lifted_all_the_same():
    line_a, a, line_b, _ = views(fork_pair())
    beside = shift_image(c_arm(40, -10), 0.0, 4000.0)  # no ray of either view comes near a vessel of the other
    for lifted in lift_both(line_a, a, line_b, camera_from_pose(beside), CONFIG):
        assert np.isfinite(lifted.points).all()
        assert not lifted.matched.any()


def test_lifting_is_deterministic():
    first, second = (lift_both(*views(fork_pair()), CONFIG) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.points, b.points)


def test_costs_equal_their_twins(rng):
    line_a, a, line_b, b = views(fork_pair())
    pixels = np.concatenate([line_a.points[::20], rng.uniform(0, 511, (20, 2))])
    rays, depth = a.rays(pixels), np.arange(690.0, 910.0, 3.1)
    start, step = b.projection @ np.append(a.source, 1.0), rays @ b.projection[:, :3].T
    cuts, cuts_b = ((rng.normal(size=n), rng.uniform(size=n)) for n in (len(pixels), len(line_b)))
    arguments = (
        start, step, rng.uniform(0.001, 0.003, len(pixels)), depth, *cuts, float(b.mm_per_pixel(1.0)), line_b.nearest,
        line_b.points, line_b.radius, *cuts_b, 2.5, 1.0, 1.5,
    )  # fmt: skip
    (cost, match), (cost_twin, match_twin) = matching_cost(*arguments), matching_cost_numpy(*arguments)
    np.testing.assert_allclose(cost, cost_twin, atol=1e-9)
    np.testing.assert_array_equal(match, match_twin)
    assert -1 < match.max() < len(line_b)
    rows = rng.integers(0, 30, len(line_b))
    asked = match, a.source, rays, depth, b.projection[2], rows, 720.0, 2.0, rng.uniform(0, 15, (30, 80))
    np.testing.assert_allclose(other_regret(*asked), other_regret_numpy(*asked), atol=1e-9)


def test_a_match_is_the_point_that_the_depth_projects_to():
    line_a, a, line_b, b = views(fork_pair())
    rays = cast_rays(line_a, a, line_b, b, CONFIG)
    ray, depth = np.nonzero(rays.match >= 0)
    pixels, deep = b.project(a.source + rays.depth[depth, None] * rays.directions[ray])
    apart = np.linalg.norm(pixels - line_b.points[rays.match[ray, depth]], axis=1) * b.mm_per_pixel(deep)
    assert (apart < CONFIG.unmatched_cost).all()
    assert (rays.cost[rays.match < 0] >= CONFIG.unmatched_cost).all()


@settings(max_examples=30)
@given(st.integers(1, 25), st.integers(1, 12), st.floats(0.05, 2.0), st.floats(0.0, 6.0), st.integers(0, 10_000))
def test_best_labels_equal_their_twin(nodes, labels, slope, largest, seed):
    cost, order, parent, free = forest(nodes, labels, seed, joined=1.0)
    found = best_labels(cost, order, parent, free, slope, largest)
    twin = best_labels_numpy(cost, order, parent, free, slope, largest)
    np.testing.assert_allclose(energy(found, cost, parent, free, slope, largest),
                               energy(twin, cost, parent, free, slope, largest))  # fmt: skip


def test_best_labels_are_optimal(rng):
    """Against all 4^5 labellings of a small tree."""
    parent, order = np.array([-1, 0, 0, 1, 1]), np.arange(5)
    cost, free = rng.uniform(0, 2, (5, 4)), np.array([0, 0, 1, 0, 0])
    found = energy(best_labels(cost, order, parent, free, 0.5, 0.9), cost, parent, free, 0.5, 0.9)
    every = np.stack(np.meshgrid(*[range(4)] * 5, indexing="ij"), -1).reshape(-1, 5)
    assert found == pytest.approx(min(energy(label, cost, parent, free, 0.5, 0.9) for label in every))


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 4), st.floats(0.05, 2.0), st.floats(0.0, 6.0), st.integers(0, 10_000))
def test_regret_is_the_least_of_all_labellings(nodes, labels, slope, largest, seed):
    cost, order, parent, free = forest(nodes, labels, seed)
    every = np.stack(np.meshgrid(*[range(labels)] * nodes, indexing="ij"), -1).reshape(-1, nodes)
    total = np.array([energy(label, cost, parent, free, slope, largest) for label in every])
    found = regret(cost, order, parent, free, slope, largest)
    for node in range(nodes):
        for label in range(labels):
            least = total[every[:, node] == label].min() - total.min()
            assert found[node, label] == pytest.approx(least, abs=1e-9)


def forest(nodes, labels, seed, joined=0.8):
    """Random forest with so much of the edges of a tree: its costs, order, parents and free steps."""
    rng = np.random.default_rng(seed)
    parents = np.array([rng.integers(0, k) for k in range(1, nodes)], np.int64)
    edges = np.stack([parents, np.arange(1, nodes)], 1).reshape(-1, 2)[rng.random(nodes - 1) < joined]
    return rng.uniform(0, 3, (nodes, labels)), *tree.rooted(nodes, edges), rng.integers(0, 3, nodes)


def energy(label, cost, parent, free, slope, largest):
    child = np.flatnonzero(parent >= 0)
    jump = np.abs(label[child] - label[parent[child]])
    jumps = np.minimum(slope * np.maximum(jump - free[child], 0), largest)
    return cost[np.arange(len(label)), label].sum() + jumps.sum()


@settings(max_examples=30)
@given(st.integers(1, 25), st.integers(1, 12), st.floats(0.05, 2.0), st.floats(0.0, 6.0), st.integers(0, 10_000))
def test_least_cost_is_that_of_the_best_labels(nodes, labels, slope, largest, seed):
    cost, order, parent, free = forest(nodes, labels, seed)
    label = best_labels_numpy(cost, order, parent, free, slope, largest)
    expected = energy(label, cost, parent, free, slope, largest)
    assert least_cost(cost, order, parent, free, slope, largest) == pytest.approx(expected)


def test_the_cost_of_a_pose_is_that_of_lifting():
    line_a, a, line_b, b = views(fork_pair())
    rays = cast_rays(line_a, a, line_b, b, CONFIG)
    slope = CONFIG.jump_weight * DEPTH_STEP
    label = best_labels(rays.cost, *rays.forest, rays.free, slope, CONFIG.largest_jump_cost)
    lifted = energy(label, rays.cost, rays.forest.parent, rays.free, slope, CONFIG.largest_jump_cost) / len(label)
    assert lifting_cost(strand(line_a), a, strand(line_b), b, CONFIG) == pytest.approx(lifted)
    coarse = lifting_cost(strand(line_a, 10.0), a, strand(line_b, 10.0), b, CONFIG, 1.0)
    assert coarse == pytest.approx(lifted, abs=0.2)  # mm
