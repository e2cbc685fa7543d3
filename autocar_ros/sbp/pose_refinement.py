"""Plane B refined by reprojection: the correction under which both centrelines lift to 3D at the least cost.

Bundle adjustment of curves. Every point of a centreline is free in depth, and lifting finds the best depths of all of
them exactly (`sbp.lifting`); what is left is a function of the correction alone: how far the tree, seen from the other
view, lies beside that view's centrelines, how unlike the radii are, and how much its depth jumps. Ends, bifurcations
and places where a vessel runs along an epipolar line hold it. A search without slopes (Powell 1964) finds its minimum
under priors. The distance of both X-ray sources, and with it the size of the tree, stays unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize

from autocar_ros.config import AlignmentConfig, ReconstructionConfig
from autocar_ros.errors import PoseError
from autocar_ros.geometry.alignment import NOISE, Sighting, corrected, sighting
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel
from autocar_ros.geometry.consistency import agreement, epipolar_fan
from autocar_ros.sbp.lifting import DEPTH_STEP
from autocar_ros.sbp.lifting_cost import Strand, lifting_cost, strand
from autocar_ros.sbp.observation import centrelines
from autocar_ros.types import CArmPose, FloatArray, FramePair, ViewAlignment
from autocar_ros.vessels.skeleton import THINNING

SHIFT_ERROR = 8.0  # mm, of the table: what epipolar consistency left, or cannot see
PRIOR = 0.002  # mm of cost, of one usual error
WORTH = 0.01  # mm of cost that a correction must gain
WORTH_OF_ONE = 0.028  # the same of one moment, measured coarsely; of n moments it is 1 / sqrt(n) of it
SURER = 2.0  # times that must be gained where epipolar consistency has confirmed the reported pose
DISAGREEMENT = 0.15  # mm of cost, of profiles along epipolar lines that have nothing in common
FEWER = 4  # pixels of vessel of which one tells a profile
COARSE, COARSE_DEPTH = 2.5, 1.0  # mm between points of a centreline, and between depths that are tried
SEARCH = {"xtol": 0.05, "ftol": 1e-3, "maxfev": 220}

Lines = tuple[Strand, Strand]


def refine(
    pair: FramePair,
    found: ViewAlignment,
    reconstruction: ReconstructionConfig,
    alignment: AlignmentConfig,
    shown: tuple[Sighting, Sighting] | None = None,
) -> ViewAlignment:
    """Correction of plane B refined; the one that was found where no other lifts both centrelines better.

    Angles and table are refined. The table alone, from a shift across the epipolar lines, is not worth it: of the tree
    that is right by that shift (simulated masks with damage and motion, the phantom, two patients) nothing gets better.
    A correction under which both planes agree less along epipolar lines must lift so much the better: what the masks
    have wrong is lifted well by a wrong one, too.

    Parameters
    ----------
    pair : both planes as reported, without `found`
    shown : what they absorb, from where `found` comes; the masks stand for it unless it is given

    Raises
    ------
    ReconstructionError
        When a mask is empty or full.
    """
    lines, views = _lines(pair), [shown or _sightings(pair)]
    refined = _searched([pair], [lines], found, reconstruction, _usual(alignment), DEPTH_STEP, WORTH)

    if refined is found:
        return found

    def doubt(correction: ViewAlignment) -> float:
        return _cost(lines, pair, correction, reconstruction, DEPTH_STEP) * (_disagreement(views, correction) + NOISE)

    return refined if doubt(refined) < doubt(found) else found


def refine_moments(
    pairs: Sequence[FramePair],
    found: ViewAlignment,
    reconstruction: ReconstructionConfig,
    alignment: AlignmentConfig,
) -> ViewAlignment:
    """As `refine`, of several moments together, each measured coarsely in a sixth of the time.

    How well both planes agree along epipolar lines counts, too: lifting measured coarsely would give it up. Under a
    right pose a search gains by chance, the less the more moments must agree: so does what it must gain.
    """
    seen = [_lines(pair, COARSE) for pair in pairs]
    views = [_sightings(pair) for pair in pairs]

    def disagreement(alignment: ViewAlignment) -> float:
        return DISAGREEMENT * _disagreement(views, alignment)

    worth = (SURER if found.confirms else 1.0) * WORTH_OF_ONE / np.sqrt(len(pairs))
    return _searched(pairs, seen, found, reconstruction, _usual(alignment), COARSE_DEPTH, worth, disagreement)


def _usual(alignment: AlignmentConfig) -> FloatArray:
    """Usual errors (5,) of both angles [rad] and of the table along column, row and depth [mm]."""
    return np.array([*[np.radians(alignment.angle_error)] * 2, *[SHIFT_ERROR] * 3])


def _searched(
    pairs: Sequence[FramePair],
    seen: Sequence[Lines],
    found: ViewAlignment,
    config: ReconstructionConfig,
    usual: FloatArray,
    step: float,
    worth: float,
    besides: Callable[[ViewAlignment], float] | None = None,
) -> ViewAlignment:
    """Best correction near the found one, searched in steps of the usual errors (5,).

    `step` is in mm of depth, `worth` in mm of cost, `besides` more cost in mm of a correction.
    """
    reported = pairs[0].pose_b
    start = _as_table_shift(found, reported)

    def at(x: FloatArray) -> ViewAlignment:
        return moved(start, reported, x * usual)

    def costs(alignment: ViewAlignment) -> float:
        lifted = [_cost(lines, pair, alignment, config, step) for lines, pair in zip(seen, pairs, strict=True)]
        return float(np.mean(lifted)) + (besides(alignment) if besides and np.isfinite(lifted).all() else 0.0)

    def penalized(x: FloatArray) -> float:
        return costs(at(x)) + PRIOR * float(x @ x)

    best = minimize(penalized, np.zeros(len(usual)), method="Powell", options=SEARCH)  # type: ignore[call-overload]
    return at(best.x) if costs(found) - best.fun >= worth else found


def _disagreement(views: Sequence[tuple[Sighting, Sighting]], alignment: ViewAlignment) -> float:
    """1 - mean correlation of what both planes show along epipolar lines, under a correction of plane B."""
    fans = [epipolar_fan(first.pose, corrected(second.pose, alignment)) for first, second in views]
    found = [agreement(fan, a.absorbed, b.absorbed)[0] for fan, (a, b) in zip(fans, views, strict=True)]
    return 1 - float(np.mean(found))


def _sightings(pair: FramePair) -> tuple[Sighting, Sighting]:
    first, second = (sighting(mask, pose) for mask, pose in ((pair.mask_a, pair.pose_a), (pair.mask_b, pair.pose_b)))
    return first.every(FEWER), second.every(FEWER)


def _lines(pair: FramePair, apart: float | None = None) -> Lines:
    """Centrelines of both views with points so many mm apart; as lifting takes them with None."""
    views = zip(centrelines(pair), (pair.pose_a, pair.pose_b), strict=True)
    first, second = (strand(line, apart / mm_per_pixel(pose) if apart else THINNING) for line, pose in views)
    return first, second


def _as_table_shift(found: ViewAlignment, reported: CArmPose) -> ViewAlignment:
    """A mere shift of the image taken for one of the table; a correction with angles as it is."""
    if found.primary or found.secondary:
        return found
    right, down = (float(v) * mm_per_pixel(reported) for v in found.shift)
    return moved(replace(found, shift=(0.0, 0.0)), reported, np.array([0.0, 0.0, right, down, 0.0]))


def moved(found: ViewAlignment, reported: CArmPose, x: FloatArray) -> ViewAlignment:
    """Correction with (5,) more: primary and secondary angle [rad], table shift along column, row and depth [mm].

    A table shift also moves the X-ray source over the patient: a shift of the image and a turn.
    """
    primary, secondary, right, down, deep = (float(v) for v in x)
    reach, size = reported.source_to_isocenter, mm_per_pixel(reported)
    return replace(
        found,
        shift=(found.shift[0] + right / size, found.shift[1] + down / size),
        primary=found.primary + primary + right / (reach * float(np.cos(reported.secondary_angle))),
        secondary=found.secondary + secondary - down / reach,
        sod=found.sod + deep,
    )


def _cost(lines: Lines, pair: FramePair, alignment: ViewAlignment, config: ReconstructionConfig, step: float) -> float:
    """Mean cost of lifting both centrelines, mm; infinite for a pose that cannot be."""
    try:
        second = camera_from_pose(corrected(pair.pose_b, alignment))
    except PoseError:
        return np.inf
    own, other, first = *lines, camera_from_pose(pair.pose_a)
    there = lifting_cost(own, first, other, second, config, step)
    return (there + lifting_cost(other, second, own, first, config, step)) / 2
