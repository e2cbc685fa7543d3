"""A pose history fitted to runs finds the clusters that they were drawn from."""

from __future__ import annotations

import numpy as np
import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.synthetic.pose_fit import fit_history, view_angles
from autocar_ros.synthetic.pose_history import PoseHistory, ViewCluster
from autocar_ros.types import CArmPose

CLUSTERS = tuple(ViewCluster(f"{p} {s}", p, s, 3.0, 2.0, correlation=0.5) for p in (-40, 0, 40) for s in (-25, 0, 25))
ROWS = np.array([[1000.0, 720.0, 200.0, 1.0], [1190.0, 810.0, 156.0, 1.0]])


def draw_runs(n=20):
    rng, history = np.random.default_rng(0), PoseHistory(CLUSTERS, ROWS)
    return [history.draw_pose(rng, c, 512) for c in CLUSTERS for _ in range(n)]


def run(primary, secondary, sid=1100.0):
    return CArmPose(np.radians(primary), np.radians(secondary), sid, 750.0, (0.3, 0.3), 512, 512)


def test_known_clusters_are_found():
    history, label = fit_history(draw_runs(), 9, 0)
    found = np.array([(c.primary, c.secondary) for c in history.clusters])
    of_truth = label.reshape(9, 20)
    assert sorted(of_truth[:, 0]) == list(range(9))
    assert (of_truth == of_truth[:, :1]).all()
    np.testing.assert_allclose(found[of_truth[:, 0]], [(c.primary, c.secondary) for c in CLUSTERS], atol=2.5)
    assert [c.weight for c in history.clusters] == [20.0] * 9
    assert np.mean([c.primary_deviation for c in history.clusters]) == pytest.approx(3.0, rel=0.15)
    assert np.mean([c.secondary_deviation for c in history.clusters]) == pytest.approx(2.0, rel=0.15)
    assert np.mean([c.correlation for c in history.clusters]) == pytest.approx(0.5, abs=0.15)


def test_distances_are_kept_together():
    runs = draw_runs()
    history, _ = fit_history(runs, 9, 0)
    assert len(history.geometry) == len(runs)
    np.testing.assert_allclose(np.unique(history.geometry, axis=0), ROWS)
    assert history.jitter == (0.0, 0.0)


def test_the_order_of_the_runs_leaves_no_trace():
    runs = draw_runs(5)
    assert fit_history(runs, 9, 0)[0].clusters == fit_history(runs[::-1], 9, 0)[0].clusters
    np.testing.assert_array_equal(fit_history(runs, 9, 0)[0].geometry, fit_history(runs[::-1], 9, 0)[0].geometry)


def test_clusters_of_one_view_have_no_spread():
    history, _ = fit_history([run(-30, 20), run(45, 0), run(45, 0)], 2, 0)
    assert [c.name for c in history.clusters] == ["RAO 30 cranial 20", "LAO 45"]
    assert {c.primary_deviation for c in history.clusters} == {0.0}
    assert [c.weight for c in history.clusters] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("views", "clusters"), [([], 2), ([(0, 0), (30, 0)], 3), ([(0, 0)] * 5, 2), ([(0, 0), (30, 0)], 1)]
)
def test_too_few_runs_are_refused(views, clusters):
    with pytest.raises(InvalidInputError, match="fewer clusters"):
        fit_history([run(*v) for v in views], clusters, 0)


def test_angles_are_in_degrees():
    np.testing.assert_allclose(view_angles([run(10, -20)]), [[10, -20]])
    assert view_angles([]).shape == (0, 2)
