"""A bag written with known messages is read back as a session."""

from __future__ import annotations

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from autocar_ros.cli.session import read_images, read_session
from autocar_ros.errors import BagError
from autocar_ros.ros.bag import BagWriter
from autocar_ros.ros.conversions import graph_to_msg, pose_to_msg
from autocar_ros.ros.images import image_to_msg
from autocar_ros.types import CArmPose, VesselGraph

T0 = 1_700_000_000_000_000_000
IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)


def graph(stamp):
    points = np.array([[0.0, 0, 0], [1.0, 2, 3]])
    branch = np.zeros(2, np.int64)
    return VesselGraph(points, np.ones(2), np.array([[0, 1]]), branch, stamp_a_ns=stamp, stamp_b_ns=stamp)


@pytest.fixture(params=["/", "/lab/"])
def bag(tmp_path, request):
    """One pair, its graph 50 ms later and twice more, and a warning with one drop."""
    pose = CArmPose(0.1, 0.2, 1200.0, 800.0, (0.3, 0.3), 3, 4)
    status = DiagnosticStatus(
        level=DiagnosticStatus.WARN, name="/tracking", message="late", values=[KeyValue(key="dropped pose", value="2")]
    )
    namespace = request.param
    with BagWriter(tmp_path / "bag") as writer:
        for plane in "ab":
            writer.write(f"{namespace}plane_{plane}/image_raw", T0, image_to_msg(IMAGE, T0, ""))
            writer.write(f"{namespace}plane_{plane}/carm_pose", T0, pose_to_msg(pose, T0, ""))
        writer.write(f"{namespace}ground_truth/vessel_graph", T0, graph_to_msg(graph(T0)))
        for late in (50, 70):
            writer.write(f"{namespace}vessel_graph", T0 + late * 1_000_000, graph_to_msg(graph(T0)))
        writer.write("/diagnostics", T0 + 90_000_000, DiagnosticArray(status=[status]))
    return tmp_path / "bag"


def test_session_of_a_bag(bag):
    session = read_session(bag)
    assert session.exposures == {"a": [T0], "b": [T0]}
    assert session.pose_at("b", T0).secondary_angle == pytest.approx(0.2)
    assert session.truths[T0].position[1] == pytest.approx([1, 2, 3], abs=1e-4)
    assert session.arrivals["vessel_graph"] == {T0: T0 + 50_000_000}
    assert len(session.graphs) == session.counts["vessel_graph"] == 2
    assert session.drops == {"/tracking": {"pose": 2}}
    assert session.complaints == [(T0 + 90_000_000, "/tracking", "late")]


def test_images_of_a_bag(bag):
    images = read_images(bag, "plane_a/image_raw", {T0})
    assert images[T0].tolist() == IMAGE.tolist()
    assert read_images(bag, "plane_a/image_raw", {T0 + 1}) == {}


def test_a_bag_without_angiograms_is_no_session(tmp_path):
    with BagWriter(tmp_path / "other") as writer:
        writer.write("/diagnostics", T0, DiagnosticArray())
    with pytest.raises(BagError, match="no plane_a/image_raw and no plane_a/mask, only /diagnostics"):
        read_session(tmp_path / "other")


def test_no_bag(tmp_path):
    with pytest.raises(BagError, match=r"no bag|not a readable bag"):
        read_session(tmp_path / "nothing")
