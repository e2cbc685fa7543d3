"""`autocar poses fit` on runs written by the simulator."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from autocar_ros.cli import build_app
from autocar_ros.config import SimulationConfig
from autocar_ros.synthetic.dicom import write_run
from autocar_ros.synthetic.pose_history import load_history
from autocar_ros.synthetic.scene import Scene
from autocar_ros.types import CArmPose

CENTRES = [(40.0, -30.0), (-30.0, 0.0), (0.0, 35.0)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve runs of three views, and files that are none."""
    root = tmp_path_factory.mktemp("clinic")
    rng = np.random.default_rng(0)
    for k in range(12):
        angles = np.radians(np.array(CENTRES[k % 3]) + rng.normal(size=2))
        spacing = 0.8 if k % 2 else 1.2
        pose = CArmPose(*angles.tolist(), 1000.0 + 100 * (k % 2), 750.0, (spacing, spacing), 32, 32)
        path = root / f"patient_{k // 6}" / f"run_{k}.dcm"
        path.parent.mkdir(exist_ok=True)
        write_run(path, np.zeros((2, 32, 32), np.uint8), pose, 15.0)
    (root / "notes.txt").write_text("no run")
    header = pydicom.dcmread(root / "patient_0" / "run_0.dcm")
    header.PositionerMotion, header.PositionerPrimaryAngleIncrement = "DYNAMIC", [0, 40]
    header.save_as(root / "rotation.dcm")
    del header.PositionerPrimaryAngleIncrement, header.ImagerPixelSpacing
    header.save_as(root / "no_spacing.dcm")
    return root


@pytest.fixture(scope="module")
def fitted(folder, tmp_path_factory):
    """History fitted to them, and what was said."""
    out = tmp_path_factory.mktemp("fitted") / "new" / "history.json"
    options = ["poses", "fit", str(folder), "--clusters", "3", "--out", str(out)]
    result = CliRunner().invoke(build_app(), options, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.stderr
    return out, result.stdout


def test_finds_the_views_and_says_what_was_left_out(fitted):
    out, said = fitted
    history = load_history(str(out))
    found = [(c.primary, c.secondary) for c in history.clusters]
    np.testing.assert_allclose(found, sorted(CENTRES), atol=1.5)
    np.testing.assert_allclose(np.unique(history.geometry, axis=0), [(1000, 750, 38.4, 1), (1100, 750, 25.6, 1)])
    assert out.with_suffix(".png").stat().st_size > 1000
    assert "12 runs read, 3 files left out" in said
    for reason in ("not a DICOM file", "the C-arm moves during the run", "ImagerPixelSpacing (0018,1164) is missing"):
        assert f"left out 1: {reason}" in said
    assert "--pixel-spacing" not in said  # not an option of this command


def test_nothing_of_a_patient_gets_into_the_file(fitted, folder):
    text = fitted[0].read_text()
    assert not any(word in text for word in ("SIMULATED", "patient_", "run_", str(folder)))


def test_the_simulator_takes_the_file(fitted):
    config = SimulationConfig(image_size=64, views="random", poses=str(fitted[0]), background=False)
    pose = Scene(config).pose("a")
    assert pose.source_to_isocenter == 750.0
    assert np.abs(np.degrees((pose.primary_angle, pose.secondary_angle)) - CENTRES).max(axis=1).min() < 4


def test_too_few_runs(autocar, folder, tmp_path):
    result = autocar("poses", "fit", folder, "--clusters", 13, "--out", tmp_path / "h.json")
    assert result.exit_code == 1
    assert "12 different views among 12 readable runs do not make 13 clusters" in result.stderr
    assert not (tmp_path / "h.json").exists()


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_folder_without_files(autocar, tmp_path, name):
    (tmp_path / "empty").mkdir()
    result = autocar("poses", "fit", tmp_path / name, "--out", tmp_path / "h.json")
    assert result.exit_code == 1
    assert "no folder with files" in result.stderr
