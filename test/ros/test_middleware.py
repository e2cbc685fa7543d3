"""Choice of a domain that nobody uses."""

from __future__ import annotations

import socket

from autocar_ros.ros.middleware import free_domain


def test_a_taken_domain_is_passed_over():
    first = free_domain()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 7400 + 250 * first))
        second = free_domain()
    assert second != first
    assert {first, second} <= set(range(1, 101))
