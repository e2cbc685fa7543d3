"""Node `visualization`: markers, point cloud, overlays, CameraInfo and TF."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Any

from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from autocar_ros import msg as ros
from autocar_ros.config import VisualizationConfig
from autocar_ros.figures.overlay import overlay
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.msg import FramePair
from autocar_ros.ros import conversions, qos
from autocar_ros.ros.images import image_from_msg, image_to_msg
from autocar_ros.ros.lifecycle import StageNode, main
from autocar_ros.ros.markers import MarkerKey, deletions, graph_markers, stenosis_markers
from autocar_ros.ros.stamps import CORRECTED_FRAME, graph_stamp, optical_frame, pair_stamp, to_ns
from autocar_ros.types import NANOSECONDS, VesselGraph
from autocar_ros.vessels.stenosis import Stenosis

_REMEMBERED = 320  # frames and poses kept for their graph: in mode phase one serves again seconds later


class VisualizationNode(StageNode):
    """``vessel_graph`` to markers and points, with frames and poses to overlays, with ``stenoses`` to labels.

    CArmPose to CameraInfo and TF; plane B also as the alignment corrects it.
    """

    configs = (VisualizationConfig,)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("visualization", **kwargs)

    def prepare(self) -> None:
        """Make outputs."""
        self._markers = self.output(MarkerArray, "vessel_graph/markers")
        self._points = self.output(PointCloud2, "vessel_graph/points")
        self._overlays = {p: self.output(Image, f"plane_{p}/overlay") for p in "ab"}
        self._infos = {p: self.output(CameraInfo, f"plane_{p}/camera_info") for p in "ab"}
        self._corrected_info = self.output(CameraInfo, "plane_b/camera_info_corrected")
        self._transforms = self.output(TFMessage, "/tf")
        self._shown: set[MarkerKey] = set()
        self.clear()

    def begin(self) -> None:
        """Subscribe to what is shown."""
        for plane in "ab":
            name = f"plane_{plane}"
            self.input(Image, f"{name}/image_raw", partial(self._on_image, plane), qos.stream())
            told = partial(self._on_pose, self._infos[plane], optical_frame(plane))
            self.input(ros.CArmPose, f"{name}/carm_pose", told, qos.stream(), ordered=False)
        corrected = partial(self._on_pose, self._corrected_info, CORRECTED_FRAME)
        self.input(ros.CArmPose, "plane_b/carm_pose_corrected", corrected, qos.stream(), ordered=False)
        self.input(FramePair, "frame_pair", self._on_pair, stamp=pair_stamp)
        self.input(ros.StenosisArray, "stenoses", self._on_stenoses, ordered=False)
        self.input(ros.VesselGraph, "vessel_graph", self._on_graph, ordered=False, needed=True, stamp=graph_stamp)

    def clear(self) -> None:
        """Forget frames and poses."""
        self._images: OrderedDict[tuple[str, int], Image] = OrderedDict()
        self._poses: OrderedDict[tuple[str, int], ros.CArmPose] = OrderedDict()
        self._drawn_ns: int | None = None
        self._stenoses: tuple[int, tuple[Stenosis, ...]] = (0, ())  # of which graph_id

    def _on_image(self, plane: str, message: Image) -> None:
        _remember(self._images, (plane, to_ns(message.header.stamp)), message)

    def _on_pair(self, message: FramePair) -> None:
        for plane, pose in (("a", message.pose_a), ("b", message.pose_b)):
            _remember(self._poses, (plane, to_ns(pose.header.stamp)), pose)

    def _on_pose(self, infos: Any, frame: str, message: ros.CArmPose) -> None:
        pose, stamp = conversions.pose_from_msg(message), to_ns(message.header.stamp)
        self.publish(infos, conversions.camera_info(pose, stamp, frame))
        self.publish(self._transforms, TFMessage(transforms=[conversions.camera_transform(pose, stamp, frame)]))

    def _on_stenoses(self, message: ros.StenosisArray) -> None:
        self._stenoses = message.graph_id, conversions.stenoses_from_msg(message)

    def _on_graph(self, message: ros.VesselGraph) -> None:
        if not self._is_due():
            return
        graph = conversions.graph_from_msg(message)
        self._show_markers(graph)
        self.publish(self._points, conversions.graph_cloud(graph), graph.stamp_a_ns)
        for plane, stamp in (("a", graph.stamp_a_ns), ("b", graph.stamp_b_ns)):
            self._show_overlay(plane, stamp, graph)

    def _is_due(self) -> bool:
        now, period = self.get_clock().now().nanoseconds, NANOSECONDS / self.parameters[VisualizationConfig].rate
        if self._drawn_ns is not None and 0 <= now - self._drawn_ns < period:
            return False
        self._drawn_ns = now
        return True

    def _show_markers(self, graph: VesselGraph) -> None:
        markers = graph_markers(graph, self.parameters[VisualizationConfig].line_width)
        graph_id, stenoses = self._stenoses
        if graph_id == graph.graph_id:
            markers |= stenosis_markers([s for s in stenoses if s.node < len(graph)], graph)
        gone = deletions(self._shown - markers.keys(), graph.stamp_a_ns)
        self._shown = set(markers)
        self.publish(self._markers, MarkerArray(markers=[*gone, *markers.values()]))

    def _show_overlay(self, plane: str, stamp: int, graph: VesselGraph) -> None:
        image, pose = self._images.get((plane, stamp)), self._poses.get((plane, stamp))
        if image is None or pose is None:
            return  # a frame lost on the way, or a graph whose frame is long gone
        camera = camera_from_pose(conversions.pose_from_msg(pose))
        picture = overlay(image_from_msg(image), graph, camera)
        self.publish(self._overlays[plane], image_to_msg(picture, stamp, optical_frame(plane)), stamp)


def _remember(store: OrderedDict[tuple[str, int], Any], key: tuple[str, int], value: Any) -> None:
    store[key] = value
    store.move_to_end(key)
    if len(store) > _REMEMBERED:
        store.popitem(last=False)


if __name__ == "__main__":
    raise SystemExit(main(VisualizationNode))
