"""How much the vessels of a frame absorb, once they are found: the background shows beside them."""

from __future__ import annotations

import cv2
import numpy as np

from autocar_ros.imaging.enhance import BoolArray, Float32Array, float32
from autocar_ros.types import ABSORPTION_STEP, MASK_THRESHOLD, AbsorptionMap, Image, Mask

DARK = 0.1  # of the frame's range, added before the logarithm: keeps the noise of dark areas small
BESIDE = 2  # px around vessels and catheters that do not count as background: their blurred borders
REDUCTION = 4  # px of the frame per pixel of the background
NEAR, FAR = 8.0, 24.0  # px, standard deviations of where the background of a place is looked for
FEW = 0.05  # of the background comes from `FAR`, more where there is hardly any near


def vessel_absorption(image: Image, vessel: Mask, catheter: Mask) -> AbsorptionMap:
    """Log attenuation of the vessels of a frame in front of their background, 0 outside of `vessel`.

    By Beer-Lambert the logarithm of intensity falls by what the vessel attenuates. The background is the mean of what
    lies beside vessels and catheters. A gain of the frame changes nothing.

    Parameters
    ----------
    image : (rows, columns) uint8 or uint16, vessels dark
    vessel, catheter : (rows, columns) its masks (`imaging.segmentation`)
    """
    top = float(np.percentile(image[::8, ::8], 99))
    if top <= 0:
        return np.zeros(image.shape, np.uint8)
    log = float32(cv2.log(float32(image) * np.float32(1 / top) + np.float32(DARK)))
    inside = cv2.inRange(vessel, MASK_THRESHOLD, 255)
    behind = _background(log, (vessel < MASK_THRESHOLD) & (catheter < MASK_THRESHOLD))
    steps = cv2.convertScaleAbs(np.maximum(behind - log, 0), alpha=1 / ABSORPTION_STEP)
    return np.asarray(cv2.bitwise_and(steps, inside), np.uint8)


def _background(log: Float32Array, bare: BoolArray) -> Float32Array:
    """Mean (rows, columns) of what is bare, nearby where there is some (normalised convolution)."""
    rows, columns = log.shape
    size = (-(-columns // REDUCTION), -(-rows // REDUCTION))
    element = np.ones((2 * BESIDE + 1, 2 * BESIDE + 1), np.uint8)
    free = float32(cv2.erode(bare.astype(np.uint8), element))
    total, weight = (
        _near_and_far(float32(cv2.resize(values, size, interpolation=cv2.INTER_AREA))) for values in (log * free, free)
    )
    mean = total / np.maximum(weight, np.finfo(np.float32).tiny)
    return float32(cv2.resize(mean, (columns, rows), interpolation=cv2.INTER_LINEAR))


def _near_and_far(values: Float32Array) -> Float32Array:
    near = cv2.GaussianBlur(values, (0, 0), NEAR / REDUCTION)
    return float32(near + np.float32(FEW) * cv2.GaussianBlur(near, (0, 0), FAR / REDUCTION))
