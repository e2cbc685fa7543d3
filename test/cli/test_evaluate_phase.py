"""`autocar evaluate phase`."""

import json

from autocar_ros.cli import evaluate_phase


def test_writes_scores_and_picture(autocar, tmp_path, monkeypatch):
    _small(monkeypatch)
    result = autocar("evaluate", "phase", "--sequences", 1, "--seed", 100, "--out", tmp_path / "new")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "new" / "metrics.json").read_text())
    assert set(found["methods"]) == {"masks", "frames", "network"}
    assert found["methods"]["masks"]["end_diastolic_frames"] > 0
    assert found["sequences"]["masks"][0]["rate"] == 85.0  # the middle of the range
    live = found["sequences"]["masks"][0]["pairs_online"]
    assert live["frames"] == 75  # of plane B
    assert 0 < found["methods"]["masks"]["pairs_of_frames_online"] == live["pairs"] / 75 < 1
    assert found["methods"]["frames"]["pairs_of_frames_online"] is None  # only masks are paired live
    assert found["robustness"] == {}
    assert (tmp_path / "new" / "phase.png").stat().st_size > 0
    assert "found offline" in result.stdout


def test_curves_over_what_makes_frames_hard(autocar, tmp_path, monkeypatch):
    _small(monkeypatch)
    contrast = evaluate_phase.FACTORS["contrast"]._replace(levels=(0.02, 1.0))
    monkeypatch.setattr(evaluate_phase, "FACTORS", {"contrast": contrast})
    result = autocar("evaluate", "phase", "--sequences", 1, "--seed", 100, "--robustness", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "metrics.json").read_text())
    curve = found["robustness"]["contrast"]
    assert curve["levels"] == [0.02, 1.0]
    hidden, plain = curve["scores"]
    assert hidden["found_offline"] < plain["found_offline"]
    assert plain == found["methods"]["network"]  # all of the contrast agent: nothing is changed
    assert (tmp_path / "robustness.png").stat().st_size > 0
    assert "share of the contrast agent" in result.stdout


def _small(monkeypatch):
    monkeypatch.setattr(evaluate_phase, "SIZE", 128)
    monkeypatch.setattr(evaluate_phase, "SEGMENTED", 192)
    monkeypatch.setattr(evaluate_phase, "SECONDS", 5.0)
