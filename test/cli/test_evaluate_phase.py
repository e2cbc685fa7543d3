"""`autocar evaluate phase`."""

import json

from autocar_ros.cli import evaluate_phase


def test_writes_scores_and_picture(autocar, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate_phase, "SIZE", 128)
    monkeypatch.setattr(evaluate_phase, "SECONDS", 5.0)
    result = autocar("evaluate", "phase", "--sequences", 1, "--seed", 100, "--out", tmp_path / "new")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "new" / "metrics.json").read_text())
    assert set(found["methods"]) == {"masks", "frames"}
    assert found["methods"]["masks"]["end_diastolic_frames"] > 0
    assert found["sequences"]["masks"][0]["rate"] == 85.0  # the middle of the range
    assert (tmp_path / "new" / "phase.png").stat().st_size > 0
    assert "found offline" in result.stdout
