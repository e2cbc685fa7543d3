"""Plane B refined by reprojection while frames come: key frames are collected, and refined together.

A refinement takes a second or two: it belongs where reconstructions are made, not where every frame must pass. It is
made once, of the first key frames under a correction: fewer gain by chance what a wrong pose would gain. A correction
that was solved anew, as the table has moved, or a view that changed begins another collection.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from autocar_ros.config import AlignmentConfig, ReconstructionConfig
from autocar_ros.geometry.alignment import are_alike, reported
from autocar_ros.geometry.carm import angle_between
from autocar_ros.sbp.pose_refinement import refine_moments
from autocar_ros.types import CArmPose, FramePair, ViewAlignment

MOMENTS = 4  # key frames that are refined together
TURNED = 1.0  # degrees of the reported view from which on it is another


class Refiner:
    """Collects key frames (`offer`) and gives a refined correction when there are enough and it is worth it."""

    def __init__(self, reconstruction: ReconstructionConfig, alignment: AlignmentConfig) -> None:
        self._reconstruction, self._alignment = reconstruction, alignment
        self.reset()

    def reset(self) -> None:
        """Forget all key frames."""
        self._moments: list[FramePair] = []  # plane B as reported
        self._known: list[ViewAlignment] = []  # the last correction of the pairs, and what was made of it

    def offer(self, pair: FramePair) -> ViewAlignment | None:
        """Take a key frame with the correction it has; the refined one, or None.

        Nothing is refined unless parameter `align` is "full", or from a correction in doubt.

        Raises
        ------
        ReconstructionError
            When a mask is empty or full.
        """
        found = pair.alignment
        if self._alignment.align != "full" or found is None or found.reason:
            return None
        given = replace(pair, pose_b=reported(pair.pose_b, found), alignment=None)
        if self._moments and not (self._same_view(given.pose_b) and self._same_correction(found, given.pose_b)):
            self.reset()
        self._known = [found, *self._known[1:]]
        if len(self._moments) == MOMENTS:  # done
            return None
        self._moments.append(given)
        if len(self._moments) < MOMENTS:
            return None
        refined = refine_moments(self._moments, found, self._reconstruction, self._alignment)
        if refined is found:
            return None
        self._known = [found, refined]
        return refined

    def _same_view(self, pose: CArmPose) -> bool:
        return float(np.degrees(angle_between(pose, self._moments[-1].pose_b))) <= TURNED

    def _same_correction(self, found: ViewAlignment, pose: CArmPose) -> bool:
        return any(are_alike(found, known, pose) for known in self._known)
