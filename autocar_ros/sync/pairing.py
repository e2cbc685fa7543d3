"""Two streams of masks, their poses and an ECG to pairs of one heart phase.

Plain data in, plain data out: nothing blocks, nothing is called back and every buffer is bounded, so that neither a
looped bag nor an exception elsewhere can wedge it. The newest pair wins; older frames are dropped and counted.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from autocar_ros.config import SynchronizationConfig
from autocar_ros.errors import InvalidInputError, PoseError
from autocar_ros.sync.contrast import ContrastFill
from autocar_ros.sync.ecg import CLOCK_JUMP
from autocar_ros.sync.partners import partners, skews
from autocar_ros.sync.phase import HeartPhase, Phases
from autocar_ros.types import (
    NANOSECONDS,
    AbsorptionMap,
    CArmPose,
    FloatArray,
    FramePair,
    IntArray,
    Mask,
    PhaseSource,
    Vessels,
)

PATIENCE = 1.0  # s a frame of simultaneous planes waits for its partner, and a plane may be silent
MOST_FRAMES = 256  # kept of one plane
MOST_POSES = 256
REMEDIES = {  # part of a reason why something was dropped -> what to do
    "cannot be used": "correct what its source sends",
    "clock jumped back": "nothing to do if a recording looped; otherwise set the clocks of both planes alike",
    "no mono8 image of their mask": "harmless; to use it send absorption as large as mask, one byte a pixel",
    "not a mono8 image": "send masks of one byte a pixel",
    "repeated a stamp": "stamp each frame with its own exposure, and let one node alone send this plane",
    "after a newer one was paired": "send the frames of a plane in the order of their exposures",
    "overtaken by a newer pair": "harmless if seldom; otherwise let both planes run at one frame rate",
    "within max_pair_skew": "set the clocks of both planes alike or raise max_pair_skew; one C-arm needs mode phase",
    "of the same heart phase": "let an ECG cover both runs, set image_phase, or raise phase_tolerance or phase_window",
    "not known in time": "let an ECG cover both runs, or set image_phase: two beats of full vessels tell it",
    "not sure enough": "let an ECG cover both runs, or raise phase_delay; a restless heart needs more phase_tolerance",
    "has no pose": "send carm_pose, or camera_info and TF, of this plane",
    "older than pose_timeout": "send the pose with every frame, stamped alike, or raise pose_timeout",
    "another size than its pose": "give rows and columns of the mask in the pose",
}


@dataclass(eq=False)
class _Waiting:
    """A frame in a buffer, and why it has not been paired."""

    stamp_ns: int
    vessels: Vessels
    filled: bool
    reason: str
    used: bool = False


@dataclass
class _Plane:
    """What has arrived of one plane."""

    name: str
    contrast: ContrastFill
    frames: list[_Waiting] = field(default_factory=list)  # by stamp
    poses: dict[int, CArmPose] = field(default_factory=dict)
    newest: int | None = None  # stamp of the newest mask
    newest_pose: int | None = None
    paired: int | None = None  # stamp of the newest frame that was paired
    pose_error: str = ""  # of the latest pose, if it was refused

    def pose_for(self, frame: _Waiting, timeout: float) -> CArmPose | str:
        """Pose nearest in time to a frame, or why there is none."""
        if not self.poses:
            return f"plane {self.name} has no pose"
        stamp = min(self.poses, key=lambda s: abs(s - frame.stamp_ns))
        if abs(stamp - frame.stamp_ns) > timeout * NANOSECONDS:
            return f"the pose of plane {self.name} is older than pose_timeout"
        pose = self.poses[stamp]
        if frame.vessels.mask.shape != (pose.rows, pose.columns):
            return f"the mask of plane {self.name} has another size than its pose says"
        return pose


class Pairing:
    """Pairs the newest exposures of both planes.

    In mode "simultaneous" the two exposures lie within `max_pair_skew`. In mode "phase" they may be seconds apart, but
    ECG or the motion of the vessels puts them within `phase_tolerance` of each other in the heart cycle, and surely so;
    see `partners` for which are preferred. A frame serves again when the other plane goes on alone. Without an ECG a
    frame waits for `phase_delay`: only the next beat tells how long the last one was. Breathing in between is not known
    here.

    Attributes
    ----------
    drops : Counter
        Frames, poses and ECG pieces that were not used, by reason in words.
    """

    def __init__(self, config: SynchronizationConfig | None = None) -> None:
        self._config = config or SynchronizationConfig()
        self.drops: Counter[str] = Counter()
        self.reset()

    def reset(self) -> None:
        """Clear every buffer; the counters stay."""
        c = self._config
        self._planes = {p: _Plane(p.upper(), ContrastFill(c.key_area, c.key_fill)) for p in ("a", "b")}
        self._heart = HeartPhase(c)
        self._newest_ecg: int | None = None
        self._last_key: int | None = None

    def add_pose(self, plane: str, stamp_ns: int, pose: CArmPose) -> None:
        """Take a pose of plane "a" or "b"; one that cannot be used is counted with its reason."""
        self._watch_clock(self._plane(plane).newest_pose, stamp_ns)
        state = self._plane(plane)
        state.newest_pose = _later(state.newest_pose, stamp_ns)
        try:
            state.poses[stamp_ns] = pose.check()
            state.pose_error = ""
        except PoseError as error:
            state.pose_error = f"the pose of plane {state.name} was refused: {error}"
            self.drops[f"the pose of plane {state.name} cannot be used"] += 1
        if len(state.poses) > MOST_POSES:
            del state.poses[min(state.poses)]

    def add_mask(self, plane: str, stamp_ns: int, mask: Mask, absorption: AbsorptionMap | None = None) -> None:
        """Take a mask of plane "a" or "b", in any order of stamps; one that cannot be used is counted.

        What the vessels absorb is kept of frames that are fit for a new reconstruction, and handed on with key frames.
        """
        self._watch_clock(self._plane(plane).newest, stamp_ns)
        state = self._plane(plane)
        refusal = self._refusal(state, stamp_ns, mask)
        if refusal:
            self.drops[refusal] += 1
            return
        other = "B" if plane == "a" else "A"
        near = "of the same heart phase" if self._by_phase else "within max_pair_skew"
        filled = state.contrast.add(stamp_ns, mask).key
        self._heart.add_mask(plane, stamp_ns, mask)
        if absorption is not None and (absorption.shape != mask.shape or absorption.dtype != np.uint8):
            self.drops[f"what the vessels of plane {state.name} absorb is no mono8 image of their mask's size"] += 1
            absorption = None
        vessels = Vessels(mask, absorption if filled else None)
        frame = _Waiting(stamp_ns, vessels, filled, f"plane {state.name} found no frame of plane {other} {near}")
        insort(state.frames, frame, key=lambda f: f.stamp_ns)
        state.newest = _later(state.newest, stamp_ns)
        self._evict()

    def add_ecg(self, stamp_ns: int, sampling_rate: float, samples: FloatArray) -> None:
        """Take a piece of ECG, `stamp_ns` of its first sample; one that cannot be used is counted."""
        self._watch_clock(self._newest_ecg, stamp_ns)
        self._newest_ecg = _later(self._newest_ecg, stamp_ns)
        if not self._heart.add_ecg(stamp_ns, sampling_rate, samples):
            self.drops["the ECG cannot be used"] += 1

    def take(self) -> FramePair | None:
        """Return the newest pair not returned before, or None."""
        for a, b in self._candidates():
            pair = self._pair(a, b)
            if pair is not None:
                self._retire(a, b)
                return pair
        return None

    def problems(self) -> tuple[str, ...]:
        """Why frames are not paired just now, with what to look at; empty when all is well."""
        planes = list(self._planes.values())
        found = [p.pose_error for p in planes if p.pose_error] + [e for e in [self._heart.ecg_problem] if e]
        for plane, other in (planes, planes[::-1]):
            if other.newest is None:
                continue
            if plane.newest is None:
                found.append(f"plane {plane.name} sends no frames while plane {other.name} does")
            elif not self._by_phase and other.newest - plane.newest > PATIENCE * NANOSECONDS:
                silent = (other.newest - plane.newest) / NANOSECONDS
                found.append(f"plane {plane.name} has been silent for {silent:.1f} s while plane {other.name} goes on")
        found += [reason for p in planes if (reason := self._stuck(p))]
        if self._by_phase and np.isnan(self._phases(planes[0].frames + planes[1].frames).values).all():
            found.append(f"mode phase needs the heart phase: {self._heart.missing or 'no frames yet'}")
        return tuple(dict.fromkeys(found))

    def _stuck(self, plane: _Plane) -> str:
        """Why the frames of a plane wait; "" while they may."""
        if not plane.frames or plane.frames[-1].used:
            return ""
        newest = max(p.newest for p in self._planes.values() if p.newest is not None)
        if not self._by_phase:
            return plane.frames[-1].reason if newest - plane.frames[0].stamp_ns > PATIENCE / 2 * NANOSECONDS else ""
        due = self._due(plane.frames)  # frames of the other plane may rightly rest unused
        return due.reason if due is not None and plane.frames[-1].stamp_ns == newest else ""

    @property
    def _by_phase(self) -> bool:
        return self._config.mode == "phase"

    def _plane(self, plane: str) -> _Plane:
        if plane not in self._planes:
            raise InvalidInputError(f"plane must be 'a' or 'b', got {plane!r}")
        return self._planes[plane]

    def _watch_clock(self, newest: int | None, stamp_ns: int) -> None:
        """Start anew when a stream runs backwards: a looped bag, a seek, a restarted clock."""
        if newest is not None and stamp_ns < newest - CLOCK_JUMP:
            self.reset()
            self.drops["the clock jumped back: every buffer cleared"] += 1

    def _refusal(self, plane: _Plane, stamp_ns: int, mask: Mask) -> str:
        if mask.ndim != 2 or mask.dtype != np.uint8 or mask.size == 0:
            return f"the mask of plane {plane.name} is not a mono8 image"
        if any(f.stamp_ns == stamp_ns for f in plane.frames) or stamp_ns == plane.paired:
            return f"plane {plane.name} repeated a stamp"
        if not self._by_phase and plane.paired is not None and stamp_ns < plane.paired:
            return f"a frame of plane {plane.name} came after a newer one was paired"
        return ""

    def _candidates(self) -> Iterator[tuple[_Waiting, _Waiting]]:
        """Pairs that may be published, best first."""
        a, b = self._planes["a"].frames, self._planes["b"].frames
        if not self._by_phase:
            skew = self._config.max_pair_skew * NANOSECONDS
            for frame in a[::-1]:
                near = [f for f in b if abs(f.stamp_ns - frame.stamp_ns) <= skew]
                yield from ((frame, f) for f in _nearest_first(near, frame))
            return
        triggers = [(self._due(own), other, own is a) for own, other in ((a, b), (b, a))]
        known = [(frame, other, is_a) for frame, other, is_a in triggers if frame is not None]
        for frame, other, is_a in sorted(known, key=lambda t: t[0].stamp_ns, reverse=True):
            for partner in self._partners(frame, other):
                yield (frame, partner) if is_a else (partner, frame)

    def _due(self, frames: list[_Waiting]) -> _Waiting | None:
        """Newest frame of a plane whose phase is settled, by the ECG or by what moved since; None if it is used."""
        newest = max((p.newest for p in self._planes.values() if p.newest is not None), default=0)
        by_ecg = self._phases(frames).sources == PhaseSource.ECG
        waited = [newest - f.stamp_ns >= self._config.phase_delay * NANOSECONDS for f in frames]
        settled = np.flatnonzero(by_ecg | np.array(waited, bool))
        return frames[settled[-1]] if len(settled) and not any(f.used for f in frames[settled[-1] :]) else None

    def _partners(self, frame: _Waiting, others: list[_Waiting]) -> list[_Waiting]:
        """Frames of the other plane of the phase of this one, best first."""
        told = self._phases([frame, *others])
        full = np.array([f.filled for f in others], bool)
        found = partners(_stamps([frame, *others]), told, full, self._config.phase_tolerance)
        if np.isnan(told.values[0]):
            frame.reason = "the heart phase was not known in time"
        elif found.unsure:
            frame.reason = "the heart phase is not sure enough"
        return [others[k] for k in found.order]

    def _phases(self, frames: list[_Waiting]) -> Phases:
        return self._heart.phases(_stamps(frames))

    def _pair(self, a: _Waiting, b: _Waiting) -> FramePair | None:
        poses = [self._planes[p].pose_for(frame, self._config.pose_timeout) for p, frame in (("a", a), ("b", b))]
        pose_a, pose_b = poses
        if isinstance(pose_a, str) or isinstance(pose_b, str):
            a.reason = b.reason = "; ".join(p for p in poses if isinstance(p, str))
            return None
        told = self._phases([a, b])
        phase_a, phase_b = told.values
        key = self._is_key(a, b)
        return FramePair(
            stamp_a_ns=a.stamp_ns,
            stamp_b_ns=b.stamp_ns,
            mask_a=a.vessels.mask,
            mask_b=b.vessels.mask,
            pose_a=pose_a,
            pose_b=pose_b,
            phase_a=float(phase_a),
            phase_b=float(phase_b),
            phase_error=float(skews(_stamps([a, b]), told)[1][0]),
            phase_source=PhaseSource(int(told.sources.max())),  # the less sure one: image before ECG
            key_frame=key,
            absorption_a=a.vessels.absorption if key else None,
            absorption_b=b.vessels.absorption if key else None,
        )

    def _is_key(self, a: _Waiting, b: _Waiting) -> bool:
        newest = max(a.stamp_ns, b.stamp_ns)
        rested = self._last_key is None or newest - self._last_key >= self._config.key_interval * NANOSECONDS
        key = a.filled and b.filled and rested
        if key:
            self._last_key = newest
        return key

    def _retire(self, a: _Waiting, b: _Waiting) -> None:
        """Mark a pair as used; of simultaneous planes drop it and all that is older."""
        for plane, frame in (("a", a), ("b", b)):
            state = self._planes[plane]
            frame.used = True
            state.paired = _later(state.paired, frame.stamp_ns)
            if not self._by_phase:
                older = [f for f in state.frames if f.stamp_ns < frame.stamp_ns]
                if older:
                    self.drops[f"a frame of plane {state.name} was overtaken by a newer pair"] += len(older)
                state.frames = [f for f in state.frames if f.stamp_ns > frame.stamp_ns]

    def _evict(self) -> None:
        """Drop frames that have waited too long, each with its reason."""
        newest = max(p.newest for p in self._planes.values() if p.newest is not None)
        wait = self._config.phase_window if self._by_phase else PATIENCE
        for plane in self._planes.values():
            keep = [f for f in plane.frames if newest - f.stamp_ns <= wait * NANOSECONDS][-MOST_FRAMES:]
            gone = plane.frames[: len(plane.frames) - len(keep)]
            self.drops.update(f.reason for f in gone if not f.used)
            plane.frames = keep


def remedy(reason: str) -> str:
    """What to do about a reason in `Pairing.drops`."""
    return "; ".join(text for part, text in REMEDIES.items() if part in reason)


def _later(old: int | None, new: int) -> int:
    return new if old is None else max(old, new)


def _stamps(frames: list[_Waiting]) -> IntArray:
    return np.array([f.stamp_ns for f in frames], np.int64)


def _nearest_first(frames: list[_Waiting], to: _Waiting) -> list[_Waiting]:
    return sorted(frames, key=lambda f: abs(f.stamp_ns - to.stamp_ns))
