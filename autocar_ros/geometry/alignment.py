"""Two views brought to agree: plane B corrected so that both absorb as much along corresponding epipolar lines.

A plane through both X-ray sources cuts each image in a line, and what is absorbed along the two lines must be the same
(epipolar consistency: Aichert et al., IEEE TMI 34, 2015). Summed over a fan of such planes each view gives one profile,
and the correction of plane B under which the profiles agree best is found without any correspondence. The table of a
real arm moves in three directions: across the epipolar lines, which shifts one profile along the other; towards the
detector of plane B, which stretches it; and along the epipolar lines, which only moves the whole tree in depth: that
two views cannot tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.signal import find_peaks

from autocar_ros.config import AlignmentConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel, shift_image
from autocar_ros.geometry.consistency import Absorbed, agreement, difference, epipolar_fan
from autocar_ros.types import MASK_THRESHOLD, AbsorptionMap, CArmPose, FloatArray, Mask, ViewAlignment

STEP = 1.0  # mm between tried shifts: a peak is some mm wide
FINER = np.arange(-0.75, 0.8, 0.25)  # mm about the best of them
NEAR = 3.0  # mm: shifts nearer to each other than this are one peak
CLEAR = 0.3  # by which the best shift correlates more than the next of full confidence
PRIOR = 0.1  # of a pose that is off by its usual error, against profiles that have nothing in common
PROBE = 0.1  # usual errors, for slopes
ROUNDS = 6  # of least squares
WORTH = 0.03  # of the correlation that angles and distances must gain
LEAST_SHIFT = 0.75  # mm, about a plane of a profile: a smaller shift is no better known than the reported pose
USUAL_SHIFT = 4.0  # mm; larger ones are ever less likely, and must gain more
WORTH_SHIFT = 0.1  # of the correlation, by which a shift must gain more than one of a third (1/e) of its size
# mm that the table may have moved towards the detector of plane B; the first is best where several are as good
DEPTHS = np.array([0.0, 20.0, -20.0, 30.0, -30.0, 40.0, -40.0])
FINER_DEPTHS = np.array([0.0, 5.0, -5.0])  # mm about the best of them: 5 mm change a length of 100 by less than 1
LEAST_DEPTH = 20.0  # mm; a smaller one is no better known than the reported pose
USUAL_DEPTH = 20.0  # mm; larger ones are ever less likely
WORTH_DEPTH = 0.3  # of the logarithm of what profiles have not in common, as `WORTH_SHIFT`
NOISE = 0.05  # of the correlation, that right views do not have in common either

How = Literal["shift", "full"]


@dataclass(frozen=True)
class Sighting:
    """What one view absorbs where."""

    pixels: FloatArray  # (N, 2) px (column, row)
    weight: FloatArray  # (N,) > 0
    pose: CArmPose

    @property
    def absorbed(self) -> Absorbed:
        """Pixels and weight."""
        return self.pixels, self.weight

    def every(self, count: int) -> Sighting:
        """One of so many pixels."""
        return replace(self, pixels=self.pixels[::count], weight=self.weight[::count])


Pairs = Sequence[tuple[Sighting, Sighting]]


def sighting(mask: Mask, pose: CArmPose, absorption: AbsorptionMap | None = None) -> Sighting:
    """Vessels of one view.

    Parameters
    ----------
    mask : (rows, columns) uint8, 128 and more is vessel
    absorption : (rows, columns) what the vessels absorb. Without it the distance to the border of the vessel stands for
        it, whose sum over a cross section grows with its area, too

    Raises
    ------
    InvalidInputError
        When there are no vessels.
    """
    vessel = (mask >= MASK_THRESHOLD).astype(np.uint8)
    value = cv2.distanceTransform(vessel, cv2.DIST_L2, cv2.DIST_MASK_3) if absorption is None else absorption
    row, column = np.nonzero((vessel > 0) & (value > 0))
    if len(row) == 0:
        raise InvalidInputError("the mask is empty: there is nothing to align the views by")
    return Sighting(np.stack([column, row], 1).astype(float), value[row, column].astype(float), pose)


def align(pairs: Pairs, how: How = "shift", config: AlignmentConfig | None = None) -> ViewAlignment:
    """Correction of plane B under which it agrees with plane A; none where the reported pose is as good.

    Parameters
    ----------
    pairs : plane A and plane B at one heart phase each; all are shifted alike
    how : "shift" of the table: across the epipolar lines, and towards the detector, which is a distance (`sod`) of
        its source; "full" corrects angles and all distances, too

    Raises
    ------
    InvalidInputError
        Without pairs, or when both planes have one X-ray source.
    """
    config = config or AlignmentConfig()
    if not pairs:
        raise InvalidInputError("need at least one pair of views to align")
    found = _moved(pairs, config)
    return _refined(pairs, found, config) if how == "full" else found


def _moved(pairs: Pairs, config: AlignmentConfig) -> ViewAlignment:
    """Best of all depths, and of all shifts across the epipolar lines at this depth."""
    depth = _depth(pairs, config)
    found = replace(_shifted(_at_depth(pairs, depth), config), sod=depth)
    return replace(found, residual_before=1 - float(_mean_agreement(pairs, np.zeros(1))[0])) if depth else found


def _depth(pairs: Pairs, config: AlignmentConfig) -> float:
    """Distance in mm that the table has moved towards the detector of plane B; 0 where none tells much more.

    How much a depth tells is a ratio of what profiles have not in common, as the logarithm of a likelihood is: from
    .16 to .03 is far more than from .56 to .43. Masks with damage hardly tell it: of 30 mm 27 were left in the mean of
    72 simulated pairs, with little damage 18 in that of 48, and where there is none one was found in 4 and 2 %; perfect
    masks of 20 whole trees left 6 to 14, and showed one that is none in three of them.
    """
    shifts = _outwards(config.largest_shift, 2 * STEP)
    demand = _demand(shifts)
    room = min(second.pose.source_to_detector - second.pose.source_to_isocenter for _, second in pairs)

    def best(depths: FloatArray) -> float:
        size = np.abs(depths)
        depths = depths[(depths < room) & (size <= config.largest_shift) & ((size == 0) | (size >= LEAST_DEPTH))]
        score = np.stack([_mean_agreement(_at_depth(pairs, float(d)), shifts) for d in depths])
        chosen = (score - demand).argmax(1)
        agree, asked = score[np.arange(len(depths)), chosen], demand[chosen]
        apart = 1 - agree + asked - asked.min() + NOISE
        worth = -np.log(apart) - WORTH_DEPTH * np.log1p(np.abs(depths) / USUAL_DEPTH)
        return float(depths[worth.argmax()])

    rough = best(DEPTHS)
    return best(rough + FINER_DEPTHS) if rough else 0.0


def _at_depth(pairs: Pairs, depth: float) -> Pairs:
    """Pairs whose plane B has its source farther away."""
    if not depth:
        return pairs
    deep = ViewAlignment(sod=depth)
    return [(first, replace(second, pose=corrected(second.pose, deep))) for first, second in pairs]


def _shifted(pairs: Pairs, config: AlignmentConfig) -> ViewAlignment:
    """Best of all shifts across the epipolar lines; that of none is as sure as its views agree."""
    tried = _outwards(config.largest_shift, STEP)
    score = _mean_agreement(pairs, tried)
    likely = score - _demand(tried)
    best = int(likely.argmax())
    far = np.zeros(len(tried), np.bool_)  # other peaks: where the score falls to both sides
    far[find_peaks(likely)[0]] = True
    far &= np.abs(tried - tried[best]) > NEAR
    near = tried[best] + FINER
    finer = _mean_agreement(pairs, near)
    chosen = int((finer - _demand(near)).argmax())
    agree, ahead = float(finer[chosen]), likely[best] - likely[far].max(initial=-1.0)
    confidence = float(np.clip(ahead / CLEAR, 0, 1)) * max(agree, 0.0)
    column, row = near[chosen] * epipolar_fan(pairs[0][0].pose, pairs[0][1].pose).across
    if near[chosen] == 0.0:
        confidence = max(confidence, agree)
    return ViewAlignment(
        shift=(float(column), float(row)),
        residual_before=1 - float(np.interp(0.0, tried, score)),
        residual_after=1 - agree,
        confidence=confidence,
        unobservable=_along(*pairs[0]),
        reason="" if confidence >= config.least_confidence else _doubt(tried, score, best, far),
    )


def _outwards(largest: float, step: float) -> FloatArray:
    """Shifts in mm to either side of none, in order."""
    count = int(largest / step + 1e-9)
    return step * np.arange(-count, count + 1.0)


def _demand(shifts: FloatArray) -> FloatArray:
    """Correlation (S,) that shifts (S,) mm must gain: a prior with a heavy tail, as a table is moved far or not at all.

    On 90 simulated pairs with damaged masks and up to 2 mm of motion between the views, shifted by 0 to 15 mm, errors
    above 1 mm fell from 30 % (nothing but a threshold for all shifts) to 21 %, those above 3 mm from 11 to 9 %.
    """
    size = np.abs(shifts)
    return np.where((size > 0) & (size < LEAST_SHIFT), np.inf, WORTH_SHIFT * np.log1p(size / USUAL_SHIFT))


def are_alike(one: ViewAlignment, other: ViewAlignment, pose: CArmPose, near: float = NEAR) -> bool:
    """Whether two corrections of a pose mean one place of the table: `near` mm, and depths that are not told apart."""
    across = float(np.linalg.norm(np.subtract(one.shift, other.shift))) * mm_per_pixel(pose)
    return across <= near and abs(one.sod - other.sod) < LEAST_DEPTH


def as_reported(found: ViewAlignment) -> ViewAlignment:
    """No correction, with all else that was found."""
    return ViewAlignment(
        residual_before=found.residual_before,
        residual_after=found.residual_before,
        confidence=found.confidence,
        unobservable=found.unobservable,
        reason=found.reason,
    )


def _mean_agreement(pairs: Pairs, shifts: FloatArray) -> FloatArray:
    """Correlation (S,) of all pairs for each shift."""
    fans = [epipolar_fan(first.pose, second.pose) for first, second in pairs]
    found = [agreement(fan, a.absorbed, b.absorbed, shifts) for fan, (a, b) in zip(fans, pairs, strict=True)]
    return np.asarray(np.mean(found, axis=0))


def _refined(pairs: Pairs, found: ViewAlignment, config: AlignmentConfig) -> ViewAlignment:
    """Shift, angles and distances under which the profiles differ least, by least squares with priors."""
    usual = np.array([NEAR, *np.radians([config.angle_error] * 2), *[config.distance_error] * 2])
    across = epipolar_fan(pairs[0][0].pose, pairs[0][1].pose).across

    def at(x: FloatArray) -> ViewAlignment:
        shift, primary, secondary, sid, sod = (float(v) for v in x * usual)
        column, row = found.shift + shift * across
        moved = (float(column), float(row))
        return replace(found, shift=moved, primary=primary, secondary=secondary, sid=sid, sod=found.sod + sod)

    def differences(x: FloatArray) -> FloatArray:
        alignment = at(x)
        seen = [_difference(first, second, alignment) for first, second in pairs]
        return np.concatenate([np.concatenate(seen) / np.sqrt(len(pairs)), PRIOR * x[1:]])

    def slopes(x: FloatArray) -> FloatArray:
        here = differences(x)
        return np.stack([(differences(x + PROBE * one) - here) / PROBE for one in np.eye(len(x))], 1)

    best = least_squares(differences, np.zeros(5), slopes, bounds=(-3, 3), max_nfev=ROUNDS, xtol=1e-2, ftol=1e-3).x
    refined = at(best)
    seen = [_difference(first, second, refined) for first, second in pairs]
    residual = float(np.mean([(d**2).sum() for d in seen])) / 2
    return replace(refined, residual_after=residual) if found.residual_after - residual >= WORTH else found


def _difference(first: Sighting, second: Sighting, alignment: ViewAlignment) -> FloatArray:
    return difference(epipolar_fan(first.pose, corrected(second.pose, alignment)), first.absorbed, second.absorbed)


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


def reported(pose: CArmPose, alignment: ViewAlignment) -> CArmPose:
    """Pose of plane B as it was before its correction: the inverse of `corrected`."""
    back = replace(
        alignment,
        shift=(-alignment.shift[0], -alignment.shift[1]),
        primary=-alignment.primary,
        secondary=-alignment.secondary,
        sid=-alignment.sid,
        sod=-alignment.sod,
    )
    return corrected(pose, back)


def _doubt(tried: FloatArray, score: FloatArray, best: int, far: NDArray[np.bool_]) -> str:
    other = int(np.where(far, score, -1.0).argmax())
    if score[best] < 0.5 or not far.any():
        return f"other artery or phase?: the views agree on {max(score[best], 0):.0%} only"
    return f"two shifts fit alike: {tried[best]:.0f} and {tried[other]:.0f} mm"


def _along(first: Sighting, second: Sighting) -> FloatArray:
    """Unit direction (3,) in the world: epipolar line through the isocentre in the detector of the second view."""
    cameras = camera_from_pose(first.pose), camera_from_pose(second.pose)
    baseline, axis = cameras[1].source - cameras[0].source, cameras[1].rotation[2]
    along = baseline - axis * (baseline @ axis)
    return np.asarray(along / np.linalg.norm(along))
