"""`autocar bench chain` and `frames`: the nodes from masks or raw frames to the graph, timed on a bag over DDS."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.table import Table

from autocar_ros.cli.session import read_session
from autocar_ros.config import SimulationConfig
from autocar_ros.evaluation.session import summarize
from autocar_ros.synthetic.ecg import first_sample
from autocar_ros.synthetic.scene import ECG_RATE, Scene
from autocar_ros.types import NANOSECONDS

FRAME_RATE = 15.0  # Hz, of each plane
LENGTH = 60.0  # s
START_NS = NANOSECONDS  # stamp of the first exposure; 0 is no time
BEGIN = 1.0  # s of the scene: contrast has arrived
NODES = ("segmentation", "synchronization", "reconstruction", "tracking")
UNRECORDED = ("image_raw", "catheter_mask")  # the recorder would cost more than the nodes
DELAY = 3.0  # s before the first exposure, in which the recorder finds the topics even on a busy machine
STEPS = 3  # that `bench_chain` tells of


def bench_chain(seed: int, advance: Callable[[str], None], length: float = LENGTH) -> dict[str, Any]:
    """Play a bag of true masks to the nodes and time the graphs that come back.

    Neither simulator nor segmentation run then: what is timed is synchronisation, reconstruction and tracking. Times
    come from the player's clock, which advances 100 times a second: an exposure is played up to 10 ms late, and that
    counts.
    """
    return _bench(seed, advance, length, frames=False)


def bench_frames(seed: int, advance: Callable[[str], None], length: float = LENGTH) -> dict[str, Any]:
    """Play a bag of raw frames to the nodes, segmentation of both planes among them, and time as `bench_chain`."""
    return _bench(seed, advance, length, frames=True)


def _bench(seed: int, advance: Callable[[str], None], length: float, frames: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="autocar_chain_") as folder:
        place = Path(folder)
        advance(f"Exposing {length:g} s")
        stamps = write_bag(place / "played", Scene(SimulationConfig(seed=seed)), length, frames)
        advance("Running the nodes")
        processor, missed = _run(place, length, NODES if frames else NODES[1:])
        advance("Reading what was recorded")
        session = read_session(place / "session")
        session.exposures = {plane: list(stamps) for plane in "ab"}  # what was played, arrived or not
        summary = summarize(session)
    wanted = ("latency_ms", "frame_pairs", "drops", "troubles", "graph", "identity")
    told = {"exposed_s": length, "frame_rate_hz": FRAME_RATE, "cores": processor, "not_recorded": missed}
    return told | {k: summary[k] for k in wanted}


def write_bag(path: Path, scene: Scene, length: float, frames: bool) -> list[int]:
    """Write a bag of both planes' frames or true masks, poses, the ECG and the true graphs; return all stamps, ns."""
    from autocar_ros.ros import qos
    from autocar_ros.ros.bag import BagWriter
    from autocar_ros.ros.conversions import ecg_to_msg, graph_to_msg, pose_to_msg
    from autocar_ros.ros.images import image_to_msg
    from autocar_ros.ros.stamps import optical_frame

    topic, expose = ("image_raw", scene.image) if frames else ("mask", scene.mask)
    moments = [k / FRAME_RATE for k in range(round(length * FRAME_RATE))]
    stamps = [START_NS + round(moment * NANOSECONDS) for moment in moments]
    with BagWriter(path) as bag:
        sent = 0.0
        for moment, stamp in zip(moments, stamps, strict=True):
            first = first_sample(sent, ECG_RATE)
            samples = scene.ecg(BEGIN + first, BEGIN + moment)
            bag.write("/ecg", stamp, ecg_to_msg(samples, ECG_RATE, START_NS + round(first * NANOSECONDS)), qos.output())
            sent = moment
            for plane in "ab":
                frame = optical_frame(plane)
                pose = pose_to_msg(scene.pose(plane, BEGIN + moment), stamp, frame)
                bag.write(f"/plane_{plane}/carm_pose", stamp, pose, qos.output())
                picture = image_to_msg(expose(plane, BEGIN + moment), stamp, frame)
                bag.write(f"/plane_{plane}/{topic}", stamp, picture, qos.output())
            truth = scene.truth(BEGIN + moment).with_(stamp_a_ns=stamp, stamp_b_ns=stamp)
            bag.write("/ground_truth/vessel_graph", stamp, graph_to_msg(truth), qos.output())
    return stamps


def tables(found: dict[str, Any]) -> list[Table]:
    """Tables of what `bench_chain` found."""
    pairs = found["frame_pairs"]
    title = f"{pairs['graphs_published']} graphs of {pairs['offered']} pairs; {pairs['before_first_graph']} before"
    times = Table("from exposure to", "median, ms", "p95, ms", "p99, ms", "max, ms", title=title)
    for topic, ms in found["latency_ms"].items():
        if ms["n"]:
            times.add_row(topic, *(f"{ms[q]:.0f}" for q in ("median", "p95", "p99", "max")))
    cores = Table("process", "cores", title=f"Processor time; status {pairs['graph_status']}")
    for name, share in found["cores"].items():
        cores.add_row(name, f"{share:.2f}")
    lost = Table("lost", "count", title="Where pairs without a graph were seen last, and what was counted")
    for reason, count in pairs["lost"].items():
        lost.add_row(f"pairs: {reason}", str(count))
    for node, reasons in found["drops"].items():
        for reason, count in reasons.items():
            lost.add_row(f"{node}: {reason}", str(count))
    for topic, count in found["not_recorded"].items():
        lost.add_row(f"not recorded: {topic}", str(count))
    return [times, cores, lost]


def _run(place: Path, length: float, executables: tuple[str, ...]) -> tuple[dict[str, float], dict[str, int]]:
    """Play the bag `played` of a folder to nodes, record `session`.

    Returns the cores that each process kept busy, and by topic what was not recorded because it never arrived.
    """
    from autocar_ros.ros.chain import processing_nodes
    from autocar_ros.ros.middleware import keep_apart
    from autocar_ros.ros.observer import Observer
    from autocar_ros.ros.processes import NodeProcesses, NodeSpec

    keep_apart()
    chain = [spec for spec in processing_nodes(use_sim_time=True) if spec.executable in executables]
    player_spec = NodeSpec("bag_player", parameters={"bag": str(place / "played"), "topics": "all", "delay": DELAY})
    recorder = Observer(place / "session", use_sim_time=True, without=UNRECORDED)
    with recorder as observer, NodeProcesses(chain, place) as nodes:
        nodes.wait_active()
        began = nodes.processor_time()  # imports and warming up do not count
        with NodeProcesses([player_spec], place) as player:
            player.wait_active()
            began |= player.processor_time() | {"recorder": time.process_time()}
            observer.spin(length + DELAY)
            nodes.check()
            spent = nodes.processor_time() | player.processor_time() | {"recorder": time.process_time()}
            observer.settle()
    return {name: (seconds - began[name]) / length for name, seconds in spent.items()}, observer.missed
