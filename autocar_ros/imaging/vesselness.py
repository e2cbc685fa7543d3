"""Vessels in an X-ray frame by multi-scale Hessian ridges (Sato 1998; Frangi 1998), widened to the lumen."""

from __future__ import annotations

import cv2
import numpy as np
from skimage.feature import hessian_matrix, hessian_matrix_eigvals
from skimage.filters import apply_hysteresis_threshold
from skimage.morphology import skeletonize

from autocar_ros.config import SegmentationConfig
from autocar_ros.imaging.enhance import BoolArray, Float32Array, absorption, float32, half_size
from autocar_ros.imaging.lumen import lumen
from autocar_ros.types import Image, Mask, check_image

_NOISY = 0.3  # share of a picture with some ridge, from which on most of that is noise
_FOLLOW = 0.45  # of the noise limit for seeds: down to there a vessel is followed
_COLLIMATOR = 3  # px at half size: beside its edge no ridge is trusted
_GAP = 4  # px at half size, between pieces of one tree
_SMALLEST = 16  # px: in a smaller image there is nothing to find


def filter_vessels(image: Image, config: SegmentationConfig | None = None) -> Mask:
    """Vessel probability of an X-ray frame.

    Parameters
    ----------
    image : (rows, columns) uint8 or uint16, vessels dark, any gain and depth

    Returns
    -------
    (rows, columns) uint8, 128 and more is vessel; all zero when there is none

    Raises
    ------
    InvalidInputError
        Not a two-dimensional uint8 or uint16 image.
    """
    config = config or SegmentationConfig()
    check_image(image)
    if min(image.shape) < _SMALLEST:
        return np.zeros(image.shape, np.uint8)
    frame = absorption(image, config.max_width)
    margin = np.ones((2 * _COLLIMATOR + 1,) * 2)
    inside = cv2.erode(half_size(float32(frame.valid)), margin) == 1
    ridge = vesselness(np.maximum(frame.value, 0), config.scales)  # beside something brighter is no vessel
    core = _cores(np.where(inside, ridge, 0), inside, config)
    return lumen(frame.value, core, config.max_width) if core.any() else np.zeros(image.shape, np.uint8)


def vesselness(value: Float32Array, scales: tuple[float, ...]) -> Float32Array:
    """Ridge strength at half size: the largest scale-normalised curvature across, less the one along.

    Parameters
    ----------
    value : (rows, columns) absorption
    scales : standard deviations in px of `value`

    Returns
    -------
    (ceil(rows / 2), ceil(columns / 2)), about half the ridge's height at the fitting scale, 0 on blobs and edges
    """
    half = half_size(value)
    best = np.zeros_like(half)
    for scale in scales:
        sigma = scale / 2
        matrix = hessian_matrix(half, sigma=sigma, order="rc", use_gaussian_derivatives=False)
        along, across = hessian_matrix_eigvals(matrix)
        np.maximum(best, sigma**2 * (-across - np.abs(along)), out=best)
    return best


def _cores(ridge: Float32Array, inside: BoolArray, config: SegmentationConfig) -> BoolArray:
    """Half-size skeleton of the ridges that are strong somewhere, long, and above the noise."""
    positive = ridge[ridge > 0]
    if positive.size == 0:
        return np.zeros(ridge.shape, bool)
    strongest = float(np.percentile(ridge, 99)) or float(positive.max())
    noisy = positive.size > _NOISY * np.count_nonzero(inside)  # else a drawn picture: all its ridges are vessels
    noise = config.noise_factor * float(np.median(positive)) if noisy else 0.0  # most of the picture is no vessel
    high = max(config.seed_contrast * strongest, noise)
    low = max(config.follow_contrast * strongest, _FOLLOW * noise)
    return _long(skeletonize(apply_hysteresis_threshold(ridge, min(low, high), high)), ridge, config)


def _long(skeleton: BoolArray, ridge: Float32Array, config: SegmentationConfig) -> BoolArray:
    """Pieces that are long enough, in groups that hold a fair share of the ridge strength of the strongest group.

    Where a branch leaves a wide vessel the ridge is interrupted: pieces with a small gap between them are one group.
    """
    _, label, stats, _ = cv2.connectedComponentsWithStats(skeleton.astype(np.uint8), connectivity=8)
    long = 2 * np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) >= config.min_length
    long[0] = False  # label 0 is everything else
    kept = long[label]
    _, group = cv2.connectedComponents(cv2.dilate(kept.astype(np.uint8), np.ones((_GAP + 1,) * 2)), connectivity=8)
    mass = np.bincount(group[kept], weights=ridge[kept]) if kept.any() else np.zeros(1)
    return np.asarray(kept & (mass >= config.min_share * mass.max())[group * kept])
