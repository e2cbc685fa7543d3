"""Node `synchronization`: masks, poses and ECG of two planes to pairs of one heart phase, plane B aligned to A."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import Transform
from rclpy.clock import Clock, ClockType
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from autocar_ros.config import AlignmentConfig, SynchronizationConfig
from autocar_ros.errors import PoseError
from autocar_ros.msg import CArmPose, EcgSamples, FramePair, ViewAlignment
from autocar_ros.ros import qos
from autocar_ros.ros.conversions import (
    alignment_from_msg,
    ecg_from_msg,
    pair_to_msg,
    pose_from_camera_info,
    pose_from_msg,
    pose_to_msg,
)
from autocar_ros.ros.images import image_from_msg
from autocar_ros.ros.lifecycle import StageNode, main
from autocar_ros.ros.stamps import CORRECTED_FRAME, WORLD_FRAME, to_ns
from autocar_ros.sync.alignment import Aligner
from autocar_ros.sync.pairing import Pairing, remedy
from autocar_ros.types import FramePair as Pair
from autocar_ros.types import Image as Pixels

_STATIC = 100  # messages on /tf_static that are taken at once: each broadcaster latches its own


class SynchronizationNode(StageNode):
    """``plane_x/mask``, ``plane_x/carm_pose`` (or ``camera_info`` and TF) and ``ecg`` to ``frame_pair``.

    With key frames goes what their vessels absorb, where ``plane_x/absorption`` tells.
    The pose of plane B is the corrected one, which is also sent as ``plane_b/carm_pose_corrected``. A plane that has
    sent a `CArmPose` is not listened to on ``camera_info`` any more: there it may be our own. With `align` full,
    ``plane_b/alignment_refined`` is taken over where it still fits.
    """

    configs = (SynchronizationConfig, AlignmentConfig)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("synchronization", **kwargs)

    def prepare(self) -> None:
        """Start with empty buffers."""
        self._pairs = self.output(FramePair, "frame_pair")
        self._corrected = self.output(CArmPose, "plane_b/carm_pose_corrected")
        self._transforms: dict[str, Transform] = {}  # kept while configured: /tf_static tells each only once
        self.reconfigure()

    def reconfigure(self) -> None:
        """Take over parameters; frames that wait for a partner and the alignment are forgotten."""
        self._pairing = Pairing(self.parameters[SynchronizationConfig])
        self._aligner = Aligner(self.parameters[AlignmentConfig])
        self._reported: Counter[str] = Counter()
        self._posed: set[str] = set()  # planes that send CArmPose
        self._absorption: dict[str, tuple[int, Pixels]] = {}  # newest of a plane, until its mask comes
        if self._active:
            self._hear_refined()

    def begin(self) -> None:
        """Subscribe to both planes."""
        self._refining = False
        self._hear_refined()
        for plane in "ab":
            name = f"plane_{plane}"
            # before the mask: of what is ready together, what was subscribed to first is taken first
            self.input(Image, f"{name}/absorption", partial(self._on_absorption, plane), ordered=False)
            self.input(Image, f"{name}/mask", partial(self._on_mask, plane), ordered=False, needed=True, complete=True)
            self.input(CArmPose, f"{name}/carm_pose", partial(self._on_pose, plane), qos.stream(), ordered=False)
            self.input(CameraInfo, f"{name}/camera_info", partial(self._on_info, plane), qos.stream(), ordered=False)
        self.input(EcgSamples, "ecg", self._on_ecg, qos.stream(), ordered=False)
        self.input(TFMessage, "/tf", self._on_transforms, qos.stream())
        self.input(TFMessage, "/tf_static", self._on_transforms, qos.latched(_STATIC))
        self.every(1.0, self._report, Clock(clock_type=ClockType.STEADY_TIME))

    def _hear_refined(self) -> None:
        """Subscribe to refined corrections when they are wanted: they are made where somebody listens."""
        if self.parameters[AlignmentConfig].align == "full" and not self._refining:
            self._refining = True
            self.input(ViewAlignment, "plane_b/alignment_refined", self._on_refined)

    def clear(self) -> None:
        """Forget frames, poses, ECG and alignment."""
        self._pairing.reset()
        self._aligner.reset()
        self._posed.clear()
        self._absorption.clear()

    def _on_absorption(self, plane: str, message: Image) -> None:
        self._absorption[plane] = to_ns(message.header.stamp), image_from_msg(message)

    def _on_mask(self, plane: str, message: Image) -> None:
        stamp = to_ns(message.header.stamp)
        of_frame, absorption = self._absorption.pop(plane, (None, None))
        self._pairing.add_mask(plane, stamp, image_from_msg(message), absorption if of_frame == stamp else None)
        pair = self._pairing.take()
        if pair is not None:
            pair = self._aligner.correct(pair)
            self.publish(self._pairs, pair_to_msg(pair), pair.stamp_a_ns)
            self._tell_alignment(pair)

    def _on_refined(self, message: ViewAlignment) -> None:
        found = alignment_from_msg(message)
        if found is not None:
            self._aligner.adopt(found)

    def _tell_alignment(self, pair: Pair) -> None:
        self.publish(self._corrected, pose_to_msg(pair.pose_b, pair.stamp_b_ns, CORRECTED_FRAME))
        found = pair.alignment
        if found is None:
            return
        (column, row), turn = found.shift, np.degrees((found.primary, found.secondary))
        self.diagnostics.values |= {
            "plane_b_shift_px": f"{column:.1f} {row:.1f}",
            "plane_b_depth_mm": f"{found.sod:.0f}",
            "plane_b_turn_deg": f"{turn[0]:.2f} {turn[1]:.2f}",
            "plane_b_residual": f"{found.residual_before:.2f} -> {found.residual_after:.2f}",
            "plane_b_confidence": f"{found.confidence:.2f}",
            "plane_b_refinements": str(self._aligner.refinements),
            "table_moves": str(self._aligner.moves),
        }
        self.diagnostics.trouble("alignment", f"plane B: {found.reason}" if found.reason else None, error=False)

    def _on_pose(self, plane: str, message: CArmPose) -> None:
        self._posed.add(plane)
        self._pairing.add_pose(plane, to_ns(message.header.stamp), pose_from_msg(message))

    def _on_info(self, plane: str, message: CameraInfo) -> None:
        if plane in self._posed:
            return
        frame = message.header.frame_id
        if frame not in self._transforms:
            raise PoseError(f"camera_info of plane {plane.upper()} needs a transform {WORLD_FRAME} -> {frame!r} on /tf")
        pose = pose_from_camera_info(message, self._transforms[frame])
        self._pairing.add_pose(plane, to_ns(message.header.stamp), pose)

    def _on_ecg(self, message: EcgSamples) -> None:
        self._pairing.add_ecg(*ecg_from_msg(message))

    def _on_transforms(self, message: TFMessage) -> None:
        for t in message.transforms:
            if t.header.frame_id.lstrip("/") == WORLD_FRAME:
                self._transforms[t.child_frame_id] = t.transform

    def _report(self) -> None:
        for reason, count in (self._pairing.drops - self._reported).items():
            self.diagnostics.drop(reason, remedy(reason), count=count)
        self._reported = Counter(self._pairing.drops)
        self.diagnostics.trouble("pairing", "; ".join(self._pairing.problems()) or None, error=False)


if __name__ == "__main__":
    raise SystemExit(main(SynchronizationNode))
