"""The observer beside a running node: records, reads the diagnostics, asks for a path."""

from __future__ import annotations

import numpy as np
import pytest

from autocar_ros.errors import AutocarError
from autocar_ros.ros.bag import BagReader
from autocar_ros.ros.observer import Observer
from autocar_ros.ros.processes import NodeProcesses, NodeSpec

GOAL = np.array([10.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def navigation(tmp_path_factory, middleware):
    with NodeProcesses([NodeSpec("navigation")], tmp_path_factory.mktemp("logs")) as nodes:
        nodes.wait_active()
        yield nodes


def test_asks_the_planner(navigation):
    with Observer() as observer:
        answer = observer.ask_path(GOAL)
    assert answer.error == "NO_GRAPH"
    assert answer.message
    assert answer.paths == ()


def test_records_and_reads_the_diagnostics(navigation, tmp_path):
    with Observer(tmp_path / "bag") as observer:
        assert observer.spin(10.0, lambda: "/navigation" in observer.status)
        assert observer.status["/navigation"].level in ("ok", "warning")

        def recorded() -> bool:
            observer.set_goal(GOAL)  # again and again: the first click may come before the recorder has subscribed
            return all(observer.counts.get(topic, 0) > 0 for topic in ("/clicked_point", "/diagnostics"))

        assert observer.spin(10.0, recorded)
        assert observer.truth is None
    with BagReader(tmp_path / "bag") as bag:
        assert bag.counts["/diagnostics"] > 0
        assert "/rosout" not in bag.topics


def test_settles_when_every_node_has_spoken_again(navigation):
    with Observer() as observer:
        assert observer.spin(10.0, lambda: "/navigation" in observer.status)
        assert not observer.settle(0.5)  # diagnostics come once a second
        assert observer.settle(10.0)


def test_nobody_to_ask(middleware, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "101")  # where nobody is
    with Observer() as observer, pytest.raises(AutocarError, match="navigation node"):
        observer.ask_path(GOAL, timeout=0.3)
