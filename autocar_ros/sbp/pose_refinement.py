"""Plane B refined by reprojection: the correction under which both centrelines lift to 3D at the least cost.

Bundle adjustment of curves. Every point of a centreline is free in depth, and lifting finds the best depths of all of
them exactly (`sbp.lifting`); what is left is a function of the correction alone: how far the tree, seen from the other
view, lies beside that view's centrelines, how unlike the radii are, and how much its depth jumps. Ends, bifurcations
and places where a vessel runs along an epipolar line hold it. A search without slopes (Powell 1964) finds its minimum
under priors. The distance of both X-ray sources, and with it the size of the tree, stays unseen.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize

from autocar_ros.config import AlignmentConfig, ReconstructionConfig
from autocar_ros.errors import PoseError
from autocar_ros.geometry.alignment import How, corrected
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel
from autocar_ros.sbp.lifting import lifting_cost
from autocar_ros.sbp.observation import centrelines
from autocar_ros.types import CArmPose, FloatArray, FramePair, ViewAlignment
from autocar_ros.vessels.skeleton import Centreline

SHIFT_ERROR = 8.0  # mm, of the table: what epipolar consistency left, or cannot see
PRIOR = 0.002  # mm of cost, of one usual error
WORTH = 0.01  # mm of cost that a correction must gain
SEARCH = {"xtol": 0.05, "ftol": 1e-3, "maxfev": 220}

Lines = tuple[Centreline, Centreline]


def refine(
    pair: FramePair,
    found: ViewAlignment,
    reconstruction: ReconstructionConfig,
    alignment: AlignmentConfig,
    how: How = "full",
) -> ViewAlignment:
    """Correction of plane B refined; the one that was found where no other lifts both centrelines better.

    Parameters
    ----------
    pair : both planes as reported, without `found`
    how : "full" refines angles and table; "shift" only the table, and nothing where it was found not to have moved

    Raises
    ------
    ReconstructionError
        When a mask is empty or full.
    """
    lines, first, reported = centrelines(pair), camera_from_pose(pair.pose_a), pair.pose_b
    if how == "shift" and found.shift == (0.0, 0.0):
        return found
    start = _as_table_shift(found, reported)
    angles = [np.radians(alignment.angle_error)] * 2 if how == "full" else []
    usual = np.array([*angles, *[SHIFT_ERROR] * 3])

    def at(x: FloatArray) -> ViewAlignment:
        return moved(start, reported, np.concatenate([np.zeros(5 - len(usual)), x * usual]))

    def cost(x: FloatArray) -> float:
        return _cost(lines, first, reported, at(x), reconstruction) + PRIOR * float(x @ x)

    best = minimize(cost, np.zeros(len(usual)), method="Powell", options=SEARCH)  # type: ignore[call-overload]
    before = _cost(lines, first, reported, found, reconstruction)
    return at(best.x) if before - best.fun >= WORTH else found


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


def _cost(
    lines: Lines, first: Camera, reported: CArmPose, alignment: ViewAlignment, config: ReconstructionConfig
) -> float:
    """Mean cost of lifting both centrelines, mm; infinite for a pose that cannot be."""
    try:
        second = camera_from_pose(corrected(reported, alignment))
    except PoseError:
        return np.inf
    return (
        lifting_cost(lines[0], first, lines[1], second, config)
        + lifting_cost(lines[1], second, lines[0], first, config)
    ) / 2  # fmt: skip
