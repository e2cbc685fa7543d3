"""DICOM runs to a bag, and the errors of `autocar convert`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autocar_ros.cli.session import read_images, read_session
from autocar_ros.errors import DicomError
from autocar_ros.imaging.dicom import XrayRun
from autocar_ros.imaging.dicom_ecg import EcgSignal
from autocar_ros.ros.bag import BagReader
from autocar_ros.ros.conversions import ecg_from_msg
from autocar_ros.ros.dicom_bag import START_NS, write_dicom_bag
from autocar_ros.types import CArmPose

MS = 1_000_000


def run_of(frames, ecg=None):
    pose = CArmPose(0.1, 0.2, 1200.0, 800.0, (0.3, 0.3), 4, 5)
    images = np.arange(frames * 20, dtype=np.uint8).reshape(frames, 4, 5)
    return XrayRun(
        modality="XA",
        images=images,
        used_bits=8,
        visible=np.ones((4, 5), bool),
        ecg=ecg,
        r_wave_frames=np.zeros(0, np.int64),
        geometry=(pose,) * frames,
        timing=np.arange(frames) * 100 * MS,
    )


def test_both_runs_begin_together(tmp_path):
    counts = write_dicom_bag({"a": run_of(3), "b": run_of(2)}, tmp_path / "bag")
    assert counts == {
        "/plane_a/carm_pose": 3,
        "/plane_a/image_raw": 3,
        "/plane_b/carm_pose": 2,
        "/plane_b/image_raw": 2,
    }
    session = read_session(tmp_path / "bag")
    assert session.exposures["a"] == [START_NS, START_NS + 100 * MS, START_NS + 200 * MS]
    assert session.pose_at("b", START_NS).primary_angle == pytest.approx(0.1)
    image = read_images(tmp_path / "bag", "plane_a/image_raw", {START_NS + 100 * MS})
    assert image[START_NS + 100 * MS].tolist() == run_of(3).images[1].tolist()


def test_ecg_is_whole_and_in_time(tmp_path):
    signal = EcgSignal(sampling_rate=100.0, samples=np.arange(25.0), unit="mV", start_s=-0.05)
    write_dicom_bag({"a": run_of(3), "b": run_of(2, ecg=signal)}, tmp_path / "bag")
    with BagReader(tmp_path / "bag") as bag:
        messages = list(bag.messages(["/ecg"]))
    pieces = [ecg_from_msg(m.decode()) for m in messages]
    assert np.concatenate([samples for _, _, samples in pieces]).tolist() == list(range(25))
    assert [stamp for stamp, _, _ in pieces] == [START_NS + t * MS for t in (-50, 50, 150)]
    assert [m.stamp_ns for m in messages] == [START_NS + t * MS for t in (50, 150, 200)]


def test_missing_geometry_is_told_before_anything_is_written(tmp_path):
    lame = replace(run_of(2), geometry="ImagerPixelSpacing (0018,1164) is missing")
    with pytest.raises(DicomError, match="0018,1164"):
        write_dicom_bag({"a": run_of(2), "b": lame}, tmp_path / "bag")
    assert not (tmp_path / "bag").exists()


def test_phantom(autocar, data_dir, tmp_path):
    runs = [data_dir / "phantom" / name for name in ("IM3.dcm", "IM4.dcm")]
    result = autocar("convert", *runs, "--out", tmp_path / "bag")
    assert result.exit_code == 1
    assert "0018,1164" in result.stderr
    result = autocar("convert", *runs, "--out", tmp_path / "bag", "--pixel-spacing", 0.390625)
    assert result.exit_code == 0
    assert "/plane_b/image_raw" in result.stdout
    assert read_session(tmp_path / "bag").pose_at("a", START_NS).pixel_spacing == pytest.approx((0.390625, 0.390625))
    again = autocar("convert", *runs, "--out", tmp_path / "bag", "--pixel-spacing", 0.390625)
    assert again.exit_code == 1
    assert "cannot write a bag" in again.stderr


def test_no_file_and_no_dicom(autocar, tmp_path):
    text = tmp_path / "x.dcm"
    text.write_text("no DICOM")
    assert "no such file" in autocar("convert", tmp_path / "a", text, "--out", tmp_path / "bag").stderr
    assert "not a DICOM file" in autocar("convert", text, text, "--out", tmp_path / "bag").stderr
