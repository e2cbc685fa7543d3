"""Two views brought to agree: plane B corrected so that both absorb as much along corresponding epipolar lines.

A plane through both X-ray sources cuts each image in a line, and what is absorbed along the two lines must be the same
(epipolar consistency: Aichert et al., IEEE TMI 34, 2015). Summed over a fan of such planes each view gives one profile,
and the correction of plane B under which the profiles agree best is found without any correspondence. A shift along
the epipolar lines only moves the whole tree in depth: two views cannot tell it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from autocar_ros.config import AlignmentConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel, shift_image
from autocar_ros.geometry.consistency import agreement, epipolar_fan
from autocar_ros.types import CArmPose, FloatArray, Mask, ViewAlignment

VESSEL = 128  # of vessel probability 0..255 (FramePair.msg)
STEP = 0.5  # mm between tried shifts
NEAR = 3.0  # mm: shifts nearer to each other than this are one peak
PLANES = 400  # epipolar planes of a profile
FAN = 0.2  # rad on either side of the isocentre that they cover
CLEAR = 0.3  # by which the best shift correlates more than the next of full confidence

How = Literal["shift", "full"]


@dataclass(frozen=True)
class Sighting:
    """What one view absorbs where."""

    pixels: FloatArray  # (N, 2) px (column, row)
    weight: FloatArray  # (N,) > 0
    pose: CArmPose


def sighting(mask: Mask, pose: CArmPose, absorbed: NDArray[np.floating] | None = None) -> Sighting:
    """Vessels of one view.

    Parameters
    ----------
    mask : (rows, columns) uint8, 128 and more is vessel
    absorbed : (rows, columns) log attenuation in front of the background (`imaging.enhance.absorption`). Without it
        the distance to the border of the vessel stands for it, whose sum over a cross section grows with its area, too

    Raises
    ------
    InvalidInputError
        When there are no vessels.
    """
    vessel = (mask >= VESSEL).astype(np.uint8)
    value = cv2.distanceTransform(vessel, cv2.DIST_L2, cv2.DIST_MASK_3) if absorbed is None else absorbed
    row, column = np.nonzero((vessel > 0) & (value > 0))
    if len(row) == 0:
        raise InvalidInputError("the mask is empty: there is nothing to align the views by")
    return Sighting(np.stack([column, row], 1).astype(float), value[row, column].astype(float), pose)


def align(
    pairs: Sequence[tuple[Sighting, Sighting]], how: How = "shift", config: AlignmentConfig | None = None
) -> ViewAlignment:
    """Correction of plane B under which it agrees with plane A.

    Parameters
    ----------
    pairs : plane A and plane B at one heart phase each; all are shifted alike
    how : "shift" across the epipolar lines; "full" corrects angles and distances, too

    Raises
    ------
    InvalidInputError
        Without pairs, or when both planes have one X-ray source.
    """
    config = config or AlignmentConfig()
    if not pairs:
        raise InvalidInputError("need at least one pair of views to align")
    tried = np.arange(-config.largest_shift, config.largest_shift + STEP / 2, STEP)
    score = np.mean([_scores(first, second, tried) for first, second in pairs], axis=0)
    best = int(score.argmax())
    far = np.zeros(len(tried), np.bool_)  # other peaks: where the score falls to both sides
    far[find_peaks(score)[0]] = True
    far &= np.abs(tried - tried[best]) > NEAR
    gap = score[best] - score[far].max(initial=-1.0)
    confidence = float(np.clip(gap / CLEAR, 0, 1)) * max(float(score[best]), 0.0)
    cameras = [camera_from_pose(view.pose) for view in pairs[0]]
    baseline = _plane_axes(*cameras)[0]
    column, row = _across(cameras[1], baseline) * (tried[best] / mm_per_pixel(pairs[0][1].pose))
    reason = "" if confidence >= config.least_confidence else _doubt(tried, score, best, far)
    return ViewAlignment(
        shift=(float(column), float(row)),
        residual_before=1 - float(np.interp(0.0, tried, score)),
        residual_after=1 - float(score[best]),
        confidence=confidence,
        unobservable=_along(cameras[1], baseline),
        reason=reason,
    )


def corrected(pose: CArmPose, alignment: ViewAlignment) -> CArmPose:
    """Pose of plane B with its correction; raises `PoseError` when none is left."""
    turned = replace(
        pose,
        primary_angle=pose.primary_angle + alignment.primary,
        secondary_angle=pose.secondary_angle + alignment.secondary,
        source_to_detector=pose.source_to_detector + alignment.sid,
        source_to_isocenter=pose.source_to_isocenter + alignment.sod,
    )
    return shift_image(turned, *alignment.shift).check()


def _scores(first: Sighting, second: Sighting, tried: FloatArray) -> FloatArray:
    """Correlation (S,) of the profiles of two views with the second one shifted by so many mm at the isocentre."""
    fan = epipolar_fan(first.pose, second.pose)
    return agreement(fan, (first.pixels, first.weight), (second.pixels, second.weight), tried)


def _doubt(tried: FloatArray, score: FloatArray, best: int, far: NDArray[np.bool_]) -> str:
    other = int(np.where(far, score, -1.0).argmax())
    if score[best] < 0.5:
        return f"other artery or phase?: the views agree on {max(score[best], 0):.0%} only"
    return f"two shifts fit alike: {tried[best]:.0f} and {tried[other]:.0f} mm"


def _plane_axes(first: Camera, second: Camera) -> FloatArray:
    """(3, 3) baseline, and two axes across it that the angle of an epipolar plane is measured in; 0 = isocentre."""
    baseline = second.source - first.source
    if np.linalg.norm(baseline) < 1.0:
        raise InvalidInputError("both views have one X-ray source: choose runs from different angles")
    baseline = baseline / np.linalg.norm(baseline)
    middle = -(first.source + second.source) / 2
    middle -= baseline * (middle @ baseline)
    normal = np.cross(baseline, middle / np.linalg.norm(middle))
    return np.stack([baseline, normal, np.cross(baseline, normal)])


def _profile(camera: Camera, axes: FloatArray, pixels: FloatArray, weight: FloatArray) -> FloatArray:
    """Absorption (PLANES,) in the fan of epipolar planes."""
    normal = np.cross(axes[0], camera.rays(pixels))
    angle = (np.arctan2(normal @ axes[2], normal @ axes[1]) + np.pi / 2) % np.pi - np.pi / 2
    found: NDArray[np.float64] = np.histogram(angle, PLANES, (-FAN, FAN), weights=weight)[0]
    return np.asarray(gaussian_filter1d(found, 1.0))


def _across(camera: Camera, baseline: FloatArray) -> FloatArray:
    """Unit direction (2,) px across the epipolar line through the isocentre."""
    (start, end), _ = camera.project(np.stack([np.zeros(3), baseline]))
    along = (end - start) / np.linalg.norm(end - start)
    return np.array([-along[1], along[0]])


def _along(camera: Camera, baseline: FloatArray) -> FloatArray:
    """Unit direction (3,) in the world of the epipolar line through the isocentre in the detector of a view."""
    axis = camera.rotation[2]
    along = baseline - axis * (baseline @ axis)
    return np.asarray(along / np.linalg.norm(along))
