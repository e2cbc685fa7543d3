"""The check that stands before `make setup`."""

import runpy
from pathlib import Path

import pytest

PROBLEMS = runpy.run_path(str(Path(__file__).resolve().parents[1] / "tools" / "check_host.py"))["problems"]


@pytest.fixture
def good_host(tmp_path):
    (tmp_path / "Python.h").touch()
    return {"environ": {}, "machine": "x86_64", "version": (3, 11), "include": tmp_path, "which": lambda name: name}


def test_good_host_has_no_problems(good_host):
    assert PROBLEMS(**good_host) == []


@pytest.mark.parametrize(
    ("change", "cause", "remedy"),
    [
        ({"machine": "aarch64"}, "x86_64 only", "colcon build"),
        ({"version": (3, 10)}, "Python 3.10", "PYTHON=python3.11"),
        ({"version": (3, 14)}, "Python 3.14", "PYTHON=python3.11"),
        ({"environ": {"ROS_DISTRO": "jazzy"}}, "sourced", "unset ROS_DISTRO"),
        ({"environ": {"AMENT_PREFIX_PATH": "/opt/ros"}}, "sourced", "colcon build"),
        ({"include": "/nowhere"}, "Python.h", "apt-get install python3.11-dev"),
        ({"which": lambda _: None}, "g++", "apt-get install g++"),
    ],
)
def test_problem_is_named_with_its_remedy(good_host, change, cause, remedy):
    [text] = PROBLEMS(**good_host | change)
    assert cause in text
    assert remedy in text
