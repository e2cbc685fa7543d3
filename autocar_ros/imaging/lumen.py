"""From a vessel's skeleton to its lumen: finds where across the ridge the wall lies.

A contrast-filled vessel of radius R absorbs like a cylinder, 2 mu sqrt(R^2 - x^2), blurred by focal spot, detector and
our own smoothing. Absorption at its wall is therefore a share of the peak that depends on R alone: near 0 for wide
vessels, above one half for thin ones. R itself follows from the width at half the peak, which blur hardly moves.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from autocar_ros.imaging.enhance import BoolArray, Float32Array, float32, half_size
from autocar_ros.types import FloatArray, Mask

_SMOOTHING = 1.0  # px, of the absorption before its wall is looked for
_DETECTOR_BLUR = 1.0  # px, focal spot and detector of a typical system
_WINDOW = (7, 7)  # px at half size, along which peak and width are averaged
_FLOOR = 0.03  # of the peak: so much the background beside a vessel is found too dark (measured on tubes)
_HIGHEST_WALL = 0.6  # of the peak: a wall nearer to the peak would be cut into pieces by noise


def lumen(value: Float32Array, core: BoolArray, max_width: int) -> Mask:
    """Widen a skeleton to the walls of its vessels.

    Parameters
    ----------
    value : (rows, columns) absorption, 0 = background
    core : (ceil(rows / 2), ceil(columns / 2)) skeleton at half size, not empty
    max_width : px of `value`, of the widest vessel

    Returns
    -------
    (rows, columns) uint8, 128 at the wall, 255 at the axis, never below 128 on the skeleton
    """
    smooth = float32(cv2.GaussianBlur(value, (0, 0), _SMOOTHING))
    reach, nearest = _nearest(core)
    distance = _enlarge(2 * reach, value.shape)
    peak = _along(cv2.dilate(half_size(smooth), np.ones((3, 3))), core)
    share = smooth / np.maximum(_enlarge(peak[nearest], value.shape), 1e-6)
    inner = (share > 0.5) & (distance <= max_width / 2)
    radius, wall = _cylinder(_along(_half_widths(inner), core))
    wall = _enlarge(wall[nearest], value.shape)
    probability = np.where(share < wall, 0.5 * share / wall, 0.5 + 0.5 * (share - wall) / (1 - wall))
    probability[distance > _enlarge(1.3 * radius[nearest] + 2, value.shape)] = 0
    mask = cv2.medianBlur(np.clip(256 * probability, 0, 255).astype(np.uint8), 3)
    rows, columns = value.shape
    spine = cv2.resize(core.astype(np.uint8), (columns, rows), interpolation=cv2.INTER_NEAREST)
    return np.asarray(np.maximum(mask, 128 * spine), np.uint8)


def _nearest(core: BoolArray) -> tuple[Float32Array, NDArray[np.int64]]:
    """Distance to the nearest skeleton pixel, and its index among `core`'s true pixels, of every pixel."""
    distance, label = cv2.distanceTransformWithLabels(
        (~core).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    index = np.zeros(int(label.max()) + 1, np.int64)
    index[label[core]] = np.arange(np.count_nonzero(core))
    return float32(distance), index[label]


def _along(value: ArrayLike, core: BoolArray) -> Float32Array:
    """Mean of `value` over the skeleton pixels near each skeleton pixel, (N,)."""
    weight = core.astype(np.float32)
    return float32(cv2.blur(float32(value) * weight, _WINDOW)[core] / cv2.blur(weight, _WINDOW)[core])


def _half_widths(inner: BoolArray) -> Float32Array:
    """Radius in px of the widest circle inside `inner` near each pixel, at half size: clutter beside hardly counts."""
    depth = cv2.distanceTransform(inner.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) - 0.5
    return float32(cv2.dilate(depth, np.ones((5, 5)))[::2, ::2])


def _enlarge(image: ArrayLike, shape: tuple[int, ...]) -> Float32Array:
    return float32(cv2.resize(float32(image), (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR))


def _cylinder(half_width: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Radius in px and wall (share of the peak) of vessels with this half width at half the peak, px."""
    widths, radii, walls = _cylinder_table(float(np.hypot(_SMOOTHING, _DETECTOR_BLUR)))
    wall = np.minimum(np.interp(half_width, widths, walls) - _FLOOR, _HIGHEST_WALL)
    return float32(np.interp(half_width, widths, radii)), float32(wall)


@lru_cache
def _cylinder_table(blur: float) -> FloatArray:
    """(3, R): half width at half the peak, radius, share of the peak at the wall; cylinders blurred by `blur` px."""
    x = np.arange(-400, 401) / 10
    kernel = np.exp(-0.5 * (x / blur) ** 2)
    right = x[400:]
    rows = []
    for radius in np.arange(0.4, 30.0, 0.2):
        profile = np.convolve(np.sqrt(np.maximum(radius**2 - x**2, 0)), kernel, mode="same")[400:]
        profile = profile / profile[0]
        rows.append((np.interp(-0.5, -profile, right), radius, np.interp(radius, right, profile)))
    return np.array(rows).T
