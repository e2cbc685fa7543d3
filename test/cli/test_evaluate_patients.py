"""`autocar evaluate patients` on one simulated patient seen from four sides, and on the real ones."""

from __future__ import annotations

import json

import pytest
from evaluation.patient_runs import shots, write_runs

SHIFTS = ((0, 0), (20, -12), (-15, 20), (0, 0))
QUICK = ("--segmentation", "vesselness", "--method", "lifting")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_runs(folder, "Patient_1", shots(shifts=SHIFTS)[:3])
    return folder


def test_third_views(autocar, folder, tmp_path):
    result = autocar("evaluate", "patients", "--data", folder, "--out", tmp_path, *QUICK)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "metrics.json").read_text())
    patient, cases = found["patients"]["patient_1"], found["cases"]
    assert len(cases) == patient["coverage"]["n"] == 3
    assert {case["third"] for case in cases} == {"coro_1", "coro_2", "coro_3"}
    assert patient["coverage"]["mean"] > 0.65
    assert patient["precision"]["mean"] > 0.6
    assert patient["coverage"]["mean"] > patient["chance_coverage"]["mean"] + 0.1
    assert patient["failed"]["mean"] == 0
    assert (tmp_path / "patient_1.png").exists()
    assert "coverage" in result.stdout


def test_what_cannot_be_done(autocar, folder, tmp_path):
    options = ("--data", folder, "--out", tmp_path, *QUICK)
    result = autocar("evaluate", "patients", *options, "--right", "patient_1/coro_1")
    assert (result.exit_code, "three runs" in result.stderr) == (1, True)
    result = autocar("evaluate", "patients", *options, "--right", "patient_1/coro_7")
    assert (result.exit_code, "no run patient_1/coro_7" in result.stderr) == (1, True)
