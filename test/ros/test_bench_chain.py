"""`autocar bench chain`: a bag of masks, and the nodes timed on it."""

import pytest

from autocar_ros.cli.bench_chain import FRAME_RATE, START_NS, bench_chain, tables, write_mask_bag
from autocar_ros.cli.session import read_session
from autocar_ros.config import SimulationConfig
from autocar_ros.ros.middleware import free_domain
from autocar_ros.synthetic.scene import Scene


def test_a_bag_of_masks_is_a_session(tmp_path):
    write_mask_bag(tmp_path / "bag", Scene(SimulationConfig(image_size=128)), 0.2)
    session = read_session(tmp_path / "bag")
    stamps = [START_NS + round(k / FRAME_RATE * 1e9) for k in range(3)]
    assert session.exposures == {"a": stamps, "b": stamps}
    assert sorted(session.truths) == stamps
    assert session.counts["ecg"] == 3


@pytest.mark.slow
def test_nodes_answer_a_bag_of_masks(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(free_domain()))
    said = []
    found = bench_chain(1, said.append, length=8.0)
    pairs, times = found["frame_pairs"], found["latency_ms"]["vessel_graph"]
    assert 0 < pairs["graphs_published"] <= pairs["offered"] <= 8 * FRAME_RATE
    assert 0 < times["median"] <= times["p99"] <= times["max"]
    assert set(found["cores"]) == {"/synchronization", "/reconstruction", "/tracking", "/bag_player"}
    assert len(tables(found)) == 2
