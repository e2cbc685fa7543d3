"""Graph initialisation: a tree, rooted where it tapers from, cut into branches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sbp.tubes import curve, fork
from scipy.spatial import KDTree

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import ReconstructionError
from autocar_ros.types import SparseVolume
from autocar_ros.vessels.graph import Cloud, build_skeleton, smooth_curve

CONFIG = ReconstructionConfig()
NO_VOLUME = SparseVolume(np.zeros((0, 3), np.int64), np.zeros(3), 2.0, np.zeros(0), np.zeros(0))


def cloud(points, radius, rng=None, noise=0.0):
    if noise:
        points = points + rng.normal(0, noise, points.shape)
    return Cloud(points, radius, np.ones(len(points)), np.zeros(len(points)))


def test_fork_has_three_ends_and_starts_at_the_ostium(rng):
    points, radius = fork()
    found = build_skeleton(cloud(points, radius, rng, 0.15), NO_VOLUME, CONFIG)
    assert len(found.edges) == len(found.points) - 1
    degree = np.bincount(found.edges.ravel())
    assert (degree == 1).sum() == 3
    assert (degree == 3).sum() == 1
    np.testing.assert_allclose(found.points[0], points[0], atol=0.8)
    assert set(found.branch) == {0, 1}
    assert KDTree(found.points).query(points)[0].max() < 1.2
    assert KDTree(points).query(found.points)[0].max() < 0.8


def test_nodes_are_one_spacing_apart():
    points, radius = fork()
    for spacing in (0.5, 1.0, 2.0):
        found = build_skeleton(cloud(points, radius), NO_VOLUME, ReconstructionConfig(node_spacing=spacing))
        step = np.linalg.norm(np.diff(found.points[found.edges], axis=1)[:, 0], axis=1)
        assert np.median(step) == pytest.approx(spacing, rel=0.1)
        assert step.max() < 1.5 * spacing


def test_edges_lead_away_from_the_root_and_branches_are_in_order(rng):
    points, radius = fork()
    found = build_skeleton(cloud(points, radius, rng, 0.1), NO_VOLUME, CONFIG)
    parent = np.full(len(found.points), -1)
    parent[found.edges[:, 1]] = found.edges[:, 0]
    assert (parent == -1).sum() == 1
    assert parent[0] == -1
    assert (parent[1:] < np.arange(1, len(parent))).all()  # parents come first
    assert (np.diff(found.branch) >= 0).all()
    lengths = [np.sum(found.branch == k) for k in np.unique(found.branch)]
    assert lengths[0] == max(lengths)  # the first branch takes the longest way at a bifurcation


def test_wide_tip_does_not_mislead_the_root():
    points, radius = fork()
    blob = np.linalg.norm(points - points[-1], axis=1) < 8
    found = build_skeleton(cloud(points, np.where(blob, 3.0, radius)), NO_VOLUME, CONFIG)
    np.testing.assert_allclose(found.points[0], points[0], atol=0.8)


def test_a_vessel_lying_over_another_does_not_mislead_the_root():
    trunk, early = curve((0, 0, 0), (0, 0, 20)), curve((0, 0, 20), (30, 0, 40))[1:]
    late = curve((0, 0, 20), (-20, 0, 100))[1:]
    radius = np.repeat([2.2, 0.6, 1.3], [len(trunk), len(early), len(late)])
    points = np.concatenate([trunk, early, late])
    radius[(points[:, 2] > 60) & (points[:, 2] < 80)] = 1.8  # so it seems to taper towards the ostium
    found = build_skeleton(cloud(points, radius), NO_VOLUME, CONFIG)
    np.testing.assert_allclose(found.points[0], points[0], atol=0.8)


def test_constant_radius_gives_some_end():
    points, _ = fork()
    found = build_skeleton(cloud(points, np.ones(len(points))), NO_VOLUME, CONFIG)
    assert np.bincount(found.edges.ravel())[0] == 1


def test_spurs_are_cut():
    points, radius = fork()
    spur = curve((0, -5, 20), (2.5, -8, 20))
    found = build_skeleton(cloud(np.vstack([points, spur]), np.append(radius, np.ones(len(spur)))), NO_VOLUME, CONFIG)
    assert (np.bincount(found.edges.ravel()) == 1).sum() == 3


def test_small_separate_part_is_dropped_and_a_large_one_kept():
    points, radius = fork()
    for length, parts in ((5.0, 1), (40.0, 2)):
        other = curve((40, 40, 0), (40, 40, length))
        both = cloud(np.vstack([points, other]), np.append(radius, np.ones(len(other))))
        found = build_skeleton(both, NO_VOLUME, CONFIG)
        assert len(found.points) - len(found.edges) == parts
        np.testing.assert_allclose(found.points[0], points[0], atol=0.5)  # the larger part comes first


@pytest.mark.parametrize("count", [0, 1, 5])
def test_too_little_is_no_vessel(count):
    points = np.stack([np.arange(count) * 0.5] * 3, 1).reshape(-1, 3)
    with pytest.raises(ReconstructionError, match="no vessel in common"):
        build_skeleton(cloud(points, np.ones(count)), NO_VOLUME, CONFIG)


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_any_cloud_gives_a_rooted_forest(seed):
    rng = np.random.default_rng(seed)
    walks = [np.cumsum(rng.normal(0, 0.6, (80, 3)), axis=0) + rng.normal(0, 5, 3) for _ in range(4)]
    points = np.concatenate(walks)
    found = build_skeleton(cloud(points, rng.uniform(0.5, 2, len(points))), NO_VOLUME, CONFIG)
    assert np.isfinite(found.points).all()
    assert len(np.unique(found.edges[:, 1])) == len(found.edges)  # one parent each
    assert (found.edges[:, 0] < found.edges[:, 1]).all()  # hence no cycle


def test_smooth_curve_keeps_a_straight_line_and_scales():
    line = curve((0, 0, 0), (10, 0, 0))
    values = smooth_curve(line, np.linspace(1, 2, len(line)), 1.0)
    np.testing.assert_allclose(values[:, 0], np.arange(11), atol=1e-6)
    np.testing.assert_allclose(values[:, 3], np.linspace(1, 2, 11), atol=1e-6)
    assert len(smooth_curve(2 * line, np.ones(len(line)), 1.0)) == 21
