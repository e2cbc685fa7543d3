"""Radius, sigma, visibility, residual and coverage of graphs whose answer is known."""

import numpy as np
import pytest
from sbp.tubes import c_arm, curve, fork, fork_pair, pair_of

from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.types import SeenBy, VesselGraph
from autocar_ros.vessels.measure import node_radius, ray_sigma
from autocar_ros.vessels.radius import view_radius
from autocar_ros.vessels.reprojection import coverage, residual, sample_edges, seen_by
from autocar_ros.vessels.skeleton import distance_outside, extract_centreline


def chain(points):
    index = np.arange(len(points) - 1)
    return VesselGraph(points, np.ones(len(points)), np.stack([index, index + 1], 1), np.zeros(len(points), np.int64))


@pytest.fixture(scope="module")
def scene():
    pair = fork_pair()
    cameras = camera_from_pose(pair.pose_a), camera_from_pose(pair.pose_b)
    lines = extract_centreline(pair.mask_a), extract_centreline(pair.mask_b)
    return cameras, lines, (distance_outside(pair.mask_a), distance_outside(pair.mask_b))


def test_radius_of_the_fork(scene):
    pair = fork_pair()
    points, radius = fork()
    graph = chain(points)
    found = node_radius(points, graph.edges, graph.branch, scene[0], (pair.mask_a, pair.mask_b))
    error = np.abs(found / radius - 1)
    assert np.median(error) < 0.05
    assert np.quantile(error, 0.9) < 0.3  # the chain jumps from branch to branch


@pytest.mark.parametrize("true", [0.8, 1.5, 2.5])
def test_radius_scales(true):
    tube = curve((-25, 0, -10), (25, 0, 10))
    pair = pair_of(tube, np.full(len(tube), true), c_arm(0, 0), c_arm(40, 20))
    line, camera = extract_centreline(pair.mask_a), camera_from_pose(pair.pose_a)
    assert np.nanmedian(view_radius(tube, line, camera)) == pytest.approx(true, rel=0.12)


def test_sigma_grows_as_the_views_come_closer():
    origin = np.zeros((1, 3))
    sigma = [ray_sigma(origin, (camera_from_pose(c_arm(0)), camera_from_pose(c_arm(k))))[0] for k in (90, 45, 20)]
    pixel = 0.7 * 0.3 * 800 / 1200
    assert sigma[0] == pytest.approx(pixel * np.sqrt(2.5 / 3))
    assert sigma[0] < sigma[1] < sigma[2]


def test_true_graph_has_no_residual_and_full_coverage(scene):
    cameras, lines, _ = scene
    graph = chain(curve((-5, -10, 40), (0, -5, 20), (3, 0, 5), (22, 8, -10), (30, 12, -32)))
    both = chain(curve((3, 0, 5), (-14, 10, -8), (-20, 18, -30)))
    for line, camera in zip(lines, cameras, strict=True):
        assert residual(graph, line, camera) < 0.7
        share = coverage(graph, line, camera), coverage(both, line, camera)
        assert max(share) < 0.9
        assert sum(share) > 1.0


def test_coverage_of_a_half_is_a_half():
    tube = curve((-30, 0, 0), (30, 0, 0))
    pair = pair_of(tube, np.full(len(tube), 1.5), c_arm(0, 0), c_arm(40, 0))
    line, camera = extract_centreline(pair.mask_a), camera_from_pose(pair.pose_a)
    half = chain(tube[: len(tube) // 2])
    assert coverage(half, line, camera) == pytest.approx(0.55, abs=0.03)  # half, and 3 mm further
    assert coverage(half, line, camera, within=0.5) == pytest.approx(0.5, abs=0.03)


def test_residual_is_the_distance_in_pixels():
    tube = curve((-30, 0, 0), (30, 0, 0))
    pair = pair_of(tube, np.full(len(tube), 1.5), c_arm(0, 0), c_arm(40, 0))
    line, camera = extract_centreline(pair.mask_a), camera_from_pose(pair.pose_a)
    assert residual(chain(tube + np.array([0, 0, 2.0])), line, camera) == pytest.approx(2 / 0.2, abs=0.6)
    assert np.isnan(residual(chain(tube + np.array([500.0, 0, 0])), line, camera))


def test_empty_graph_covers_nothing(scene):
    cameras, lines, _ = scene
    none = VesselGraph(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 2), np.int64), np.zeros(0, np.int64))
    assert coverage(none, lines[0], cameras[0]) == 0


def test_seen_by(scene):
    cameras, _, outside = scene
    points, _ = fork()
    assert (seen_by(points, cameras, outside) == SeenBy.BOTH).mean() > 0.99
    assert (seen_by(np.array([[500.0, 0, 0], [-60.0, -60, -60]]), cameras, outside) == SeenBy.NEITHER).all()
    only_a = outside[0], np.full_like(outside[1], 50.0)
    assert (seen_by(points, cameras, only_a) == SeenBy.A).mean() > 0.99


def test_sample_edges_has_both_ends_and_no_gap():
    points = sample_edges(np.array([[0.0, 0, 0], [10.0, 0, 0]]), np.array([[0, 1]]), 3.0)
    np.testing.assert_allclose(points[:, 0], [0, 2.5, 5, 7.5, 10])
