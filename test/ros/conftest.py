"""Real rclpy over real DDS, on this machine only and in a domain of its own per test run."""

import itertools
import os
import socket

import pytest

rclpy = pytest.importorskip("rclpy", reason="no ROS 2 in this environment")

from ros.probe import Bench  # noqa: E402

from autocar_ros.ros.middleware import use_middleware_environment  # noqa: E402

_order = itertools.count(os.getpid())


def _free_domain():
    """Next domain whose discovery port nobody on this machine has bound.

    Each test takes another one: where participants of a test that has just ended linger, services are found or not
    by chance.
    """
    for _ in range(100):
        domain = 1 + next(_order) % 100
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.bind(("", 7400 + 250 * domain))
            except OSError:
                continue
            return domain
    raise RuntimeError("every ROS domain is taken")


@pytest.fixture(scope="session", autouse=True)
def middleware():
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ["ROS_DOMAIN_ID"] = str(_free_domain())
    use_middleware_environment()


@pytest.fixture
def bench(middleware):
    """Executor with nodes under test and a probe that talks to them, in a domain nobody else uses."""
    with Bench(_free_domain()) as b:
        yield b
