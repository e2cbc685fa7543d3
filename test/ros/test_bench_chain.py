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
@pytest.mark.parametrize("bench", [bench_chain, bench_frames])
def test_nodes_answer_a_bag(monkeypatch, bench):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free_domain()))
    said = []
    found = bench(1, said.append, length=8.0)
    pairs, times = found["frame_pairs"], found["latency_ms"]["vessel_graph"]
    assert 0 < pairs["graphs_published"] <= pairs["offered"] <= 8 * FRAME_RATE
    assert 0 < times["median"] <= times["p99"] <= times["max"]
    segmenting = {"/plane_a/segmentation", "/plane_b/segmentation"} if bench is bench_frames else set()
    assert set(found["cores"]) == segmenting | {"/synchronization", "/reconstruction", "/tracking", "/bag_player"}
    assert len(tables(found)) == 2
