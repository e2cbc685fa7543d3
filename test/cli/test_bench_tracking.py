"""The bench of the tracking: its trees, its times, its tables."""

from __future__ import annotations

import json

import numpy as np
import pytest

from autocar_ros.cli import bench_tracking
from autocar_ros.cli.bench_tracking import make_course, resampled
from autocar_ros.config import SimulationConfig
from autocar_ros.evaluation.graph_metrics import bifurcations, count_components, sample_centreline
from autocar_ros.synthetic.scene import Scene


@pytest.fixture(scope="module")
def scene():
    return Scene(SimulationConfig(seed=1, contrast="full"))


@pytest.mark.parametrize("spacing", [0.5, 3.0])
def test_a_tree_cut_anew_is_the_same_tree(scene, spacing):
    truth = scene.truth(0.0)
    graph = resampled(truth, spacing)
    assert len(graph.edges) == len(graph) - 1
    assert (graph.edges[:, 0] != graph.edges[:, 1]).all()
    assert (np.bincount(graph.edges[:, 1]) <= 1).all()  # nobody has two parents
    assert count_components(graph) == 1
    assert len(bifurcations(graph)) == len(bifurcations(truth))
    assert sample_centreline(graph).length.sum() == pytest.approx(sample_centreline(truth).length.sum(), rel=0.04)


def test_a_course_moves_with_the_heart(scene):
    course = make_course(scene, 300)
    assert len(course.graph) == pytest.approx(300, rel=0.1)
    assert course.graph.position == pytest.approx(course.at(0.0))
    truth = scene.truth(0.3)
    whole = make_course(scene, 5000)
    near = np.linalg.norm(truth.position[:, None] - whole.at(0.3), axis=2).min(1)
    assert near.max() < 0.2


def test_bench_tracking(autocar, tmp_path, monkeypatch):
    small = {"NODES": 60, "SIZES": (60, 120, 240), "FRAMES": 3, "SIZE_FRAMES": 2, "YARDSTICK_FRAMES": 1}
    for name, value in small.items():
        monkeypatch.setattr(bench_tracking, name, value)
    result = autocar("bench", "tracking", "--out", tmp_path / "bench.json")
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["step_ms"]["n"] == 3
    assert len(found["sizes"]) == 3
    assert [r["scheme"] for r in found["rivals"]] == list(bench_tracking.SCHEMES)
    assert all(0 < r["line_error_mm"] <= r["error_mean_mm"] < 3.0 for r in found["rivals"])
    assert found["times_faster"] == pytest.approx(found["rivals"][1]["median_ms"] / found["rivals"][0]["median_ms"])
    assert sum(found["parts"].values()) <= 1.0
    assert "times faster" in result.stdout
