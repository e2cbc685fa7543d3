"""The parts of the demo that need no nodes: goal, memory, pictures, headline, complaints. Its run is in test/ros."""

from __future__ import annotations

import numpy as np
import pytest

from autocar_ros.cli.demo import _headline, _sections, _why
from autocar_ros.cli.live import Course, distal_end
from autocar_ros.cli.pictures import draw_session, shown_graph
from autocar_ros.errors import AutocarError
from autocar_ros.evaluation.report import write_html
from autocar_ros.evaluation.session import Session, summarize
from autocar_ros.ros.bag import BagWriter
from autocar_ros.ros.images import image_to_msg
from autocar_ros.types import CArmPose, CatheterPath, VesselGraph

MS = 1_000_000
POSES = {
    "a": CArmPose(0.0, 0.0, 1200.0, 800.0, (0.3, 0.3), 64, 64),
    "b": CArmPose(1.5, 0.0, 1200.0, 800.0, (0.3, 0.3), 64, 64),
}


def fork(stamp=0, graph_id=1, seen=(3, 3, 3, 3)):
    position = np.array([[-4.0, 0, 0], [0, 0, 0], [3, 0, 4], [3, 0, -9]])
    return VesselGraph(
        position,
        np.ones(4),
        np.array([[0, 1], [1, 2], [1, 3]]),
        np.zeros(4, np.int64),
        stamp_a_ns=stamp,
        stamp_b_ns=stamp,
        graph_id=graph_id,
        seen_by=np.array(seen, np.uint8),
    )


@pytest.fixture
def session(tmp_path):
    """Three exposures with truth and graph; the bag has the images of the middle one."""
    stamps = [k * 200 * MS for k in range(3)]
    made = Session({"vessel_graph": 3}, 0, 2000 * MS)
    for stamp in stamps:
        for plane in "ab":
            made.exposures[plane].append(stamp)
            made.poses[plane][stamp] = POSES[plane]
        made.truths[stamp] = fork(stamp, seen=(3, 3, 3, 3 if stamp else 0))
        made.graphs.append(fork(stamp))
        made.arrivals["vessel_graph"][stamp] = stamp + 60 * MS
    nodes = np.array([0, 1, 3])
    made.paths = (CatheterPath(1, nodes, fork().position[nodes], np.zeros((3, 3)), np.ones(3), 13.5, 1.0, 0.1, 0.8, 0.9,
                               np.array([1]), np.array([0.5]), ("turn left",), True, ""),)  # fmt: skip
    made.path_stamp_ns = stamps[1]
    image = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    with BagWriter(tmp_path / "bag") as bag:
        for plane in "ab":
            bag.write(f"/plane_{plane}/image_raw", stamps[1], image_to_msg(image, stamps[1], ""))
    return made


def test_distal_end_is_the_farthest_along_the_vessels():
    assert distal_end(fork()).tolist() == [3, 0, -9]
    with pytest.raises(AutocarError, match="no vessel"):
        distal_end(fork().with_(edges=np.zeros((0, 2), np.int64)))


def test_memory_is_that_of_the_worst_moment():
    course = Course(0)
    for memory in ({"a": 5, "b": 1}, {"a": 4, "b": 4}, {"a": 7}):
        course.weigh(memory)
    assert course.memory == {"a": 4, "b": 4}


def test_shown_graph_has_the_most_to_show(session):
    assert shown_graph(session).stamp_a_ns == 200 * MS
    session.graphs = []
    with pytest.raises(AutocarError, match="no vessel graph"):
        shown_graph(session)


def test_pictures_and_report(session, tmp_path):
    pictures = draw_session(session, tmp_path / "bag", tmp_path)
    names = {path.name for path, _ in pictures}
    assert names == {"overlay_a.png", "overlay_b.png", "graph_3d.png", "path_3d.png", "latency_histogram.png",
                     "latency_timeline.png"}  # fmt: skip
    assert all(path.stat().st_size > 500 for path, _ in pictures)
    summary = {
        **summarize(session), "start_s": {"launch_to_first_graph": 7.0}, "memory_mb": {"peak_of_all": 900.0},
        "cores_used": {"all": 1.2},
        "settings": {}, "version": "1", "commit": None, "machine": {}, "created": "",
    }  # fmt: skip
    write_html(tmp_path / "report.html", "demo", _sections(summary, pictures))
    assert (tmp_path / "report.html").read_text().count("data:image/png") == 6
    headline = dict(_headline(summary))
    assert headline["of these with a graph"] == "3 (100.0%)"
    assert headline["recall_2mm"].startswith("1")
    assert headline["exposure to graph, median / p95 / p99 [ms]"] == "60 / 60 / 60"


def test_complaints_tell_why_there_is_no_graph(session):
    assert _why(session) == "no node reported a problem"
    session.complaints = [(MS, "/tracking", text) for text in ("no frame pairs", "late", "no frame pairs")]
    assert _why(session) == "/tracking: no frame pairs"
