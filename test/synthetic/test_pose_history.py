"""The pose history: its file, what is drawn from it, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autocar_ros.errors import ConfigError
from autocar_ros.synthetic.pose_history import PACKAGED, PoseHistory, ViewCluster, load_history

HISTORY = load_history()
LEFT, RIGHT = ViewCluster("left", 40, 0, 0, 0), ViewCluster("right", -40, 0, 0, 0)
ROW = [1100.0, 750.0, 180.0, 1.0]


def history(*clusters, rows=(ROW,), **others):
    return PoseHistory(clusters or (LEFT, RIGHT), np.array(rows), **others)


def draw(of, seed, n, size=512):
    rng = np.random.default_rng(seed)
    return [of.draw_pose(rng, of.draw_clusters(rng)[0], size) for _ in range(n)]


def test_the_packaged_history_has_nine_clusters_with_sources():
    assert len(HISTORY.clusters) == len({c.name for c in HISTORY.clusters}) == 9
    assert all(c.source for c in HISTORY.clusters)


def test_round_trip(tmp_path):
    HISTORY.save(tmp_path / "h.json")
    again = load_history(str(tmp_path / "h.json"))
    assert again.clusters == HISTORY.clusters
    assert (again.jitter, again.about) == (HISTORY.jitter, HISTORY.about)
    np.testing.assert_array_equal(again.geometry, HISTORY.geometry)


@given(st.integers(0, 2**32))
def test_two_clusters_are_never_the_same(seed):
    first, second = HISTORY.draw_clusters(np.random.default_rng(seed))
    assert first != second


def test_clusters_are_drawn_by_weight():
    rng = np.random.default_rng(0)
    middle = ViewCluster("middle", 0, 0, 0, 0, weight=2.0)
    first = [history(LEFT, RIGHT, middle).draw_clusters(rng)[0].name for _ in range(4000)]
    assert first.count("middle") / 4000 == pytest.approx(0.5, abs=0.03)
    assert first.count("left") / 4000 == pytest.approx(0.25, abs=0.03)


def test_distances_are_those_of_the_clinic_and_depend_on_each_other():
    poses = draw(HISTORY, 0, 3000)
    sid = np.array([p.source_to_detector for p in poses])
    sod = np.array([p.source_to_isocenter for p in poses])
    assert (sid > sod + 100).all()
    assert (sid.mean(), sid.std()) == pytest.approx((1116, 64), abs=8)
    assert (sod.mean(), sod.std()) == pytest.approx((771, 55), abs=8)
    assert np.corrcoef(sid, sod)[0, 1] > 0.25


def test_moments_are_those_of_what_is_drawn():
    poses = draw(HISTORY, 1, 4000)
    drawn = np.array([(p.source_to_detector, p.source_to_isocenter, p.pixel_spacing[0] * p.columns) for p in poses])
    mean, deviation = HISTORY.moments()
    np.testing.assert_allclose(drawn.mean(0), mean, rtol=0.02)
    np.testing.assert_allclose(drawn.std(0), deviation, rtol=0.07)


def test_rows_stay_together():
    rows = ([1000, 700, 150, 1], [1200, 800, 250, 1])
    found = {(p.source_to_detector, p.source_to_isocenter, p.pixel_spacing[0] * 256)
             for p in draw(history(rows=rows), 0, 60, 256)}  # fmt: skip
    assert found == {(1000, 700, 150), (1200, 800, 250)}


def test_angles_have_the_spread_of_their_cluster():
    cluster = ViewCluster("x", 20, -10, 6, 3, correlation=0.8)
    rng = np.random.default_rng(0)
    of = history()
    angles = np.degrees(
        [(p.primary_angle, p.secondary_angle) for p in (of.draw_pose(rng, cluster, 64) for _ in range(4000))]
    )
    np.testing.assert_allclose(angles.mean(0), (20, -10), atol=0.4)
    np.testing.assert_allclose(angles.std(0), (6, 3), rtol=0.06)
    assert np.corrcoef(angles.T)[0, 1] == pytest.approx(0.8, abs=0.03)


@settings(max_examples=50)
@given(st.integers(0, 2**32), st.sampled_from([64, 256, 1024]))
def test_the_field_does_not_depend_on_the_number_of_pixels(seed, size):
    small, large = (draw(HISTORY, seed, 1, n)[0] for n in (size, 2 * size))
    assert small.check().pixel_spacing[0] == pytest.approx(2 * large.pixel_spacing[0])
    assert (small.rows, small.columns) == (size, size)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"secondary": 91.0}, "within"),
        ({"primary_deviation": -1.0}, "not negative"),
        ({"primary": float("nan")}, "finite"),
        ({"correlation": 1.1}, "correlation"),
        ({"weight": 0.0}, "weight"),
    ],
)
def test_impossible_clusters_are_refused(change, reason):
    with pytest.raises(ConfigError, match=reason):
        dataclasses.replace(LEFT, **change)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"clusters": (LEFT,)}, "at least two"),
        ({"geometry": np.ones((2, 3))}, "rows of"),
        ({"geometry": np.zeros((0, 4))}, "rows of"),
        ({"geometry": np.array([[1100, 750, -1, 1.0]])}, "positive"),
        ({"geometry": np.array([[700, 750, 180, 1.0]])}, "beyond its SOD"),
        ({"jitter": (100.0, 100.0)}, "beyond its SOD"),
    ],
)
def test_impossible_histories_are_refused(change, reason):
    with pytest.raises(ConfigError, match=reason):
        dataclasses.replace(history(), **change)


@pytest.mark.parametrize(
    "change", [{"format": "other"}, {"jitter": 3}, {"clusters": [{"name": "x"}]}, {"geometry": [["far"]]}]
)
def test_files_that_are_no_history_are_refused(tmp_path, change):
    path = tmp_path / "h.json"
    path.write_text(json.dumps(json.loads(PACKAGED.read_text()) | change))
    with pytest.raises(ConfigError, match="autocar poses fit"):
        load_history(str(path))


@pytest.mark.parametrize("content", [None, "", "[1]", "{}"])
def test_missing_and_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "h.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"h\.json is no pose history"):
        load_history(str(path))
