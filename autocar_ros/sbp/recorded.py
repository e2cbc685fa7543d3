"""Recorded runs before their reconstruction: frames that agree, plane B aligned by them, others of the same place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autocar_ros.config import AlignmentConfig, ReconstructionConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.alignment import How, Sighting, align, corrected, sighting
from autocar_ros.geometry.carm import mm_per_pixel
from autocar_ros.imaging.segmentation import Segmenter, find_vessels
from autocar_ros.sbp.pose_refinement import refine
from autocar_ros.types import CArmPose, FramePair, Image, Vessels
from autocar_ros.vessels.alike import alike_frames

MOMENTS = 10  # pairs of frames that show the vessels in the same place, at most
# mm that the sources of both views are taken to be further from the isocentre than headers say
AWAY = ((0.0, 0.0), (10.0, 0.0), (0.0, 10.0), (-10.0, 0.0), (0.0, -10.0))
AROUND = 121  # frames of a run that are looked at for others like one


class SegmentedRun:
    """Frames of a recorded run (F, rows, columns) with their poses (F,), looked at when they are first asked for."""

    def __init__(self, images: Image, poses: Sequence[CArmPose], segmenter: Segmenter) -> None:
        self.images, self.poses, self._segmenter = images, poses, segmenter
        self._vessels: dict[int, Vessels] = {}
        self._sightings: dict[int, Sighting] = {}

    def vessels(self, frame: int) -> Vessels:
        """Vessels of a frame."""
        if frame not in self._vessels:
            self._vessels[frame] = find_vessels(self._segmenter, self.images[frame])
        return self._vessels[frame]

    def moments(self, frame: int, most: int) -> list[Vessels]:
        """Vessels of up to `most` moments that show them in the same place, those of `frame` first.

        They are looked for among the `AROUND` frames nearest to it.
        """
        near = np.argsort(np.abs(np.arange(len(self.images)) - frame), kind="stable")[: AROUND if most > 1 else 1]
        masks = {int(k): self.vessels(int(k)).mask for k in near}
        return [self.vessels(k) for k in alike_frames(masks, frame, mm_per_pixel(self.poses[frame]), most)]

    def sighting(self, frame: int) -> Sighting:
        """What the vessels of a frame absorb, where; raises `InvalidInputError` for an empty mask."""
        if frame not in self._sightings:
            self._sightings[frame] = sighting_of(self.vessels(frame), self.poses[frame])
        return self._sightings[frame]


def most_agreeing(run_a: SegmentedRun, run_b: SegmentedRun, frames: Sequence[tuple[int, int]]) -> int:
    """Which of some pairs of frames of two runs agree most along epipolar lines, each with its best table shift.

    Of equals the first; so of pairs in which a frame shows no vessel.
    """
    return int(np.argmax([_agreement(run_a, a, run_b, b) for a, b in frames])) if len(frames) > 1 else 0


def _agreement(run_a: SegmentedRun, a: int, run_b: SegmentedRun, b: int) -> float:
    try:
        found = align([(run_a.sighting(a), run_b.sighting(b))])
    except InvalidInputError:
        return -np.inf
    return 1 - found.residual_after if np.isfinite(found.residual_after) else -np.inf


def sighting_of(vessels: Vessels, pose: CArmPose) -> Sighting:
    """What the vessels of a recorded frame absorb, where; raises `InvalidInputError` for an empty mask."""
    return sighting(vessels.mask, pose, vessels.absorption)


def paired(a: Vessels, b: Vessels, pose_a: CArmPose, pose_b: CArmPose) -> FramePair:
    """Key frame of two recorded runs, without stamps and phase."""
    return FramePair(
        0, 0, a.mask, b.mask, pose_a, pose_b, key_frame=True, absorption_a=a.absorption, absorption_b=b.absorption
    )


def aligned(pair: FramePair, how: How | None = "shift") -> FramePair:
    """Pair of two recorded runs with its plane B corrected by what both views absorb; as it is with `how` None.

    "full" ends with reprojection of both centrelines, which takes seconds.

    Raises
    ------
    InvalidInputError
        When a mask is empty, or both views have one X-ray source.
    ReconstructionError
        When a mask holds no centreline.
    """
    if how is None:
        return pair
    first = sighting(pair.mask_a, pair.pose_a, pair.absorption_a)
    second = sighting(pair.mask_b, pair.pose_b, pair.absorption_b)
    found = align([(first, second)], how)
    if how == "full":
        found = refine(pair, found, ReconstructionConfig(), AlignmentConfig(), (first, second))
    return replace(pair, pose_b=corrected(pair.pose_b, found), alignment=found)


def more_moments(
    pair: FramePair, seen_a: Sequence[Vessels], seen_b: Sequence[Vessels], most: int = MOMENTS
) -> list[FramePair]:
    """Other looks at two recorded runs whose frames show the vessels in the same place (`SegmentedRun.moments`).

    The first moment of each is that of `pair`, whose poses, stamps and phases the others get, `most` in all. Those of
    the run with fewer moments are used again. All are looked at `from_around`; of one moment alone, if no more are
    asked for, there is nothing else.
    """
    if most == 1:
        return []
    both = [(seen_a[k % len(seen_a)], seen_b[k % len(seen_b)]) for k in range(max(len(seen_a), len(seen_b)))]
    return from_around(
        [
            replace(pair, mask_a=a.mask, mask_b=b.mask, absorption_a=a.absorption, absorption_b=b.absorption)
            for a, b in both[:most]
        ]
    )


def from_around(moments: Sequence[FramePair]) -> list[FramePair]:
    """All moments, each with both X-ray sources `AWAY` from where they are said to be; without the first as it is.

    Nobody knows the distance of a source to the millimetre. A centimetre leaves a vessel where it is, within a
    millimetre; what is taken for it by chance, because much looks alike, moves or goes.
    """
    return [_from_further(moment, *away) for moment in moments for away in AWAY][1:]


def _from_further(pair: FramePair, a: float, b: float) -> FramePair:
    poses = (pair.pose_a, a), (pair.pose_b, b)
    first, second = (replace(p, source_to_isocenter=p.source_to_isocenter + further) for p, further in poses)
    return replace(pair, pose_a=first, pose_b=second)
