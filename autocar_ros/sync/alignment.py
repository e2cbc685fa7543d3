"""Plane B aligned to plane A pair by pair, as long as frames come: solved once, then watched.

A search over all corrections costs tens of milliseconds. It is made at the first vessels, at the first key frames, and
when the views stop agreeing; every other pair only tells how well it agrees under the present correction and a step to
both sides of it. What reprojection made of the correction elsewhere is adopted (`sbp.refiner`), and watched from there.
A table move is a sudden drop of the agreement that another correction makes good. Planes that show
different vessels or different moments of the heart are told by how they agree over a beat (`sync.simultaneity`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import cv2
import numpy as np

from autocar_ros.config import AlignmentConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.alignment import How, Sighting, align, are_alike, as_reported, corrected, sighting
from autocar_ros.geometry.consistency import Fan, agreement, epipolar_fan, features
from autocar_ros.sync.simultaneity import REACH, Simultaneity
from autocar_ros.types import MASK_THRESHOLD, CArmPose, FloatArray, FramePair, Mask, ViewAlignment

COARSER = 2  # px of a mask that are one of a sighting; the bins of a profile are wider
FEWEST = 100  # such pixels of vessel in either plane from which on a pair tells something
FILLED = 0.75  # of those of the last key frame, from which on a pair is compared with it
GAIN = 0.08  # of the correlation, by which another correction must be better
STEP = 1.0  # mm to either side of the present correction
SMALLEST_STEP = 0.4  # mm by which it is refined
LEARNED = 15  # pairs after which it may be
USUAL = 45  # pairs of which the usual correlation is the median
DROP = 0.05  # of the correlation below the usual one: suspicious
MOVED = 3  # suspicious pairs in a row after which another correction is looked for
BROKEN = 0.25  # drop of the correlation from which on the views agree no longer
RESTLESS = 2  # corrections given up within `LASTING` pairs: a table moves once, another phase asks for one each time
LASTING = 90
LATER = 0.04  # of the correlation, by which plane A must agree better with another moment of plane B than with its own

Views = tuple[Sighting, Sighting]


class Aligner:
    """Corrects plane B of one pair after the other (`correct`).

    Attributes
    ----------
    moves : int
        Table moves noticed so far.
    refinements : int
        Corrections adopted so far.
    """

    def __init__(self, config: AlignmentConfig | None = None) -> None:
        self._config = config or AlignmentConfig()
        self._fan: tuple[tuple[CArmPose, CArmPose], Fan] | None = None  # of the last poses
        self.moves = self.refinements = 0
        self.reset()

    def reset(self) -> None:
        """Forget the correction and what led to it."""
        self._alignment: ViewAlignment | None = None
        self._keys: deque[Views] = deque(maxlen=self._config.window)  # well filled, of different moments
        self._basis = 0  # how many of them the correction was solved from
        self._filled: Views | None = None  # the last key frame
        self._compared: ViewAlignment | None = None  # under which moments are compared
        self._beat = Simultaneity()
        self._given_up: deque[bool] = deque(maxlen=LASTING)  # whether a pair had the correction replaced
        self._agreed: deque[float] = deque(maxlen=USUAL)  # correlation of all pairs that can be compared
        self._start()

    def correct(self, pair: FramePair) -> FramePair:
        """Pair with `pose_b` corrected and its `alignment`; as it is when there is nothing to align."""
        if self._config.align == "off" or (pair.pose_a.calibrated and pair.pose_b.calibrated):
            return pair
        views = _views(pair)
        if views is not None:
            try:
                self._learn(views, pair.key_frame)
            except InvalidInputError as error:
                self._trouble = str(error)
        present = self._alignment
        if present is None:
            why = self._trouble or "the views show hardly any vessels"
            return replace(pair, alignment=ViewAlignment(reason=f"not aligned yet: {why}"))
        told = replace(present, reason="; ".join(filter(None, (present.reason, self._trouble or self._strange()))))
        return replace(pair, pose_b=corrected(pair.pose_b, present), alignment=told)

    def adopt(self, refined: ViewAlignment) -> bool:
        """Take a correction that reprojection refined; the answer is whether it was.

        It is not when the views contradict it by now, as it was made of a correction that was given up meanwhile.
        Raises `PoseError` for a correction under which plane B has no pose.
        """
        present, views = self._alignment, self._filled
        if self._config.align != "full" or present is None or views is None:
            return False
        now, then = (float(self._agreement(views, alignment)[0]) for alignment in (present, refined))
        if then < now - GAIN:
            return False
        self._take(
            replace(
                present,
                shift=refined.shift,
                primary=refined.primary,
                secondary=refined.secondary,
                sid=refined.sid,
                sod=refined.sod,
                residual_after=1 - then,
            )
        )
        self._basis = self._config.window  # it tells more than solving anew from all of them
        self.refinements += 1
        return True

    def _learn(self, views: Views, key_frame: bool) -> None:
        if key_frame:
            self._filled = views
        present = self._alignment
        if present is None:
            self._take(_certain(self._solved([views])))
            return
        filled = key_frame or self._is_filled(views)
        if filled:
            self._compare(views, present)
            self._given_up.append(False)
        agrees = filled and self._watch(views, present)
        doubtful = bool(present.reason) or self._basis == 0
        if key_frame and (agrees or doubtful):
            self._keys.append(views)
            if doubtful or len(self._keys) >= 2 * self._basis:
                self._basis = len(self._keys)
                self._take(self._solved(self._keys))

    def _compare(self, views: Views, present: ViewAlignment) -> None:
        """Compare moments, under one correction as long as the present one is not far from it."""
        known, (first, second) = self._compared or present, views
        if self._compared is None or not are_alike(known, present, second.pose, REACH):
            self._compared = known = present
            self._beat.clear()
        self._beat.add(*features(self._fan_of(views, known), first.absorbed, second.absorbed))

    def _strange(self) -> str:
        """Why the planes do not show one tree at one moment; empty while they seem to."""
        changes = sum(self._given_up)
        if changes >= RESTLESS:
            return f"{changes} corrections in {len(self._given_up)} pairs: other artery or phase, or a moving table?"
        mean = float(np.mean(self._agreed)) if len(self._agreed) >= LEARNED else 1.0
        if mean < self._config.least_confidence:
            return f"the views agree on {max(mean, 0):.0%} only in the last {len(self._agreed)} pairs: other artery?"
        found = self._beat.compare()
        if found is not None and found.apart >= found.together + LATER:
            way = "ahead" if found.pairs > 0 else "behind"
            return (
                f"the views agree on {found.apart:.0%} with plane B {abs(found.pairs)} pairs {way}, on "
                f"{max(found.together, 0):.0%} as they are: other phase?"
            )
        return ""

    def _is_filled(self, views: Views) -> bool:
        """Whether both planes show about as much as at the last key frame, so that a pair can be compared with it."""
        if self._filled is None:
            return False
        return all(len(v.pixels) >= FILLED * len(key.pixels) for v, key in zip(views, self._filled, strict=True))

    def _take(self, alignment: ViewAlignment) -> None:
        self._alignment = alignment
        self._start()

    def _solved(self, pairs: Sequence[Views]) -> ViewAlignment:
        return align(pairs, cast(How, self._config.align), self._config)

    def _start(self) -> None:
        """Begin to watch a new correction."""
        self._usual: deque[float] = deque(maxlen=USUAL)  # correlation of pairs that agree
        self._around: list[FloatArray] = []  # of such pairs: a step back, here, a step on
        self._suspects: deque[Views] = deque(maxlen=MOVED)  # the last that do not
        self._suspicious = 0  # in a row
        self._trouble = ""

    def _watch(self, views: Views, present: ViewAlignment) -> bool:
        """Whether a pair still agrees under the present correction; when many do not, look for another."""
        around = self._agreement(views, present, (-STEP, 0.0, STEP))
        self._agreed.append(float(around[1]))
        usual = float(np.median(self._usual)) if self._usual else 1 - present.residual_after
        if around[1] >= usual - DROP:
            self._suspects.clear()
            self._suspicious, self._trouble = 0, ""
            self._refine(views, around, present)
            return True
        self._suspects.append(views)
        self._suspicious += 1
        tries, left = divmod(self._suspicious, MOVED)
        if left == 0 and tries.bit_count() == 1:  # after 3, 6, 12, 24 ... pairs
            self._search(usual, present)
        return False

    def _search(self, usual: float, present: ViewAlignment) -> None:
        """Look for a correction under which the pairs that do not agree any more do so again."""
        now = float(np.mean([self._agreement(views, present) for views in self._suspects]))
        found = self._solved(self._suspects)
        if 1 - found.residual_after >= now + GAIN:
            self.moves += bool(self._keys and not present.reason)
            self._given_up[-1] = True
            self._compared, self._filled = None, self._suspects[-1]
            self._keys = deque(self._suspects, maxlen=self._config.window)
            self._basis = len(self._keys)
            self._take(found)
        elif now < usual - BROKEN:
            self._trouble = f"the views agree on {max(now, 0):.0%} only, after {usual:.0%}: other artery or phase?"
        else:
            self._usual.clear()  # other vessels are filled: this is usual now
            self._usual.append(now)

    def _refine(self, views: Views, around: FloatArray, present: ViewAlignment) -> None:
        """Go to the top of the parabola through the mean correlations, seldom and at most a step."""
        self._usual.append(float(around[1]))
        self._around.append(around)
        if len(self._around) < LEARNED:
            return
        back, here, on = np.mean(self._around, axis=0)
        self._around.clear()
        curvature = 2 * here - back - on
        if present.confirms or curvature <= 0:
            return  # a reported pose that was confirmed stays
        step = float(np.clip(STEP * (on - back) / (2 * curvature), -STEP, STEP))
        if abs(step) >= SMALLEST_STEP:
            column, row = present.shift + step * self._fan_of(views, present).across
            self._alignment = replace(present, shift=(float(column), float(row)), residual_after=1 - float(here))

    def _agreement(self, views: Views, alignment: ViewAlignment, shifts: Sequence[float] = (0.0,)) -> FloatArray:
        """Correlation (S,) of two views under a correction and so many mm more."""
        first, second = views
        return agreement(self._fan_of(views, alignment), first.absorbed, second.absorbed, shifts)

    def _fan_of(self, views: Views, alignment: ViewAlignment) -> Fan:
        poses = views[0].pose, corrected(views[1].pose, alignment)
        if self._fan is None or self._fan[0] != poses:
            self._fan = poses, epipolar_fan(*poses)
        return self._fan[1]


def _certain(found: ViewAlignment) -> ViewAlignment:
    """No correction instead of a doubtful one: few vessels, while contrast comes, fit anywhere."""
    return as_reported(found) if found.reason else found


def _views(pair: FramePair) -> Views | None:
    """What both planes show; None when one of them shows hardly any vessels."""
    found = [_coarse(mask, pose) for mask, pose in ((pair.mask_a, pair.pose_a), (pair.mask_b, pair.pose_b))]
    first, second = found
    return None if first is None or second is None else (first, second)


def _coarse(mask: Mask, pose: CArmPose) -> Sighting | None:
    small = np.ascontiguousarray(mask[::COARSER, ::COARSER])
    if cv2.countNonZero(cv2.inRange(small, MASK_THRESHOLD, 255)) < FEWEST:
        return None
    seen = sighting(small, pose)
    return replace(seen, pixels=COARSER * seen.pixels)
