"""Node `dicom_player`: two recorded X-ray runs as planes A and B."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sensor_msgs.msg import Image

from autocar_ros.config import DicomPlayerConfig
from autocar_ros.errors import ConfigError
from autocar_ros.imaging.dicom import XrayRun, ecg_plane, read_run
from autocar_ros.msg import CArmPose, EcgSamples
from autocar_ros.ros.conversions import ecg_to_msg, pose_to_msg
from autocar_ros.ros.images import image_to_msg
from autocar_ros.ros.lifecycle import StageNode, main
from autocar_ros.ros.schedule import Schedule
from autocar_ros.ros.stamps import optical_frame
from autocar_ros.types import NANOSECONDS, IntArray

_ECG_PIECE = 0.1  # s
_LEAD = NANOSECONDS // 2  # ns from activation to the first frame, for subscribers to find us


class DicomPlayerNode(StageNode):
    """Two DICOM files to ``plane_x/image_raw``, ``plane_x/carm_pose`` and, where recorded, ``ecg``.

    The ECG of runs played together is that of A, or B's where A has none. The stamp of a frame is the time of the
    node's clock at which it is due. A loop goes on with increasing stamps.
    """

    configs = (DicomPlayerConfig,)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("dicom_player", **kwargs)

    def prepare(self) -> None:
        """Read both runs."""
        config = self.parameters[DicomPlayerConfig]
        if not (config.run_a and config.run_b):
            raise ConfigError("run_a and run_b must name a DICOM file each")
        self._runs = {p: self._read(path) for p, path in (("a", config.run_a), ("b", config.run_b))}
        self._times = {p: run.frame_times_ns for p, run in self._runs.items()}
        self._images = {p: self.output(Image, f"plane_{p}/image_raw") for p in self._runs}
        self._poses = {p: self.output(CArmPose, f"plane_{p}/carm_pose") for p in self._runs}
        self._ecg = self.output(EcgSamples, "ecg")

    def begin(self) -> None:
        """Start both runs."""
        self._schedule = Schedule(self)
        self._schedule.soon(self._start)

    def clear(self) -> None:
        """After a clock jump: start again from the new time (inactive: stop)."""
        self._schedule.clear()
        self._schedule.soon(self._start)

    def release(self) -> None:
        """Free the images."""
        self._runs.clear()

    def _read(self, path: str) -> XrayRun:
        config = self.parameters[DicomPlayerConfig]
        run = read_run(path, pixel_spacing=config.pixel_spacing or None, frame_rate=config.frame_rate or None)
        len(run.poses)  # raises for missing geometry now, not at the first frame
        return run

    def _start(self) -> None:
        self._start_pass(self.get_clock().now().nanoseconds + _LEAD)

    def _start_pass(self, start_ns: int) -> None:
        config = self.parameters[DicomPlayerConfig]
        lengths = {p: int(pass_length(times) / config.rate) for p, times in self._times.items()}
        in_turn = config.order == "in turn"
        starts = {"a": start_ns, "b": start_ns + (lengths["a"] if in_turn else 0)}
        for plane, begin in starts.items():
            for k, t in enumerate(self._times[plane]):
                due = begin + int(t / config.rate)
                self._schedule.at(due, partial(self._send_frame, plane, k, due))
            if in_turn or plane == ecg_plane(self._runs):
                self._start_ecg(plane, begin)
        end = max(starts[p] + lengths[p] for p in starts)
        if config.loop:
            self._schedule.at(end, partial(self._start_pass, end))

    def _start_ecg(self, plane: str, begin: int) -> None:
        ecg, speed = self._runs[plane].ecg, self.parameters[DicomPlayerConfig].rate
        if ecg is None:
            return
        size = max(int(_ECG_PIECE * ecg.sampling_rate), 1)
        for first in range(0, len(ecg.samples), size):
            piece = ecg.samples[first : first + size]
            times = ecg.start_s + np.array([first, first + len(piece)]) / ecg.sampling_rate
            stamp, due = (begin + int(t * NANOSECONDS / speed) for t in times)
            message = ecg_to_msg(piece, ecg.sampling_rate * speed, stamp)
            self._schedule.at(due, partial(self.publish, self._ecg, message))

    def _send_frame(self, plane: str, k: int, stamp_ns: int) -> None:
        run, frame = self._runs[plane], optical_frame(plane)
        self.publish(self._poses[plane], pose_to_msg(run.poses[k], stamp_ns, frame))
        self.publish(self._images[plane], image_to_msg(run.images[k], stamp_ns, frame), stamp_ns)


def pass_length(times_ns: IntArray) -> int:
    """Length of a run in ns, with the last frame shown as long as the median frame (one frame: 1 s)."""
    return int(times_ns[-1] + np.median(np.diff(times_ns))) if len(times_ns) > 1 else NANOSECONDS


if __name__ == "__main__":
    raise SystemExit(main(DicomPlayerNode))
