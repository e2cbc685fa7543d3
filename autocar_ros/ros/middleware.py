"""Environment that Fast DDS and the numerical libraries need before they start."""

from __future__ import annotations

import os
import socket

from autocar_ros.resources import resource
from autocar_ros.runtime import one_thread


def middleware_environment() -> dict[str, str]:
    """Variables for node processes; what the user has set stays.

    The transport profile gives shared memory room for images: with Fast DDS's default segment of 512 KB up to half of
    the frames are lost.
    """
    profiles = "FASTRTPS_DEFAULT_PROFILES_FILE"
    # a node is one thread of work; several nodes with a pool of threads each only fight for the cores
    return {**one_thread(), profiles: os.environ.get(profiles, str(resource("config", "fastdds.xml")))}


def use_middleware_environment() -> None:
    """Set these variables in this process; call it before `rclpy.init`."""
    os.environ.update(middleware_environment())


def free_domain() -> int:
    """ROS domain that nobody on this machine uses: its discovery port is free.

    1 to 100, whose ports lie below the range that the system hands out. Raises `RuntimeError` when all are taken.
    """
    for offset in range(100):
        domain = 1 + (os.getpid() + offset) % 100
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7400 + 250 * domain))
            except OSError:
                continue
            return domain
    raise RuntimeError("every ROS domain from 1 to 100 is in use on this machine: set ROS_DOMAIN_ID")


def keep_apart() -> None:
    """Meet no other session: a free domain on this machine alone, but for what the user has set."""
    os.environ.setdefault("ROS_DOMAIN_ID", str(free_domain()))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
