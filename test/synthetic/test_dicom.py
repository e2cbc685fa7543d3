"""Simulated runs written as DICOM come back through the reader."""

import numpy as np
import pytest

from autocar_ros.config import SimulationConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.carm import shift_image
from autocar_ros.imaging.dicom import read_run
from autocar_ros.sync.ecg import detect_r_waves
from autocar_ros.synthetic.dicom import write_run
from autocar_ros.synthetic.scene import ECG_RATE, Scene

SMALL = {"image_size": 128, "background": False, "catheter": False}


@pytest.mark.parametrize(("encoding", "bits"), [("mono8", 8), ("mono16", 12)])
def test_round_trip(tmp_path, encoding, bits):
    scene = Scene(SimulationConfig(encoding=encoding, **SMALL))
    images = np.stack([scene.image("a", k / 15) for k in range(30)])
    ecg = scene.ecg(0.0, 2.0)
    write_run(tmp_path / "run.dcm", images, scene.pose("a"), 15.0, (ecg, ECG_RATE), bits)
    run = read_run(tmp_path / "run.dcm")
    np.testing.assert_array_equal(run.images, images)
    assert run.used_bits == bits
    assert run.frame_times_ns[-1] == pytest.approx(29 / 15 * 1e9, abs=1e3)
    pose = run.poses[0]
    for name in ("primary_angle", "secondary_angle", "source_to_detector", "source_to_isocenter", "pixel_spacing"):
        np.testing.assert_allclose(getattr(pose, name), getattr(scene.pose("a"), name), rtol=1e-5, err_msg=name)
    assert run.ecg.sampling_rate == pytest.approx(ECG_RATE)
    np.testing.assert_array_equal(detect_r_waves(run.ecg.samples, run.ecg.sampling_rate), detect_r_waves(ecg, ECG_RATE))


def test_what_dicom_cannot_express_is_refused(tmp_path):
    scene = Scene(SimulationConfig(**SMALL))
    images = np.zeros((2, 128, 128), np.uint8)
    with pytest.raises(InvalidInputError, match="principal point"):
        write_run(tmp_path / "run.dcm", images, shift_image(scene.pose("a"), 3, 0), 15.0)
    with pytest.raises(InvalidInputError, match="uint8 or uint16"):
        write_run(tmp_path / "run.dcm", images[0], scene.pose("a"), 15.0)
