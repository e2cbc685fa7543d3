"""Node `simulator`: a simulated patient on a biplane C-arm, with truth."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any

from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import Image

from autocar_ros.config import ExposureConfig, SimulationConfig
from autocar_ros.msg import CArmPose, EcgSamples, VesselGraph
from autocar_ros.ros.conversions import ecg_to_msg, graph_to_msg, pose_to_msg, stamped_place
from autocar_ros.ros.images import image_to_msg
from autocar_ros.ros.lifecycle import StageNode, main
from autocar_ros.ros.schedule import Schedule
from autocar_ros.ros.stamps import optical_frame
from autocar_ros.synthetic.ecg import first_sample
from autocar_ros.synthetic.scene import ECG_RATE, Scene
from autocar_ros.types import NANOSECONDS

_RATE_WINDOW = 2.0  # s over which the reached frame rate is told


class SimulatorNode(StageNode):
    """``plane_x/image_raw``, ``plane_x/carm_pose``, ``ecg``, ``catheter/tip`` and ``ground_truth/vessel_graph``.

    Like a C-arm it has a frame ready at its exposure: each is rendered ahead of its time and sent when the node's
    clock reads its stamp. When rendering takes longer than a frame lasts, exposures are left out, never late.
    """

    configs = (SimulationConfig, ExposureConfig)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("simulator", **kwargs)

    def prepare(self) -> None:
        """Make the patient and compile the renderer."""
        self._scene = Scene(self.parameters[SimulationConfig])
        self._images = {p: self.output(Image, f"plane_{p}/image_raw") for p in "ab"}
        self._poses = {p: self.output(CArmPose, f"plane_{p}/carm_pose") for p in "ab"}
        self._truth = self.output(VesselGraph, "ground_truth/vessel_graph")
        self._ecg = self.output(EcgSamples, "ecg")
        self._tip = self.output(PoseStamped, "catheter/tip")
        for plane in "ab":
            self._scene.image(plane, 0.0)

    def begin(self) -> None:
        """Start at time 0 of the scene."""
        self._schedule = Schedule(self)
        self._schedule.soon(self._start)

    def clear(self) -> None:
        """After a clock jump: start again."""
        self._schedule.clear()
        self._schedule.soon(self._start)

    def _start(self) -> None:
        self._zero = self.get_clock().now().nanoseconds  # of the scene
        self._rendering = 0.0  # s a pair of images took
        self._ecg_sent = 0.0  # s of the scene
        self._exposed: list[int] = []  # stamps of the last seconds
        self._expose_next(self._zero)

    def _expose_next(self, last_ns: int) -> None:
        """Render the next pair that can be ready in time, and schedule it."""
        options = self.parameters[ExposureConfig]
        period = NANOSECONDS / options.frame_rate
        soonest = self.get_clock().now().nanoseconds + self._rendering * NANOSECONDS
        steps = max(1, math.ceil((soonest - last_ns) / period))
        if steps > 1:
            text = f"a pair takes {self._rendering * 1e3:.0f} ms to render: lower frame_rate or image_size"
            self.diagnostics.drop("exposure left out", text, count=steps - 1)
        due = {"a": last_ns + round(steps * period)}
        due["b"] = due["a"] + round(options.plane_b_delay * NANOSECONDS)
        begin = time.perf_counter()
        for plane, stamp in due.items():
            frame = image_to_msg(self._scene.image(plane, self._seconds(stamp)), stamp, optical_frame(plane))
            self._schedule.at(stamp, partial(self._send, plane, stamp, frame))
        self._rendering = time.perf_counter() - begin
        self._schedule.at(due["b"], partial(self._send_others, due["a"], due["b"]))
        self._schedule.at(due["b"], partial(self._expose_next, due["a"]))

    def _send(self, plane: str, stamp: int, frame: Image) -> None:
        pose = self._scene.pose(plane, self._seconds(stamp))
        self.publish(self._poses[plane], pose_to_msg(pose, stamp, optical_frame(plane)))
        self.publish(self._images[plane], frame, stamp)

    def _send_others(self, stamp_a: int, stamp_b: int) -> None:
        seconds, begin = self._seconds(stamp_a), self._ecg_sent
        truth = self._scene.truth(seconds).with_(stamp_a_ns=stamp_a, stamp_b_ns=stamp_b)
        self.publish(self._truth, graph_to_msg(truth))
        first = first_sample(begin, ECG_RATE)
        samples = self._scene.ecg(begin, seconds)
        self.publish(self._ecg, ecg_to_msg(samples, ECG_RATE, self._zero + round(first * NANOSECONDS)))
        self._ecg_sent = seconds
        if self.parameters[ExposureConfig].catheter_tip:
            self.publish(self._tip, stamped_place(truth.position[0], truth.position[1] - truth.position[0], stamp_a))
        self._exposed = [s for s in self._exposed if stamp_a - s < _RATE_WINDOW * NANOSECONDS] + [stamp_a]
        rate = (len(self._exposed) - 1) * NANOSECONDS / max(stamp_a - self._exposed[0], 1)
        self.diagnostics.values["frame_rate_hz"] = f"{rate:.2f}"

    def _seconds(self, stamp_ns: int) -> float:
        """Time of the scene."""
        return (stamp_ns - self._zero) / NANOSECONDS


if __name__ == "__main__":
    raise SystemExit(main(SimulatorNode))
