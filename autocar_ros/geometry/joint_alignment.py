"""Three or more runs brought to agree: one table shift in 3D a run, from what every two of them show.

Two views tell a shift across their epipolar lines, and roughly one towards the detector: two equations. Every further
run adds two for each run before, in other directions, and all shifts are solved together. What no pair sees stays as
reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from autocar_ros.config import AlignmentConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.alignment import LEAST_DEPTH, Sighting, align
from autocar_ros.geometry.carm import camera_from_pose, carm_axes
from autocar_ros.geometry.consistency import epipolar_fan
from autocar_ros.types import CArmPose, FloatArray, ViewAlignment

USUAL = 20.0  # mm, of a table shift
PRECISION = 1.0  # mm, of a shift of full confidence across epipolar lines
PRECISION_OF_DEPTH = 5.0  # mm, of one towards the detector; where none was found it is smaller than `LEAST_DEPTH`
OUTLIER = 3.0  # times these from the common solution at which a shift counts half
ROUNDS = 10


class JointAlignment(NamedTuple):
    """Table shifts of R runs against the first."""

    shift: FloatArray  # (R, 3) mm in the world, by which a run shows the patient displaced; the first is 0
    pairs: tuple[tuple[int, int], ...]  # every two runs
    found: tuple[ViewAlignment, ...]  # of the second run of every pair to the first
    left: FloatArray  # (P,) mm across the epipolar lines between what a pair found and the common solution

    def corrected(self, poses: Sequence[CArmPose]) -> tuple[CArmPose, ...]:
        """Poses of all runs with their table shifts."""
        moved = (np.asarray(pose.isocenter_offset) - by for pose, by in zip(poses, self.shift, strict=True))
        offsets = ((float(x), float(y), float(z)) for x, y, z in moved)
        return tuple(replace(pose, isocenter_offset=o) for pose, o in zip(poses, offsets, strict=True))

    def doubt(self, run: int) -> str:
        """Why a run does not fit: fewer than half of the others agree with it; "" when it fits."""
        most = OUTLIER * PRECISION
        reasons = [
            found.reason or (f"{abs(left):.0f} mm off what the other runs say" if abs(left) > most else "")
            for pair, found, left in zip(self.pairs, self.found, self.left, strict=True)
            if run in pair
        ]
        troubles = [reason for reason in reasons if reason]
        return troubles[0] if 2 * len(troubles) > len(reasons) else ""


def align_runs(runs: Sequence[Sighting], config: AlignmentConfig | None = None) -> JointAlignment:
    """Table shifts of all runs under which every two of them agree best.

    Parameters
    ----------
    runs : what each run shows at the same heart phase, pose as reported; the first keeps its place

    Raises
    ------
    InvalidInputError
        With fewer than two runs, or when two have one X-ray source.
    """
    if len(runs) < 2:
        raise InvalidInputError(f"need two runs or more to align, got {len(runs)}")
    config = config or AlignmentConfig()
    pairs = tuple(combinations(range(len(runs)), 2))
    found = tuple(align([(runs[i], runs[j])], "shift", config) for i, j in pairs)
    rows, wanted = np.zeros((2, len(pairs), len(runs), 3)), np.zeros((2, len(pairs)))  # across, and in depth
    for k, (i, j) in enumerate(pairs):
        for equation, (direction, by) in enumerate(_equations(runs[i].pose, runs[j].pose, found[k])):
            rows[equation, k, i], rows[equation, k, j], wanted[equation, k] = -direction, direction, by
    depth = np.where([a.sod != 0 for a in found], PRECISION_OF_DEPTH, LEAST_DEPTH)
    precision = np.stack([np.full(len(pairs), PRECISION), depth])
    weight = np.tile([0.0 if a.reason else a.confidence for a in found], 2)
    shift, left = _solve(
        (rows[:, :, 1:] / precision[..., None, None]).reshape(len(weight), -1), (wanted / precision).ravel(), weight
    )
    shift = np.concatenate([np.zeros((1, 3)), shift.reshape(-1, 3)])
    return JointAlignment(shift, pairs, found, PRECISION * left[: len(pairs)])


def _equations(first: CArmPose, second: CArmPose, found: ViewAlignment) -> list[tuple[FloatArray, float]]:
    """Directions (3,) in which the second table is displaced against the first, and by how many mm.

    Across: the unit normal of the epipolar plane of the isocentre. In depth: the unit direction in this plane from the
    line through both sources to the isocentre, for a displacement along that line stretches no profile.
    """
    second = replace(second, source_to_isocenter=second.source_to_isocenter + found.sod)
    across = epipolar_fan(first, second).across
    u, w, towards = carm_axes(np.float64(second.primary_angle), np.float64(second.secondary_angle))
    normal = across[0] * u + across[1] * w
    normal /= np.linalg.norm(normal)
    sources = [camera_from_pose(pose).source for pose in (first, second)]
    deep = np.cross(sources[1] - sources[0], normal)
    deep /= np.linalg.norm(deep) * np.sign(deep @ towards)
    return [
        (normal, float(np.asarray(found.shift) @ across / (across @ across))),
        (deep, found.sod * float(deep @ towards)),
    ]


def _solve(rows: FloatArray, wanted: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Unknowns (U,) of `rows` (E, U) x = `wanted` (E,), in precisions, and what is left (E,); outliers count less."""
    x, robust = np.zeros(rows.shape[1]), np.ones(len(rows))
    for _ in range(ROUNDS):
        scale = weight * robust
        system = np.concatenate([rows * scale[:, None], np.eye(len(x)) / USUAL])
        x = np.linalg.lstsq(system, np.concatenate([wanted * scale, np.zeros(len(x))]), rcond=None)[0]
        robust = 1 / np.sqrt(1 + ((rows @ x - wanted) / OUTLIER) ** 2)
    return x, wanted - rows @ x
