"""`autocar evaluate alignment` on the real phantom."""

import json

from autocar_ros.cli import evaluate_alignment


def test_shifts_are_found_and_graphs_as_good_as_when_told(autocar, data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate_alignment, "TRIALS", {"told": None, "reported": None, "shift": "shift"})
    monkeypatch.setattr(evaluate_alignment, "_groups", lambda shown: [tuple(shown[:3])])
    options = ("--data", data_dir / "phantom", "--out", tmp_path / "new")
    options += ("--method", "lifting", "--moments", 1)
    result = autocar("evaluate", "alignment", *options)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "new" / "metrics.json").read_text())
    rows = found["pairs"]
    assert [row["views"] for row in found["many"]] == ["IM3 IM4 IM7"]
    assert found["many"][0]["aligned"]["recall_3mm"] > 0.4
    assert {row["views"] for row in rows} == {"IM3 IM4", "IM3 IM7", "IM3 IM8", "IM4 IM7", "IM4 IM8", "IM7 IM8"}
    assert max(abs(row["error_px"]) for row in rows) < 3
    moved = [row for row in rows if abs(row["true_shift_px"]) > 10]
    recall = {t: [row[t]["recall_3mm"] for row in moved] for t in ("told", "reported", "shift")}
    assert all(b - 0.1 < a for a, b in zip(recall["shift"], recall["told"], strict=True))
    assert all(a > b + 0.1 for a, b in zip(recall["shift"], recall["reported"], strict=True))
    assert "confidence" in result.stdout


def test_what_is_missing_is_named(autocar, tmp_path):
    result = autocar("evaluate", "alignment", "--data", tmp_path, "--out", tmp_path / "new")
    assert result.exit_code == 1
    assert "centreline_lps_mm.csv" in result.stderr
