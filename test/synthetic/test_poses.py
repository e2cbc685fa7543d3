"""Pairs of views: apart as asked for, standard, clinical and from anywhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autocar_ros.errors import ConfigError
from autocar_ros.geometry.carm import angle_between, camera_from_pose, mm_per_pixel
from autocar_ros.synthetic.pose_history import PoseHistory, ViewCluster, load_history
from autocar_ros.synthetic.poses import (
    FIELD,
    PRIMARY_REACH,
    SECONDARY_REACH,
    disturbed,
    draw_pair,
    draw_uniform_pair,
    mistaken,
    standard_pair,
)

DRAWS = pytest.mark.parametrize("draw", [draw_pair, draw_uniform_pair])
ALIKE = PoseHistory(
    (ViewCluster("a", 0, 0, 1, 1), ViewCluster("b", 5, 0, 1, 1)), np.array([[1100.0, 750.0, 180.0, 1.0]])
)


def apart(pair):
    return np.degrees(angle_between(*pair))


def correlation(draw):
    rng = np.random.default_rng(2)
    poses = [p for _ in range(800) for p in draw(rng, 512, (0, 180))]
    return np.corrcoef([(p.source_to_detector, p.source_to_isocenter) for p in poses], rowvar=False)[0, 1]


@DRAWS
@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), separation=st.sampled_from([(35.0, 100.0), (20.0, 160.0), (60.0, 90.0)]))
def test_the_views_are_apart_as_asked_for(draw, seed, separation):
    pair = draw(np.random.default_rng(seed), 512, separation)
    assert separation[0] <= apart(pair) <= separation[1]
    for pose in pair:
        pose.check()


@DRAWS
def test_the_usual_separation_is_35_to_100_degrees(draw):
    rng = np.random.default_rng(0)
    angles = [apart(draw(rng, 256)) for _ in range(200)]
    assert 35 <= min(angles) < max(angles) <= 100


@DRAWS
def test_a_pair_is_its_numbers(draw):
    first, again, other = (draw(np.random.default_rng(seed), 512) for seed in (3, 3, 4))
    assert first == again != other


@DRAWS
def test_most_of_a_tree_is_in_view(draw):
    rng = np.random.default_rng(1)
    tree = rng.normal(size=(400, 3)) * (25, 18, 22)  # mm; as far from the isocentre as those of CT
    poses = [p for _ in range(100) for p in draw(rng, 512)]
    inside = [c.contains(c.project(tree)[0]).mean() for c in map(camera_from_pose, poses)]
    assert np.mean(inside) > 0.95


def test_clinical_views_come_from_two_clusters():
    clusters = [(c.primary, c.secondary) for c in load_history().clusters]
    spread = [(c.primary_deviation, c.secondary_deviation) for c in load_history().clusters]
    rng = np.random.default_rng(0)
    for pose in (p for _ in range(100) for p in draw_pair(rng, 512)):
        angles = np.degrees((pose.primary_angle, pose.secondary_angle))
        assert (np.abs(angles - clusters) <= 2.5 * np.array(spread) + 1e-9).all(axis=1).any()


def test_uniform_views_fill_the_reach_of_the_arm():
    rng = np.random.default_rng(0)
    pairs = [draw_uniform_pair(rng, 512, (0.0, 180.0)) for _ in range(500)]
    angles = np.degrees([(p.primary_angle, p.secondary_angle) for pair in pairs for p in pair])
    for values, reach in zip(angles.T, (PRIMARY_REACH, SECONDARY_REACH), strict=True):
        counts, _ = np.histogram(values, 5, (-reach, reach))
        assert counts.sum() == 1000
        assert counts.min() > 150


def test_only_clinical_distances_depend_on_each_other():
    assert correlation(draw_pair) > 0.25
    assert abs(correlation(draw_uniform_pair)) < 0.1


@pytest.mark.parametrize("history", [ALIKE])
def test_a_history_without_such_views_is_refused(history):
    assert apart(draw_pair(np.random.default_rng(0), 64, (1.0, 10.0), history)) < 10
    with pytest.raises(ConfigError, match="35 to 100 degrees apart"):
        draw_pair(np.random.default_rng(0), 64, history=history)


@pytest.mark.parametrize("tree", ["left", "right"])
def test_standard_pair(tree):
    pair = standard_pair(tree, 512)
    assert 35 < apart(pair) < 100
    assert [mm_per_pixel(p) * 512 for p in pair] == pytest.approx([FIELD, FIELD])


def test_disturbed_by_as_much_as_asked_for():
    rng = np.random.default_rng(0)
    pose = standard_pair("left", 512)[0]
    assert disturbed(rng, pose, 0.0, 0.0) == pose
    found = [disturbed(rng, pose, 2.0, 3.0) for _ in range(1000)]
    assert np.degrees(np.std([p.primary_angle for p in found])) == pytest.approx(2.0, rel=0.1)
    assert np.std([p.isocenter_offset for p in found]) == pytest.approx(3.0, rel=0.1)


def test_mistaken_by_exactly_as_much_as_asked_for():
    rng = np.random.default_rng(0)
    pose = standard_pair("left", 512)[1]
    assert mistaken(rng, pose, 0.0, 0.0) == replace(pose, isocenter_offset=(0.0, 0.0, 0.0))
    found = [mistaken(rng, pose, 3.0, 20.0) for _ in range(20)]
    np.testing.assert_allclose([apart((p, pose)) for p in found], 3.0, rtol=0.03)
    np.testing.assert_allclose([np.linalg.norm(p.isocenter_offset) for p in found], 20.0)
    assert len({p.primary_angle for p in found}) == 20
