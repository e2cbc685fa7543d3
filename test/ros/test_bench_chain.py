"""`autocar bench chain` and `frames`: a bag of masks or raw frames, and the nodes timed on it."""

import pytest

from autocar_ros.cli.bench_chain import FRAME_RATE, START_NS, bench_chain, bench_frames, tables, write_bag
from autocar_ros.cli.session import read_session
from autocar_ros.config import SimulationConfig
from autocar_ros.ros.middleware import free_domain
from autocar_ros.synthetic.scene import Scene


@pytest.mark.parametrize("frames", [False, True])
def test_the_bag_is_a_session(tmp_path, frames):
    stamps = write_bag(tmp_path / "bag", Scene(SimulationConfig(image_size=128)), 0.2, frames)
    session = read_session(tmp_path / "bag")
    assert stamps == [START_NS + round(k / FRAME_RATE * 1e9) for k in range(3)]
    assert session.exposures == {"a": stamps, "b": stamps}
    assert sorted(session.truths) == stamps
    assert session.counts["ecg"] == 3


@pytest.mark.slow
def test_nodes_answer_a_bag_of_masks(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free_domain()))
    said = []
    found = bench_chain(1, said.append, length=8.0)
    pairs, times = found["frame_pairs"], found["latency_ms"]["vessel_graph"]
    assert 0 <= pairs["graphs_published"] <= pairs["offered"] <= 8 * FRAME_RATE
    assert times["n"] > 0  # on a busy machine the first graph may come after the last pair
    assert 0 < times["median"] <= times["p99"] <= times["max"]
    assert set(found["cores"]) == {"/synchronization", "/reconstruction", "/tracking", "/bag_player", "recorder"}
    assert sum(pairs["lost"].values()) == pairs["offered"] - pairs["graphs_published"]
    assert len(tables(found)) == 3


@pytest.mark.slow
def test_nodes_answer_a_bag_of_frames(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free_domain()))
    said = []
    found = bench_frames(1, said.append, length=4.0)
    assert found["frame_pairs"]["exposed"] == 3 * FRAME_RATE  # what was played, but for the last second
    assert found["latency_ms"]["plane_a/mask"]["n"] > 0  # a busy machine may not get as far as a graph in time
    assert {"/plane_a/segmentation", "/plane_b/segmentation", "/tracking"} < set(found["cores"])
