"""Stamps, headers and frame names."""

from __future__ import annotations

from typing import Any

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from autocar_ros.types import NANOSECONDS

WORLD_FRAME = "carm_isocenter"
CORRECTED_FRAME = "plane_b_corrected_optical_frame"  # of plane B where the alignment finds it


def optical_frame(plane: str) -> str:
    """Name of the optical frame of plane "a" or "b"."""
    return f"plane_{plane}_optical_frame"


def to_ns(stamp: Time) -> int:
    """Nanoseconds of a stamp."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def to_time(stamp_ns: int) -> Time:
    """Stamp of nanoseconds."""
    return Time(sec=stamp_ns // NANOSECONDS, nanosec=stamp_ns % NANOSECONDS)


def stamp_of(message: Any) -> int:
    """Nanoseconds of a message's header."""
    return to_ns(message.header.stamp)


def pair_stamp(message: Any) -> int:
    """Newer exposure of a FramePair in ns: it increases even where plane A's repeats or runs back (mode phase)."""
    return max(stamp_of(message.pose_a), stamp_of(message.pose_b))


def graph_stamp(message: Any) -> int:
    """Newer exposure of a VesselGraph in ns, for the same reason."""
    return max(to_ns(message.stamp_a), to_ns(message.stamp_b))


def header(stamp_ns: int, frame_id: str = WORLD_FRAME) -> Header:
    """Header with the exposure time."""
    return Header(stamp=to_time(stamp_ns), frame_id=frame_id)
