"""Node `reconstruction`: key-frame pairs to new vessel graphs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Trigger

from autocar_ros import msg as ros
from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import WeightsError
from autocar_ros.pipeline import reconstruct
from autocar_ros.ros.conversions import graph_to_msg, pair_from_msg, volume_cloud
from autocar_ros.ros.lifecycle import StageNode, main
from autocar_ros.ros.stamps import pair_stamp
from autocar_ros.ros.warmup import upright_vessel
from autocar_ros.sbp.network import SbpNetwork
from autocar_ros.sbp.prediction import network_for


class ReconstructionNode(StageNode):
    """``frame_pair`` to ``reconstruction/points`` and ``reconstruction/graph``; service ``~/reconstruct``.

    Only key frames are reconstructed; how often they come is option `key_interval` of the synchronization. While one
    is being worked on newer pairs replace each other in the queue, so the next one is the newest. Whether a new graph
    replaces the living one is up to the tracking (its service ``~/rebuild``).
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
        self._asked = False
        self._count = 0
        self.service(Trigger, "~/reconstruct", self._on_request)

    def begin(self) -> None:
        """Subscribe to pairs."""
        self.input(ros.FramePair, "frame_pair", self._on_pair, needed=True, stamp=pair_stamp)

    def clear(self) -> None:
        """Forget an open request."""
        self._asked = False

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

    def _on_request(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._asked = True
        response.success, response.message = True, "the next usable frame pair will be reconstructed"
        return response


if __name__ == "__main__":
    raise SystemExit(main(ReconstructionNode))
