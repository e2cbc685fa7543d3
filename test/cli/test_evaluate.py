"""`autocar evaluate` on one simulated tree and on the phantom."""

from __future__ import annotations

import json

import numpy as np
import pytest

from autocar_ros.cli import evaluate
from autocar_ros.cli.cases import static_case
from autocar_ros.cli.evaluate import _median_case, _names
from autocar_ros.cli.scoring import score_cases
from autocar_ros.config import CaseConfig
from autocar_ros.geometry.carm import camera_from_pose


def test_a_case_is_its_seed():
    (pair, truth), (again, same) = static_case(7), static_case(7)
    assert np.array_equal(pair.mask_a, again.mask_a)
    assert np.array_equal(truth.position, same.position)
    assert not np.array_equal(pair.mask_a, static_case(8)[0].mask_a)


def test_masks_show_the_truth():
    pair, truth = static_case(7)
    for mask, pose in ((pair.mask_a, pair.pose_a), (pair.mask_b, pair.pose_b)):
        column, row = np.rint(camera_from_pose(pose).project(truth.position)[0]).astype(int).T
        assert np.mean(mask[row, column] > 0) > 0.95


def test_misalignment_moves_the_masks_off_the_truth():
    pair, truth = static_case(7, CaseConfig(misalignment=4.0))
    aligned, _ = static_case(7)
    assert (pair.pose_a, pair.pose_b) == (aligned.pose_a, aligned.pose_b)
    column, row = np.rint(camera_from_pose(pair.pose_b).project(truth.position)[0]).astype(int).T
    assert np.mean(pair.mask_b[row, column] > 0) < 0.9


def test_calibre_widens_the_vessels_and_no_more():
    (pair, truth), (wider, scaled) = static_case(7), static_case(7, CaseConfig(calibre=2.0))
    np.testing.assert_allclose(scaled.radius, 2 * truth.radius)
    np.testing.assert_array_equal(scaled.position, truth.position)
    assert np.all(wider.mask_a >= pair.mask_a)


def test_static(autocar, tmp_path):
    result = autocar("evaluate", "static", "--cases", 1, "--seed", 40, "--methods", "lifting", "--out", tmp_path)
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["methods"]["lifting"]["dice"]["n"] == 1
    assert found["methods"]["lifting"]["dice"]["mean"] > 0.2
    assert found["seed"] == 40
    assert len(found["cases"]["lifting"]) == 1
    assert "recall_2mm" in result.stdout
    assert "lifting" in (tmp_path / "report.html").read_text()
    assert {"scores.png", "volumes.png"} <= {p.name for p in tmp_path.iterdir()}


def test_methods_without_weights_are_left_out(tmp_path, capsys):
    assert _names("", tmp_path) == ["lifting", "visual_hull"]
    assert "having no weights: sbp, sbp_uniform" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("methods", "reason"),
    [("sbp", "autocar train sbp --minutes"), ("magic", "there is no method magic")],
)
def test_methods_that_cannot_be_used(autocar, tmp_path, methods, reason):
    result = autocar("evaluate", "static", "--methods", methods, "--models", tmp_path, "--out", tmp_path)
    assert result.exit_code == 1
    assert reason in result.stderr


def test_median_case_is_drawn():
    assert _median_case([{"dice": d} for d in (0.9, 0.1, 0.5)]) == 2
    assert _median_case([{"dice": d} for d in (0.9, 0.1)]) == 1


@pytest.mark.slow
def test_several_processes_give_the_same_scores():
    one, two = (list(score_cases((40, 41), CaseConfig(misalignment=1.0), ("lifting",), None, jobs)) for jobs in (1, 2))
    for a, b in zip(one, two, strict=True):
        del a["lifting"]["seconds"], b["lifting"]["seconds"]
    assert one == two


def test_phantom(autocar, data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "TOGETHER_EACH", 5)
    command = ("evaluate", "phantom", "--data", data_dir / "phantom", "--out", tmp_path, "--methods", "sbp,lifting")
    result = autocar(*command)
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "metrics.json").read_text())["methods"]
    for name in ("sbp", "lifting"):
        assert found[name]["recall_3mm"]["mean"] > 0.4
        assert found[name]["precision_3mm"]["mean"] > 0.4
        assert found[name]["recall_3mm"]["n"] >= 10
        assert found[f"{name}_together"]["recall_3mm"]["mean"] > found[name]["recall_3mm"]["mean"]
    assert (tmp_path / "graph_and_reference.png").exists()


def test_phantom_that_is_not_there(autocar, tmp_path):
    result = autocar("evaluate", "phantom", "--data", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "centreline_lps_mm.csv" in result.stderr


def test_stenosis(autocar, tmp_path):
    result = autocar("evaluate", "stenosis", "--cases", 1, "--seed", 3001, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert set(metrics["methods"]) == {"true centreline", "sbp", "lifting"}
    best = metrics["methods"]["true centreline"]
    assert best["trees"] == 1
    assert best["radius_error_mm"] < 0.04
    assert best["sensitivity_50_80"]["share"] in (None, 1.0)
    assert (tmp_path / "report.html").exists()
    assert (tmp_path / "stenoses.png").exists()
