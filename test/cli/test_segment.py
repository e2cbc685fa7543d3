"""`autocar segment`."""

import cv2
import numpy as np
import pytest
import typer
from imaging.dicom_files import write_run
from imaging.tubes import line, tube_frame
from typer.testing import CliRunner

from autocar_ros.cli.segment import segment
from autocar_ros.imaging.pictures import read_image
from autocar_ros.imaging.segmentation import segmenter_for


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(segment)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def frame():
    return tube_frame([(line(0.6), 4.0)], size=128).image


def test_masks_have_the_name_and_size_of_their_pictures(tmp_path, run, frame):
    cv2.imwrite(str(tmp_path / "one.png"), frame)
    cv2.imwrite(str(tmp_path / "two.tiff"), frame[:100].astype(np.uint16) * 16)
    result = run(tmp_path / "one.png", tmp_path / "two.tiff", "--out", tmp_path / "new" / "masks")
    assert result.exit_code == 0, result.output
    mask = read_image(tmp_path / "new" / "masks" / "one.png")
    np.testing.assert_array_equal(mask, np.where(segmenter_for().segment(frame).vessel >= 128, 255, 0))
    assert set(np.unique(mask)) <= {0, 255}
    assert read_image(tmp_path / "new" / "masks" / "catheter" / "one.png").shape == frame.shape
    assert read_image(tmp_path / "new" / "masks" / "two.png").shape == (100, 128)


def test_a_run_gives_a_mask_per_frame_or_the_asked_one(tmp_path, run, frame):
    path = write_run(tmp_path / "run.dcm", np.stack([frame] * 3))
    assert run(path, "--out", tmp_path / "all").exit_code == 0
    assert sorted(p.name for p in (tmp_path / "all").glob("*.png")) == [f"run_frame00{k}.png" for k in range(3)]
    assert run(path, "--out", tmp_path / "one", "--frame", 1).exit_code == 0
    assert [p.name for p in (tmp_path / "one").glob("*.png")] == ["run_frame001.png"]
    result = run(path, "--out", tmp_path / "none", "--frame", 3)
    assert result.exit_code == 1
    assert "has no frame 3, its frames are 0 to 2" in result.output


def test_bad_files_are_named_and_the_others_go_on(tmp_path, run, frame):
    (tmp_path / "bad.png").write_text("no picture")
    (tmp_path / "bad.dcm").write_text("no run")
    cv2.imwrite(str(tmp_path / "good.png"), frame)
    result = run(*(tmp_path / n for n in ("bad.png", "bad.dcm", "none.png", "good.png")), "--out", tmp_path / "out")
    assert result.exit_code == 1
    for text in ("bad.png: not a readable picture", "bad.dcm: not a DICOM file", "none.png: no such file"):
        assert text in result.output
    assert [p.name for p in (tmp_path / "out").glob("*.png")] == ["good.png"]


def test_nothing_is_overwritten(tmp_path, run, frame):
    cv2.imwrite(str(tmp_path / "one.png"), frame)
    cv2.imwrite(str(tmp_path / "one.tiff"), frame)
    result = run(tmp_path / "one.png", "--out", tmp_path)
    assert result.exit_code == 1
    assert "would overwrite it" in result.output
    np.testing.assert_array_equal(read_image(tmp_path / "one.png"), frame)
    result = run(tmp_path / "one.png", tmp_path / "one.tiff", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "another picture named one" in result.output


def test_the_filter_and_the_sheet(tmp_path, run, frame):
    cv2.imwrite(str(tmp_path / "one.png"), frame)
    result = run(
        tmp_path / "one.png", "--out", tmp_path / "masks", "--method", "vesselness", "--sheet", tmp_path / "sheet.png"
    )
    assert result.exit_code == 0, result.output
    assert set(np.unique(read_image(tmp_path / "masks" / "one.png"))) == {0, 255}
    assert (tmp_path / "sheet.png").is_file()


def test_missing_weights_are_named(tmp_path, run, frame):
    cv2.imwrite(str(tmp_path / "one.png"), frame)
    result = run(tmp_path / "one.png", "--out", tmp_path / "masks", "--weights", tmp_path / "none.safetensors")
    assert result.exit_code != 0
    assert "no weights" in str(result.exception)
