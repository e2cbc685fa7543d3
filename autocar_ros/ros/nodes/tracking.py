"""Node `tracking`: the living vessel graph at frame rate."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

from rclpy.clock import Clock, ClockType
from std_srvs.srv import Trigger

from autocar_ros import msg as ros
from autocar_ros.config import TrackingConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.msg import FramePair
from autocar_ros.ros import qos
from autocar_ros.ros.conversions import graph_from_msg, graph_to_msg, pair_from_msg, stenoses_to_msg
from autocar_ros.ros.lifecycle import StageNode, main
from autocar_ros.ros.stamps import graph_stamp, pair_stamp, to_ns
from autocar_ros.ros.warmup import upright_graph, upright_vessel
from autocar_ros.srv import GetVesselGraph, SaveVesselGraph
from autocar_ros.tracking.tracker import Tracker
from autocar_ros.types import NANOSECONDS, GraphStatus, VesselGraph
from autocar_ros.types import FramePair as Pair
from autocar_ros.vessels.export import save_graph
from autocar_ros.vessels.stenosis import find_stenoses

_HISTORY = 300  # graphs kept for get_vessel_graph
_JUDGED = 1.0  # s between messages on stenoses
_SILENCE = 1.0  # s without a pair: the graph is no longer confirmed by images


class TrackingNode(StageNode):
    """``frame_pair`` and ``reconstruction/graph`` to ``vessel_graph``, ``vessel_graph/reference`` and ``stenoses``.

    The reference is the graph as it was when its `graph_id` or its number of nodes changed. When pairs stop, the last
    graph is published once more with status STALE and its own exposure stamp. Services ``~/reset`` (forget the graph),
    ``~/rebuild`` (keep it until the next reconstruction, which replaces it however good it is), ``get_vessel_graph``
    (of the past, or predicted for the near future), ``save_vessel_graph``.
    """

    configs = (TrackingConfig,)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("tracking", **kwargs)
        self._sequence = 0
        self._last_id = self._id_base = 0  # ids go on when the tracker is made anew
        self._last_size = 0  # nodes: they get more while the id stays

    def prepare(self) -> None:
        """Make outputs, services and the tracker, and load what is compiled."""
        _warm_up()
        self._graphs = self.output(ros.VesselGraph, "vessel_graph")
        self._reference = self.output(ros.VesselGraph, "vessel_graph/reference", qos.latched())
        self._stenoses = self.output(ros.StenosisArray, "stenoses")
        self._history: deque[VesselGraph] = deque(maxlen=_HISTORY)
        self.reconfigure()
        self.service(Trigger, "~/reset", self._on_reset)
        self.service(Trigger, "~/rebuild", self._on_rebuild)
        self.service(GetVesselGraph, "get_vessel_graph", self._on_get)
        self.service(SaveVesselGraph, "save_vessel_graph", self._on_save)

    def reconfigure(self) -> None:
        """Track anew with changed parameters."""
        self._tracker = Tracker(self.parameters[TrackingConfig])
        self._id_base = self._last_id
        self.clear()

    def begin(self) -> None:
        """Subscribe to pairs and new graphs."""
        self.input(FramePair, "frame_pair", self._on_pair, needed=True, complete=True, stamp=pair_stamp)
        new = "reconstruction/graph"
        self.input(ros.VesselGraph, new, self._on_new_graph, qos.event(), ordered=False, stamp=graph_stamp)
        self._watch = self.every(_SILENCE, self._on_silence, Clock(clock_type=ClockType.STEADY_TIME))

    def clear(self) -> None:
        """Forget the graph and the past."""
        self._tracker.reset()
        self._new: VesselGraph | None = None
        self._history.clear()
        self._judged_ns: int | None = None

    def _on_new_graph(self, message: ros.VesselGraph) -> None:
        self._new = graph_from_msg(message)

    def _on_pair(self, message: FramePair) -> None:
        self._watch.reset()
        pair, new = pair_from_msg(message), self._new
        self._new = None
        graph = self._tracker.update(pair, new)
        if graph is None:
            return  # no graph yet
        graph = self._named(graph)
        self._send(graph)
        self._tell_stenoses(graph, pair)

    def _tell_stenoses(self, graph: VesselGraph, pair: Pair) -> None:
        """Stenoses of a graph to be trusted, once in `_JUDGED` s of exposures."""
        due = self._judged_ns is None or abs(graph.stamp_a_ns - self._judged_ns) >= _JUDGED * NANOSECONDS
        if due and graph.status == GraphStatus.OK:
            self._judged_ns = graph.stamp_a_ns
            found = find_stenoses(graph, (camera_from_pose(pair.pose_a), camera_from_pose(pair.pose_b)))
            self.publish(self._stenoses, stenoses_to_msg(found, graph))

    def _send(self, graph: VesselGraph) -> None:
        self._sequence += 1
        graph = graph.with_(sequence=self._sequence)
        self._history.append(graph)
        self.publish(self._graphs, graph_to_msg(graph), graph.stamp_a_ns)
        bad = None if graph.status == GraphStatus.OK else f"{graph.status.name}: {graph.status_reason}"
        self.diagnostics.trouble("graph", bad, error=False)

    def _on_silence(self) -> None:
        last = self._history[-1] if self._history else self._begin_late()
        if last is None or (self._history and last.status in (GraphStatus.STALE, GraphStatus.LOST)):
            return
        reasons = f"no frame pair for {_SILENCE:g} s: this is the last known shape", last.status_reason
        status = max(last.status, GraphStatus.STALE)
        self._send(last.with_(status=status, status_reason="; ".join(filter(None, reasons))))

    def _begin_late(self) -> VesselGraph | None:
        """First graph when the frames ended before their reconstruction did: a short run is not lost."""
        new, self._new = self._new, None
        graph = self._tracker.begin_late(new) if new is not None else None
        if graph is None:
            self._new = new  # waits for a pair
            return None
        return self._named(graph)

    def _named(self, graph: VesselGraph) -> VesselGraph:
        """Graph with its id among all of this node; when nodes or edges changed, it is told as the reference."""
        graph = graph.with_(graph_id=self._id_base + graph.graph_id)
        if (graph.graph_id, len(graph)) != (self._last_id, self._last_size):
            self._last_id, self._last_size = graph.graph_id, len(graph)
            self.publish(self._reference, graph_to_msg(graph))
        return graph

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.start_over("reset by request")
        response.success, response.message = True, "the next reconstruction starts a new graph"
        return response

    def _on_rebuild(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._tracker.force_rebuild()
        response.success, response.message = True, "the next reconstruction replaces the graph"
        return response

    def _on_get(self, request: GetVesselGraph.Request, response: GetVesselGraph.Response) -> GetVesselGraph.Response:
        response.graph = graph_to_msg(self._find(request))
        response.success = True
        return response

    def _find(self, request: GetVesselGraph.Request) -> VesselGraph:
        graphs = list(self._history)
        if not graphs:
            raise InvalidInputError("no vessel graph yet: it needs a reconstruction and a frame pair")
        if request.by == GetVesselGraph.Request.BY_STAMP:
            wanted = to_ns(request.stamp)
            if wanted > max(graphs[-1].stamp_a_ns, graphs[-1].stamp_b_ns):
                return self._predict(wanted)
            return min(graphs, key=lambda g: abs(g.stamp_a_ns - wanted)) if wanted else graphs[-1]
        if request.by != GetVesselGraph.Request.BY_PHASE or not 0 <= request.phase < 1:
            raise InvalidInputError(f"ask by stamp or by a phase in [0, 1), got by {request.by}, phase {request.phase}")
        phased = [g for g in reversed(graphs) if g.phase == g.phase]
        if not phased:
            raise InvalidInputError("no graph has a cardiac phase: is there an ECG?")
        return min(phased, key=lambda g: abs((g.phase - request.phase + 0.5) % 1.0 - 0.5))

    def _predict(self, stamp_ns: int) -> VesselGraph:
        graph = self._tracker.predict(stamp_ns)
        return graph.with_(graph_id=self._id_base + graph.graph_id, sequence=self._sequence)

    def _on_save(
        self, request: SaveVesselGraph.Request, response: SaveVesselGraph.Response
    ) -> SaveVesselGraph.Response:
        if not self._history:
            raise InvalidInputError("no vessel graph yet: it needs a reconstruction and a frame pair")
        written = save_graph(self._history[-1], request.path, request.format or None)
        response.success, response.message = True, str(written)
        return response


def _warm_up() -> None:
    """Track one vessel through two pairs: what is compiled is loaded, or made, before the first frame."""
    pair, new, tracker = upright_vessel(), upright_graph(), Tracker()
    graph = tracker.update(pair, new)
    tracker.update(replace(pair, stamp_a_ns=1, stamp_b_ns=1), new)
    if graph is not None:
        find_stenoses(graph, (camera_from_pose(pair.pose_a), camera_from_pose(pair.pose_b)))


if __name__ == "__main__":
    raise SystemExit(main(TrackingNode))
