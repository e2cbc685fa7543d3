"""Nodes as processes: start, states, memory, signals, death."""

import os
import signal
import time

import pytest

from autocar_ros.ros.processes import NodeProcesses, NodeSpec, ProcessError


def test_a_command_line_carries_names_remaps_and_parameters(tmp_path):
    spec = NodeSpec(
        "segmentation",
        namespace="/plane_a",
        parameters={"rate": 15.0, "name": "in turn", "scales": [1.0, 2.0], "use_sim_time": True},
        parameter_file=tmp_path / "x.yaml",
        remap={"image_raw": "camera/image"},
    )
    command = spec.command()
    assert spec.full_name == "/plane_a/segmentation"
    assert command[1:3] == ["-m", "autocar_ros.ros.nodes.segmentation"]
    for text in ("__ns:=/plane_a", "image_raw:=camera/image", "rate:=15.0", "name:=in turn", "scales:=[1.0, 2.0]",
                 "use_sim_time:=true"):  # fmt: skip
        assert text in command


def test_nodes_come_up_and_stop_cleanly(middleware, tmp_path):
    specs = [NodeSpec("synchronization", parameters={"max_pair_skew": 0.05}), NodeSpec("navigation", namespace="/lab")]
    with NodeProcesses(specs, tmp_path) as nodes:
        nodes.wait_active(60.0)
        memory = nodes.resident_memory()
        assert set(memory) == {"/synchronization", "/lab/navigation"}
        assert all(20e6 < m < 1e9 for m in memory.values())
        codes = nodes.stop()
    assert codes == {"/synchronization": 0, "/lab/navigation": 0}
    assert "Traceback" not in nodes.log("/synchronization").read_text()


def test_sigterm_ends_a_node_cleanly(middleware, tmp_path):
    with NodeProcesses([NodeSpec("synchronization")], tmp_path) as nodes:
        nodes.wait_active(60.0)
        process = nodes._running["/synchronization"]
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_wrong_parameter_ends_with_its_reason(middleware, tmp_path):
    with (
        NodeProcesses([NodeSpec("synchronization", parameters={"max_pair_skew": 7.0})], tmp_path) as nodes,
        pytest.raises(ProcessError, match=r"(?s)code 2.*max_pair_skew"),
    ):
        nodes.wait_active(30.0)


def test_a_node_that_does_not_come_up_is_named_with_its_state_and_log(middleware, tmp_path):
    with (
        NodeProcesses([NodeSpec("bag_player", parameters={"bag": "/no/bag"})], tmp_path) as nodes,
        pytest.raises(ProcessError, match=r"(?s)/bag_player is unconfigured, not active.*no bag at /no/bag"),
    ):
        nodes.wait_active(8.0)


def test_a_node_that_died_is_noticed(middleware, tmp_path):
    with NodeProcesses([NodeSpec("synchronization")], tmp_path) as nodes:
        nodes.wait_active(60.0)
        nodes.check()
        process = nodes._running["/synchronization"]
        process.kill()
        end = time.monotonic() + 10
        while process.poll() is None:
            assert time.monotonic() < end
        with pytest.raises(ProcessError, match="code -9"):
            nodes.check()


def test_reconstruction_gives_way_to_what_frames_wait_for(middleware, tmp_path):
    specs = [NodeSpec("reconstruction", parameters={"method": "lifting"}), NodeSpec("synchronization")]
    with NodeProcesses(specs, tmp_path) as nodes:
        nodes.wait_active(60.0)
        slow, fast = (process.pid for process in nodes._running.values())
        assert os.getpriority(os.PRIO_PROCESS, slow) > os.getpriority(os.PRIO_PROCESS, fast)
        assert os.getsid(slow) == os.getsid(fast) == os.getsid(0)  # otherwise Linux does not heed it
