"""The state of tracking, and who decides on it.

    SEARCHING --first graph--> TRACKING <--> DEGRADED <--> LOST --reset, clock jump--> SEARCHING

`judge` decides after every pair from that pair alone, but for three memories: how long no plane has shown vessels,
when the graph last jumped, and which planes repeat themselves. Every state but TRACKING has a reason in words. A graph
off the vessels is looked for elsewhere (`shift`); one that stays LOST gives way to the next reconstruction.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np

from autocar_ros.config import TrackingConfig
from autocar_ros.tracking.observation import View
from autocar_ros.tracking.quality import Fit
from autocar_ros.types import MASK_THRESHOLD, FramePair, GraphStatus, Mask

FEW_SEEN = 0.3  # share of nodes seen in both planes below which a graph is not OK
OFF_VESSELS = 0.5  # share of the nodes seen lately below which the graph is no longer on the vessels
DOUBT = 1.0  # s that a graph is not OK after a jump
ALIKE = 0.5  # of one area of vessels to the other, from which a plane shows the same vessels as before
MOVES_ON = 0.05  # share of a plane's vessels that must change for the other one to be called frozen


class State(Enum):
    """What the tracker is doing."""

    SEARCHING = "no graph yet"
    TRACKING = "the graph follows the images"
    DEGRADED = "the graph goes on with less than it needs"
    LOST = "the graph is not where the vessels are"


STATE_OF = {
    GraphStatus.OK: State.TRACKING,
    GraphStatus.DEGRADED: State.DEGRADED,
    GraphStatus.STALE: State.DEGRADED,
    GraphStatus.LOST: State.LOST,
}


@dataclass
class Memory:
    """What the verdict on a graph needs to know of the past."""

    blind_time: float = 0.0  # s since any plane showed vessels
    jump: float = 0.0  # mm of the last motion that was faster than a heart
    since_jump: float = np.inf  # s

    def add(self, fit: Fit, step: float, moved: float, max_speed: float) -> None:
        """Take a fit that lies `moved` mm (median) and `step` s from the one before."""
        self.since_jump += step
        if moved > max_speed * (step + self.blind_time) > 0:
            self.jump, self.since_jump = moved, 0.0
        self.blind_time = 0.0 if fit.a.shows or fit.b.shows else self.blind_time + step


class Repeats:
    """Notices a plane that repeats itself while the other one moves on."""

    def __init__(self) -> None:
        self._last: FramePair | None = None

    def check(self, pair: FramePair) -> tuple[tuple[str, str], list[str]]:
        """Why each plane must not be used ("" when it may), and what else is wrong."""
        last, self._last = self._last, pair
        if last is None:
            return ("", ""), []
        stands = (pair.stamp_a_ns == last.stamp_a_ns, pair.stamp_b_ns == last.stamp_b_ns)
        moved = (_changed(last.mask_a, pair.mask_a), _changed(last.mask_b, pair.mask_b))
        frozen, notes = ["", ""], []
        for plane, name in enumerate("AB"):
            other = 1 - plane
            if stands[plane] and not stands[other]:
                notes.append(f"plane {name} stands still: its last exposure is used again")
            elif not stands[plane] and moved[plane] == 0 and moved[other] > MOVES_ON:
                frozen[plane] = "the image is frozen: it repeats itself while the other plane moves on"
        return (frozen[0], frozen[1]), notes


def judge(
    fit: Fit,
    views: tuple[View | str, View | str],
    notes: list[str],
    memory: Memory,
    on_vessels: float,
    config: TrackingConfig,
) -> tuple[GraphStatus, str]:
    """Status of a graph and its reason; `on_vessels` is the share of nodes seen lately that are seen now."""
    troubles = [f"plane {name}: {view}" for name, view in zip("AB", views, strict=True) if isinstance(view, str)]
    if len(troubles) == len(views):
        reason = "; ".join(troubles)
        if memory.blind_time >= config.lost_after:
            return GraphStatus.LOST, f"no vessels seen for {memory.blind_time:.1f} s: {reason}"
        return GraphStatus.STALE, reason
    troubles += notes
    for name, sight in (("A", fit.a), ("B", fit.b)):
        poor = f"the graph explains {sight.coverage:.0%} of the vessels of plane {name}"
        if sight.shows and sight.coverage < config.lost_coverage and on_vessels < OFF_VESSELS:
            return GraphStatus.LOST, poor
        if sight.shows and sight.coverage < config.good_coverage:
            troubles.append(poor)
    if on_vessels < OFF_VESSELS:
        troubles.append(f"only {on_vessels:.0%} of the nodes seen lately are on vessels")
    if memory.since_jump < DOUBT:
        troubles.append(f"it jumped by {memory.jump:.0f} mm, faster than a heart: nodes may be mistaken")
    if not troubles and fit.seen_share < FEW_SEEN:
        troubles.append(f"both planes show only {fit.seen_share:.0%} of the nodes")
    return (GraphStatus.DEGRADED if troubles else GraphStatus.OK), "; ".join(troubles)


def _changed(before: Mask, now: Mask) -> float:
    """Pixels that changed, as a share of the vessels' pixels; 1 when the image is of another size.

    A plane that is suddenly covered has not moved on: its share is next to nothing.
    """
    if before.shape != now.shape:
        return 1.0
    then, vessel = cv2.inRange(before, MASK_THRESHOLD, 255), cv2.inRange(now, MASK_THRESHOLD, 255)
    changed = cv2.countNonZero(cv2.bitwise_xor(then, vessel))
    if changed == 0 and cv2.norm(before, now, cv2.NORM_INF) == 0:
        return 0.0
    areas = cv2.countNonZero(then), cv2.countNonZero(vessel)
    return changed / max(areas[1], 1) if min(areas) > ALIKE * max(areas) else float(np.finfo(float).eps)
