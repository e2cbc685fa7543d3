"""Stamps, headers and frame names."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from autocar_ros.types import NANOSECONDS

WORLD_FRAME = "carm_isocenter"


def optical_frame(plane: str) -> str:
    """Name of the optical frame of plane "a" or "b"."""
    return f"plane_{plane}_optical_frame"


def to_ns(stamp: Time) -> int:
    """Nanoseconds of a stamp."""
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)


def to_time(stamp_ns: int) -> Time:
    """Stamp of nanoseconds."""
    return Time(sec=stamp_ns // NANOSECONDS, nanosec=stamp_ns % NANOSECONDS)


def header(stamp_ns: int, frame_id: str = WORLD_FRAME) -> Header:
    """Header with the exposure time."""
    return Header(stamp=to_time(stamp_ns), frame_id=frame_id)
