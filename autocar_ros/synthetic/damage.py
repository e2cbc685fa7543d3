"""What segmentations get wrong: vessels lost, gaps, wrong widths, ragged borders, and things that are no vessels.

Everything grows with one strength from 0 (perfect) to 1 (as bad as masks of real runs get). How much of it falls on
which kind of mistake is drawn anew for every mask.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from autocar_ros.synthetic.fields import log_uniform, smooth_field
from autocar_ros.types import FloatArray, Mask

FAINT = 0.9  # mm, radius below which vessels are lost at full strength
PATCHINESS = 0.35  # how much the contrast of vessels differs from place to place, log
PATCH = 20.0  # mm, size of the places
GAPS = 8.0  # mean number at full strength
GAP = (1.0, 8.0)  # mm, half a gap's length, shortest and longest
WIDTH = (-0.35, 0.5)  # mm by which borders move at most, inwards and outwards
RAGGED = 0.35  # mm, standard deviation of a border
GRAIN = 1.5  # mm, size of its teeth
FALSE_BRANCHES = 6.0  # mean number
FALSE_LENGTH = (5.0, 60.0)  # mm
FALSE_WIDTH = (0.6, 1.8)  # mm
STEP = 1.0  # mm along them
BLOBS = 4.0  # mean number
BLOB = (0.7, 6.0)  # mm, half axes


def lose_vessels(rng: Generator, position: FloatArray, radius: FloatArray, strength: float) -> FloatArray:
    """Choose what one view shows of a tree: faint vessels are lost, others interrupted.

    Parameters
    ----------
    position, radius : (N, 3), (N,) mm
    strength : 0..1

    Returns
    -------
    (N,) 1 where the vessel is shown, else 0
    """
    faint, gaps = strength * rng.uniform(size=2)
    contrast = radius * np.exp(PATCHINESS * smooth_field(rng, position, PATCH, 1)[:, 0])
    shown = contrast >= FAINT * faint
    for _ in range(rng.poisson(GAPS * gaps)):
        center = position[rng.integers(len(position))]
        shown &= np.linalg.norm(position - center, axis=1) > rng.uniform(*GAP) * strength
    return np.asarray(shown, float)


def damage_mask(rng: Generator, mask: Mask, pixel: float, strength: float) -> Mask:
    """Damage a mask (rows, columns) of 0 and 255, its pixels being `pixel` mm, by a strength of 0..1."""
    if strength == 0:
        return mask
    width, ragged, branches, blobs = strength * rng.uniform(size=4)
    move = float(rng.uniform(*WIDTH)) * width
    damaged = _move_border(rng, mask, move / pixel, RAGGED * ragged / pixel, GRAIN / pixel)
    for _ in range(rng.poisson(FALSE_BRANCHES * branches)):
        _draw_branch(rng, damaged, mask, pixel)
    for _ in range(rng.poisson(BLOBS * blobs)):
        _draw_blob(rng, damaged, pixel)
    return damaged


def _move_border(rng: Generator, mask: Mask, outwards: float, ragged: float, grain: float) -> Mask:
    """Move the border by `outwards` px here and there more or less; what is drawn is new."""
    size = mask.shape[::-1]
    inside, outside = (cv2.distanceTransform(m, cv2.DIST_L2, 3) for m in (mask, 255 - mask))
    coarse = rng.normal(size=[max(int(n / grain), 2) for n in mask.shape]).astype(np.float32)
    noise = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    # Distances run from pixel to pixel: the border lies half a pixel before the next one.
    depth = inside - outside + np.where(mask > 0, np.float32(-0.5), np.float32(0.5))
    return np.where(depth + outwards + ragged * noise > 0, np.uint8(255), np.uint8(0))


def _draw_branch(rng: Generator, out: Mask, mask: Mask, pixel: float) -> None:
    """Draw a curve that is no vessel, from a vessel or from anywhere."""
    vessel = np.flatnonzero(mask)
    attached = len(vessel) > 0 and rng.random() < 0.5
    start = rng.choice(vessel) if attached else rng.integers(mask.size)
    s = np.arange(0.0, log_uniform(rng, *FALSE_LENGTH), STEP)[:, None]
    angle = rng.uniform(0, 2 * np.pi) + s / 30 * rng.normal() + 0.5 * smooth_field(rng, s, 10.0, 1)
    way = np.cumsum(np.concatenate([np.cos(angle), np.sin(angle)], axis=1), axis=0) * STEP / pixel
    points = np.rint(way + np.array([start % mask.shape[1], start // mask.shape[1]])).astype(np.int32)
    cv2.polylines(out, [points], False, 255, max(round(float(rng.uniform(*FALSE_WIDTH)) / pixel), 1))


def _draw_blob(rng: Generator, out: Mask, pixel: float) -> None:
    """Draw a spot, half of the time at the border of the image, where collimator and diaphragm are."""
    center = rng.uniform(size=2)
    if rng.random() < 0.5:
        center[rng.integers(2)] = rng.integers(2)
    x, y = center * out.shape[::-1]
    axes = [2 * log_uniform(rng, *BLOB) / pixel for _ in range(2)]
    cv2.ellipse(out, ((x, y), axes, float(rng.uniform(0, 180))), 255, cv2.FILLED)
