"""X-ray image formation: Beer-Lambert absorption, detector blur, quantum noise, collimator, quantisation."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from autocar_ros.synthetic.tubes import Float32Image
from autocar_ros.types import Image

NOISE_TILE = 1024  # px; noise is a tile drawn once and taken from a random place in every exposure
COLLIMATED = 0.02  # of the range: what gets past the collimator's blades
MONO16_BITS = 12  # used bits of mono16, as most angiography systems store
MID_GREY = 0.55  # of the range: where automatic exposure puts the middle of the background


@dataclass(frozen=True)
class Detector:
    """Detector and exposure of one plane.

    Attributes
    ----------
    open_area : (rows, columns) 0..1, 1 where the collimator lets X-rays through
    exposure : transmitted share that automatic exposure brings to mid-grey
    photons : mean number per pixel at mid-grey; noise is 1 / sqrt(photons) there
    blur : px, standard deviation of the detector's point spread
    mono16 : 12 of 16 bits instead of 8
    """

    open_area: Float32Image
    exposure: float
    photons: float
    blur: float
    mono16: bool
    noise: Float32Image  # (NOISE_TILE, NOISE_TILE) standard normal, with the detector's grain

    def image(self, attenuation: Float32Image, rng: Generator) -> Image:
        """Stored image of a line integral of attenuation (rows, columns); the noise is drawn from `rng`."""
        light = np.asarray(cv2.exp(-attenuation), np.float32)
        if self.blur > 0:
            light = np.asarray(cv2.GaussianBlur(light, (0, 0), self.blur), np.float32)
        light *= np.float32(MID_GREY / self.exposure)
        if self.photons > 0:
            light += np.sqrt(light) * (self._grain(rng, light.shape) * np.float32(np.sqrt(MID_GREY / self.photons)))
        light = COLLIMATED + (light - np.float32(COLLIMATED)) * self.open_area
        top = (1 << MONO16_BITS) - 1 if self.mono16 else 255
        np.clip(light * np.float32(top) + np.float32(0.5), 0, top, out=light)
        return light.astype(np.uint16) if self.mono16 else light.astype(np.uint8)

    def _grain(self, rng: Generator, shape: tuple[int, ...]) -> Float32Image:
        rows, columns = shape
        top, left = rng.integers(0, NOISE_TILE - rows + 1), rng.integers(0, NOISE_TILE - columns + 1)
        tile = self.noise[top : top + rows, left : left + columns]
        flip_rows, flip_columns = (1 - 2 * int(k) for k in rng.integers(0, 2, 2))
        return tile[::flip_rows, ::flip_columns]


def make_detector(
    rng: Generator, background: Float32Image, border: int, photons: float, blur: float, mono16: bool
) -> Detector:
    """Detector for a view whose attenuation without vessels is `background` (rows, columns).

    `border` is the width of the collimator's shadow in px.
    """
    rows, columns = background.shape
    open_area = np.zeros((rows, columns), np.float32)
    open_area[border : rows - border, border : columns - border] = 1
    if border > 0:
        open_area = np.asarray(cv2.GaussianBlur(open_area, (0, 0), 1.5), np.float32)
    noise = rng.standard_normal((NOISE_TILE, NOISE_TILE), np.float32)
    if blur > 0:  # part of the noise comes before the detector's blur
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.6 * blur), np.float32)
        noise /= noise.std()
    exposure = float(np.median(np.exp(-background[open_area > 0.5])))
    return Detector(open_area, exposure, photons, blur, mono16, noise)
