"""Node `reconstruction`: key-frame pairs to new vessel graphs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from autocar_ros import msg as ros
from autocar_ros.config import AlignmentConfig, ReconstructionConfig
from autocar_ros.errors import WeightsError
from autocar_ros.pipeline import reconstruct
from autocar_ros.ros.conversions import alignment_to_msg, graph_to_msg, pair_from_msg, volume_cloud
from autocar_ros.ros.lifecycle import StageNode, main
from autocar_ros.ros.stamps import pair_stamp
from autocar_ros.ros.warmup import upright_vessel
from autocar_ros.sbp.network import SbpNetwork
from autocar_ros.sbp.prediction import network_for
from autocar_ros.sbp.refiner import Refiner
from autocar_ros.types import FramePair


class ReconstructionNode(StageNode):
    """``frame_pair`` to ``reconstruction/points`` and ``reconstruction/graph``; service ``~/reconstruct``.

    Only key frames are reconstructed; how often they come is option `key_interval` of the synchronization. While one
    is being worked on newer pairs replace each other in the queue, so the next one is the newest. Whether a new graph
    replaces the living one is up to the tracking (its service ``~/rebuild``). Where somebody listens to
    ``plane_b/alignment_refined``, as the synchronization with `align` full does, key frames also refine plane B's pose.
    """

    configs = (ReconstructionConfig,)
    niceness = 10

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("reconstruction", **kwargs)

    def prepare(self) -> None:
        """Make outputs and the service, and compile what is compiled at the first call."""
        self._network = self._load()
        reconstruct(upright_vessel(), self.parameters[ReconstructionConfig], self._network)
        self._points = self.output(PointCloud2, "reconstruction/points")
        self._graphs = self.output(ros.VesselGraph, "reconstruction/graph")
        self._refined = self.output(ros.ViewAlignment, "plane_b/alignment_refined")
        self.reconfigure()
        self._asked = False
        self._count = 0
        self.service(Trigger, "~/reconstruct", self._on_request)

    def reconfigure(self) -> None:
        """Take over parameters; key frames are forgotten."""
        self._refiner = Refiner(self.parameters[ReconstructionConfig], AlignmentConfig(align="full"))

    def begin(self) -> None:
        """Subscribe to pairs."""
        self.input(ros.FramePair, "frame_pair", self._on_pair, needed=True, stamp=pair_stamp)

    def clear(self) -> None:
        """Forget an open request and the key frames."""
        self._asked = False
        self._refiner.reset()

    def release(self) -> None:
        """Forget the network."""
        self._network = None

    def _load(self) -> SbpNetwork | None:
        """Network of the parameters; weights asked for must be there, without the package's own lifting does."""
        config = self.parameters[ReconstructionConfig]
        try:
            network = network_for(config)
        except WeightsError as error:
            if config.weights or config.device != "cpu":
                raise
            self.diagnostics.trouble("weights", f"reconstructs by lifting alone: {error}")
            return None
        self.diagnostics.trouble("weights", None)
        return network

    def _on_pair(self, message: ros.FramePair) -> None:
        if not (message.key_frame or self._asked):
            return
        pair = pair_from_msg(message)
        volume, graph = reconstruct(pair, self.parameters[ReconstructionConfig], self._network)
        self._asked = False  # only now: a pair that cannot be reconstructed leaves the request open
        self._count += 1
        graph = replace(graph, graph_id=self._count, sequence=self._count)
        self.publish(self._graphs, graph_to_msg(graph), pair.stamp_a_ns)
        self.publish(self._points, volume_cloud(volume, pair.stamp_a_ns))
        if pair.key_frame:
            self._refine(pair)

    def _refine(self, pair: FramePair) -> None:
        """Offer a key frame, after its graph is out."""
        if self._refined.get_subscription_count() == 0:
            return
        found = self._refiner.offer(pair)
        if found is not None:
            self.publish(self._refined, alignment_to_msg(found))

    def _on_request(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._asked = True
        response.success, response.message = True, "the next usable frame pair will be reconstructed"
        return response


if __name__ == "__main__":
    raise SystemExit(main(ReconstructionNode))
