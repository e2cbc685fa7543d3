"""Two DICOM X-ray runs as a bag with the topics of docs/interfaces.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from autocar_ros.imaging.dicom import XrayRun, ecg_plane
from autocar_ros.ros import qos
from autocar_ros.ros.bag import BagWriter
from autocar_ros.ros.conversions import ecg_to_msg, pose_to_msg
from autocar_ros.ros.images import image_to_msg
from autocar_ros.ros.stamps import optical_frame
from autocar_ros.types import NANOSECONDS

START_NS = NANOSECONDS  # both runs begin together at 1 s: when they were taken is the patient's business; 0 is no time
_ECG_PIECE = 0.1  # s
Timed = tuple[int, str, Callable[[], Any]]  # log time in ns, topic, and what makes the message


def write_dicom_bag(runs: Mapping[str, XrayRun], path: Path) -> dict[str, int]:
    """Write the runs of planes "a" and "b" as taken together; the ECG is that of A, or B's where A has none.

    Returns the number of messages per topic. Raises `DicomError` when a run lacks its geometry or frame times, before
    anything is written, and `BagError` when the bag cannot be written.
    """
    sources = [_frames(plane, run) for plane, run in runs.items()]
    if (plane := ecg_plane(runs)) is not None:
        sources.append(_ecg_pieces(runs[plane]))
    messages = sorted((m for source in sources for m in source), key=lambda m: m[0])
    with BagWriter(path) as bag:
        for stamp_ns, topic, make in messages:
            bag.write(topic, stamp_ns, make(), qos.output())
        return dict(bag.counts)


def _frames(plane: str, run: XrayRun) -> Iterator[Timed]:
    frame_id = optical_frame(plane)
    poses = run.poses
    for k, time_ns in enumerate(run.frame_times_ns):
        stamp = START_NS + int(time_ns)
        yield stamp, f"/plane_{plane}/carm_pose", lambda k=k, stamp=stamp: pose_to_msg(poses[k], stamp, frame_id)
        yield stamp, f"/plane_{plane}/image_raw", lambda k=k, stamp=stamp: image_to_msg(run.images[k], stamp, frame_id)


def _ecg_pieces(run: XrayRun) -> Iterator[Timed]:
    """Pieces of the ECG, each stamped with its first sample and written when its last one is there."""
    assert run.ecg is not None
    rate, samples = run.ecg.sampling_rate, run.ecg.samples
    size = max(int(_ECG_PIECE * rate), 1)
    for first in range(0, len(samples), size):
        piece = samples[first : first + size]
        begin = START_NS + int((run.ecg.start_s + first / rate) * NANOSECONDS)
        end = begin + int(len(piece) / rate * NANOSECONDS)
        if begin >= 0:
            yield end, "/ecg", lambda piece=piece, begin=begin: ecg_to_msg(piece, rate, begin)
