"""Bring an X-ray frame of any depth, gain and field shape to one footing: absorption above the local background."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from autocar_ros.types import Image, check_image

Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

_DARK = 0.1  # of the frame's range, added before the logarithm: keeps the noise of dark areas small
_BLACK = 0.04  # of the frame's range: no X-rays below
_GREY = 0.4  # of the frame's range: below, a field without texture is no X-ray signal
_FLAT = 0.2  # of the frame's typical texture: below, a field has none
_WINDOW = 9  # px, over which texture is measured
_EDGE = 6  # px, half-shadow inside a collimator edge
_STEP = 0.012  # of the frame's range: a blade edge is at least this high over 8 px
_STRAIGHT = 0.85  # and on this share of the frame's length
_STEEPER = 3.0  # and so much steeper than the frame elsewhere
_OUTER = 0.25  # blades are looked for in this outer part of each side


def float32(values: ArrayLike) -> Float32Array:
    """Single precision, in which all image filters work."""
    return np.asarray(values, np.float32)


class Absorption(NamedTuple):
    """What lies in front of the local background of a frame."""

    value: Float32Array  # (rows, columns) relative log attenuation, 0 = background, vessels positive
    valid: BoolArray  # (rows, columns) false under collimator or shutter and beside their edge


def absorption(image: Image, width: int) -> Absorption:
    """Log attenuation of everything dark and narrower than `width` px, whatever the gain of the frame.

    By Beer-Lambert the logarithm of intensity falls by the attenuation of the vessel. The background is a closing
    (black top-hat) on a smoothed half-size image, with darkness assumed outside of the frame: so neither
    edges of the anatomy nor of the collimator, dark on one side only, look like vessels.
    """
    check_image(image)
    valid = valid_area(image)
    intensity = float32(image)
    inside = intensity[valid][::16]
    top = float(np.percentile(inside, 99)) if inside.size else 0.0
    if top <= 0:
        return Absorption(np.zeros(image.shape, np.float32), valid)
    log = float32(cv2.log(intensity / top + _DARK))
    value = float32(np.where(valid, _background(log, valid, width) - log, 0))
    value[valid] -= np.median(value[valid][::16])  # a closing lies above the mean of the noise
    return Absorption(value, valid)


def half_size(image: Float32Array) -> Float32Array:
    """Average 2 x 2 pixels: (ceil(rows / 2), ceil(columns / 2))."""
    rows, columns = image.shape
    return float32(cv2.resize(image, ((columns + 1) // 2, (rows + 1) // 2), interpolation=cv2.INTER_AREA))


def _background(log: Float32Array, valid: BoolArray, width: int) -> Float32Array:
    """Closing of the half-size image, dark where not valid."""
    weight = half_size(float32(valid))
    dark = float(np.log(_DARK))
    # A median keeps edges sharp: blurred ones would leave a ridge along their dark side
    smooth = cv2.medianBlur(np.where(weight == 1, half_size(log), np.float32(dark)), 5)
    reach = max(width // 4, 1)
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    padded = cv2.copyMakeBorder(smooth, *(2 * reach,) * 4, cv2.BORDER_CONSTANT, value=dark)
    closed = float32(cv2.morphologyEx(padded, cv2.MORPH_CLOSE, element))[2 * reach : -2 * reach, 2 * reach : -2 * reach]
    rows, columns = log.shape
    level = _smooth(closed, weight, 2.0)
    level = np.where(weight == 1, np.minimum(level, closed), level)  # smoothing alone brightens the dark side of edges
    return float32(cv2.resize(level, (columns, rows), interpolation=cv2.INTER_LINEAR))


def _smooth(value: Float32Array, weight: Float32Array, sigma: float) -> Float32Array:
    """Gaussian mean of what has weight (normalised convolution; Knutsson & Westin 1993)."""
    total = cv2.GaussianBlur(weight, (0, 0), sigma)
    return float32(cv2.GaussianBlur(value * weight, (0, 0), sigma) / np.maximum(total, 1e-3))


def valid_area(image: Image) -> BoolArray:
    """(rows, columns) true where X-rays made the picture: not the field outside of the collimator.

    That field touches the frame's border and is black, or grey without the fine texture of quantum noise, or lies
    behind a straight edge that runs along the whole frame and falls outwards.
    """
    field = float32(image)
    texture = cv2.blur(cv2.absdiff(field, cv2.GaussianBlur(field, (0, 0), 1.5)), (_WINDOW, _WINDOW))
    typical = float(np.percentile(texture[::4, ::4], 75))
    top = float(np.percentile(field[::4, ::4], 99))
    black = (field < _BLACK * top) | ((texture < _FLAT * typical) & (field < _GREY * top))
    covered = _touching_border(black) | _behind_blades(field, top)
    if not covered.any():
        return np.ones(image.shape, bool)
    reach = _WINDOW // 2 + _EDGE
    element = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return np.asarray(cv2.dilate(covered.astype(np.uint8), element) == 0)


def _behind_blades(field: Float32Array, top: float) -> BoolArray:
    """(rows, columns) true outside of straight edges parallel to the frame."""
    small = half_size(half_size(field))
    covered = np.zeros(field.shape, bool)
    for turn in range(4):
        side = np.rot90(small, turn)
        step = side[:, 2:] - side[:, :-2]
        profile = np.median(step, axis=0)
        steep = profile > _STEEPER * np.median(np.abs(profile)) if profile.size else profile > 0
        straight = (step > _STEP * top).mean(axis=0) > _STRAIGHT
        edge = np.flatnonzero((steep & straight)[: int(_OUTER * side.shape[1])])
        if len(edge):
            np.rot90(covered, turn)[:, : 4 * int(edge[-1] + 1)] = True
    return covered


def _touching_border(area: BoolArray) -> BoolArray:
    _, label, stats, _ = cv2.connectedComponentsWithStats(area.astype(np.uint8), connectivity=4)
    rows, columns = area.shape
    left, top, width, height = stats[:, :4].T
    touches = (left == 0) | (top == 0) | (left + width == columns) | (top + height == rows)
    touches[0] = False  # label 0 is everything else
    return np.asarray(touches[label])
