"""What vessels absorb in front of an uneven background: known amounts, any gain, nothing elsewhere."""

import numpy as np
import pytest

from autocar_ros.imaging.segmentation import Segmentation, find_vessels
from autocar_ros.imaging.vessel_absorption import vessel_absorption
from autocar_ros.types import ABSORPTION_STEP

ROWS, COLUMNS = 200, 240
DEPTH = 0.5  # log attenuation
NOTHING = np.zeros((ROWS, COLUMNS), np.uint8)


def bar(left, width):
    mask = np.zeros((ROWS, COLUMNS), np.uint8)
    mask[20:180, left : left + width] = 255
    return mask


def picture(mask, gain=20_000.0):
    """Frame whose background falls off by three from side to side."""
    ramp = np.exp(-np.log(3.0) * np.arange(COLUMNS) / COLUMNS)
    return np.rint(gain * ramp * np.exp(-DEPTH * (mask > 0))).astype(np.uint16)


@pytest.mark.parametrize("left", [40, 110, 180])
@pytest.mark.parametrize("gain", [2_000.0, 40_000.0])
def test_absorption_is_that_of_the_vessel_anywhere_in_the_frame(left, gain):
    mask = bar(left, 8)
    found = vessel_absorption(picture(mask, gain), mask, NOTHING)
    assert found.dtype == np.uint8
    assert not found[mask == 0].any()
    # darkness is lifted a little before the logarithm, the more the darker it is
    assert 0.7 * DEPTH < ABSORPTION_STEP * np.median(found[mask > 0]) <= DEPTH


def test_a_catheter_beside_it_is_no_background():
    vessel, catheter = bar(110, 8), bar(120, 8)
    frame = picture(np.maximum(vessel, catheter))
    alone = vessel_absorption(picture(vessel), vessel, NOTHING)
    beside = vessel_absorption(frame, vessel, catheter)
    inner = np.s_[40:160, 112:116]
    np.testing.assert_allclose(beside[inner].astype(int), alone[inner].astype(int), atol=4)
    assert vessel_absorption(frame, vessel, NOTHING)[inner].mean() < beside[inner].mean()


def test_a_dark_frame_absorbs_nothing():
    assert not vessel_absorption(np.zeros((ROWS, COLUMNS), np.uint8), bar(50, 8), NOTHING).any()


def test_a_frame_that_is_vessel_everywhere_absorbs_nothing():
    full = np.full((ROWS, COLUMNS), 255, np.uint8)
    assert vessel_absorption(picture(full), full, NOTHING).shape == full.shape


def test_vessels_of_a_frame_come_with_what_they_absorb():
    class Known:
        def segment(self, image):
            return Segmentation(bar(110, 8), bar(180, 4))

    frame = picture(bar(110, 8))
    found = find_vessels(Known(), frame)
    np.testing.assert_array_equal(found.mask, bar(110, 8))
    np.testing.assert_array_equal(found.absorption, vessel_absorption(frame, bar(110, 8), bar(180, 4)))
