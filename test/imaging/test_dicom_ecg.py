"""ECG and R waves inside X-ray runs."""

import numpy as np
import pytest
from imaging.dicom_files import add_curve, frames, waveform, write_run

from autocar_ros.imaging.dicom import read_run


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.dcm"


def test_r_wave_pointers_count_from_one_and_stay_inside_the_run(path):
    run = read_run(write_run(path, frames(4), RWavePointer=[1, 3, 4, 9, 3]))
    np.testing.assert_array_equal(run.r_wave_frames, [0, 2, 3])
    assert len(read_run(write_run(path, frames(4))).r_wave_frames) == 0


@pytest.mark.parametrize(
    ("units", "step", "rate"),
    [
        ("DPPS", 500, 500.0),  # fits: 80 samples in 0.16 s
        ("DPPS", 40, 500.0),  # 40 a second cannot be: spread over the run
        ("NONE", 1, 500.0),
    ],
)
def test_curve(path, units, step, rate):
    samples = np.arange(80, dtype=np.uint16)
    add_curve(write_run(path, frames(4)), samples, units, step)
    ecg = read_run(path).ecg
    assert ecg is not None
    assert (ecg.sampling_rate, ecg.unit, ecg.start_s) == (pytest.approx(rate), "raw", 0.0)
    np.testing.assert_array_equal(ecg.samples, samples)


def test_waveform_is_scaled_to_millivolt(path):
    samples = np.array([0, 100, -200, 300], np.int16)
    run = read_run(write_run(path, frames(4), WaveformSequence=waveform(samples, 250.0, 2.5, offset_ms=-20.0)))
    assert run.ecg is not None
    assert (run.ecg.sampling_rate, run.ecg.unit, run.ecg.start_s) == (250.0, "mV", -0.02)
    np.testing.assert_allclose(run.ecg.samples, samples * 2.5e-3)


def test_an_ecg_that_makes_no_sense_leaves_the_images(path, caplog):
    broken = waveform(np.zeros(4, np.int16), 250.0, 1.0)
    del broken[0].ChannelDefinitionSequence
    run = read_run(write_run(path, frames(4), WaveformSequence=broken))
    assert run.ecg is None
    assert len(run) == 4
    assert "ECG of this run is left out" in caplog.text


def test_no_time_no_sampling_rate(path):
    add_curve(write_run(path, frames(4), FrameTime=None), np.arange(80, dtype=np.uint16))
    assert read_run(path).ecg is None
    assert read_run(path, frame_rate=25.0).ecg is not None


def test_r_peaks_of_the_cine_come_within_two_frames_of_its_pointers(data_dir):
    run = read_run(data_dir / "cine" / "rubo_rca_ecg.dcm")
    ecg = run.ecg
    assert ecg is not None
    assert ecg.samples.shape == (3840,)
    assert len(ecg.samples) / ecg.sampling_rate == pytest.approx(96 * 0.033)
    high = np.flatnonzero(ecg.samples > 240)
    peaks = [high[abs(high - near) < 200].mean() for near in (831, 2095, 3083)]
    peak_frames = np.array(peaks) / ecg.sampling_rate / 0.033
    assert np.abs(peak_frames - run.r_wave_frames).max() < 2.0
