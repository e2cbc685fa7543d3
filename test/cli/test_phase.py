"""`autocar phase`."""

import json

import numpy as np
import pytest
import typer
from imaging.dicom_files import write_run
from sync.beating import pictures
from typer.testing import CliRunner

from autocar_ros.cli.phase import phase

TIMES = np.arange(75) / 15


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(phase)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def dicom(path, shown):
    return write_run(path, (200 - 0.4 * shown).astype(np.uint8), CineRate=15, FrameTime=1000 / 15)


def test_json_tells_every_frame(tmp_path, run):
    result = run(dicom(tmp_path / "run.dcm", pictures(TIMES, start=0.3)), "--json", "--out", tmp_path / "new")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["source"] == "image"
    assert found["heart_rate"] == pytest.approx(75, abs=4)
    assert [frame["frame"] for frame in found["frames"]] == list(range(75))
    error = [frame["phase_error"] for frame in found["frames"]]
    assert error[40] < 0.02
    assert error[74] > 1.5 * error[40]  # after the last R wave that was found
    true = np.arange(0.3, 5, 0.8) * 15
    inner = [k for k in found["r_wave_frames"] if 8 < k < 66]
    assert inner
    assert all(np.abs(true - k).min() <= 1.5 for k in inner)
    assert (tmp_path / "new" / "phase.png").is_file()


def test_a_still_run_has_no_phase_and_says_why(tmp_path, run):
    result = run(dicom(tmp_path / "still.dcm", np.repeat(pictures([0.0]), 40, axis=0)))
    assert result.exit_code == 0, result.output
    assert "no heart phase" in result.output
    assert "R waves at frames -" in result.output
