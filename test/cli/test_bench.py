"""Measuring: what is counted, and that the process gets its cores back."""

from __future__ import annotations

import json
import os
import time

import pytest

from autocar_ros.cli.bench import Work, measure, one_core


def test_warm_up_is_not_counted():
    seen = []
    result = measure("x", Work("thing", seen.append), seconds=0.0, least=7)
    assert seen == list(range(8))
    assert result.calls == 7


def test_times_are_those_of_a_call():
    result = measure("x", Work("thing", lambda _: time.sleep(0.01)), seconds=0.05)
    assert result.median_ms >= 10
    assert result.p95_ms >= result.median_ms
    assert result.per_second == pytest.approx(1e3 / result.median_ms)
    assert result.processor_ms < 5  # asleep


def test_one_core_and_back():
    before = os.sched_getaffinity(0)
    with one_core():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_stage_table_and_json(autocar, tmp_path):
    out = tmp_path / "bench.json"
    result = autocar("bench", "simulator", "--seconds", 0.1, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "simulator" in result.stdout
    found = json.loads(out.read_text())
    assert found["stages"][0]["stage"] == "simulator"
    assert found["stages"][0]["median_ms"] > 0
    assert found["machine"]["cores"] >= 1


def test_unknown_stage(autocar):
    assert autocar("bench", "nothing").exit_code == 2


def test_every_segmentation_with_weights(autocar, tmp_path):
    out = tmp_path / "bench.json"
    result = autocar("bench", "segmentation", "--seconds", 0.1, "--out", out)
    assert result.exit_code == 0, result.stderr
    sizes = [stage["size"] for stage in json.loads(out.read_text())["stages"]]
    assert sizes[-1] == "image of 512 x 512, vesselness"


def test_alignment_is_solved_and_watched(autocar, tmp_path):
    out = tmp_path / "bench.json"
    result = autocar("bench", "alignment", "--seconds", 0.1, "--out", out)
    assert result.exit_code == 0, result.stderr
    spent = {stage["size"]: stage["processor_ms"] for stage in json.loads(out.read_text())["stages"]}
    for how in ("shift", "full"):
        assert 0 < spent[f"pair watched, {how}"] < spent[f"first pair, {how}"] < spent[f"first 4 key frames, {how}"]
    assert spent["first pair, shift"] < spent["first pair, full"]
