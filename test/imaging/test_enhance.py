"""Absorption above the background, and the area that X-rays reached."""

import cv2
import numpy as np
import pytest
from imaging.tubes import line, tube_frame

from autocar_ros.errors import InvalidInputError
from autocar_ros.imaging.enhance import absorption, half_size, valid_area


def test_absorption_of_a_tube_is_its_contrast_whatever_the_background():
    frame = tube_frame([(line(0.4), 6.0)], contrast=0.4, photons=1e5)
    value, valid = absorption(frame.image, width=40)
    assert valid.all()
    assert np.median(value[frame.axis_distance < 0.5]) == pytest.approx(0.4, rel=0.2)
    assert np.abs(np.median(value[frame.axis_distance > 15])) < 0.01


@pytest.mark.parametrize("gain", [2, 40, 257])
def test_absorption_does_not_depend_on_gain_or_depth(gain):
    image = tube_frame([(line(1.0), 4.0)]).image
    expected = absorption(image, 40).value
    np.testing.assert_allclose(absorption(image.astype(np.uint16) * gain, 40).value, expected, atol=1e-5)


def test_things_wider_than_a_vessel_are_background():
    frame = tube_frame([(line(0.0), 60.0)], size=384, photons=1e5)
    assert np.percentile(absorption(frame.image, 40).value, 99) < 0.05


def test_edges_are_no_vessels():
    image = np.full((128, 128), 200, np.uint8)
    image[:, 64:] = 80
    value, _ = absorption(image, 40)
    assert value.max() < 0.4  # half-shadow of the smoothed background only; the step is 0.8


@pytest.mark.parametrize("field", ["black", "flat grey", "soft grey"])
def test_collimator_is_found(field, rng):
    image = rng.normal(140, 6, (256, 256))
    covered = np.zeros((256, 256), bool)
    covered[:, :30] = True
    image[covered] = {"black": 0, "flat grey": 70, "soft grey": 70}[field]
    if field == "soft grey":
        image = cv2.GaussianBlur(image, (0, 0), 3) + rng.normal(0, 3, image.shape)
    valid = valid_area(np.clip(image, 0, 255).astype(np.uint8))
    assert not valid[covered].any()
    assert valid[:, 60:].all()


def test_open_frame_is_all_valid(rng):
    assert valid_area(rng.integers(80, 160, (200, 300)).astype(np.uint8)).all()


def test_dark_spot_inside_is_not_the_collimator(rng):
    image = rng.normal(140, 6, (256, 256))
    image[100:130, 100:130] = 0
    assert valid_area(np.clip(image, 0, 255).astype(np.uint8)).all()


def test_half_size_averages_and_rounds_up():
    np.testing.assert_array_equal(half_size(np.array([[1, 3], [5, 7]], np.float32)), [[4]])
    assert half_size(np.zeros((5, 8), np.float32)).shape == (3, 4)


@pytest.mark.parametrize("image", [np.zeros((4, 4)), np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8)])
def test_what_is_no_frame_is_refused(image):
    with pytest.raises(InvalidInputError):
        absorption(image, 40)


def test_phantom_collimator(data_dir):
    from autocar_ros.imaging.dicom import read_run

    run = read_run(data_dir / "phantom" / "IM8.dcm")
    valid = valid_area(run.images[4])
    assert not (valid & ~run.visible).any()  # all that the file calls covered was seen in the picture
    assert valid.mean() > 0.8
