"""Messages to core data and back: the only place where metres and millimetres meet.

ROS topics are in metres, the core is in millimetres; stamps are integer nanoseconds in the core. Data that cannot be
used raises `InvalidInputError` (or `PoseError`) with the cause. Large arrays travel as `array.array` made from bytes:
assigning a numpy array or a list to a message field makes rclpy check every element (100 times slower).
"""

from __future__ import annotations

import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Transform, TransformStamped, Vector3
from nav_msgs.msg import Path
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from autocar_ros import msg as ros
from autocar_ros.errors import InvalidInputError, PoseError
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import camera_from_pose, pose_from_camera
from autocar_ros.ros.clouds import pack_cloud
from autocar_ros.ros.images import image_from_msg, image_to_msg
from autocar_ros.ros.stamps import WORLD_FRAME, header, optical_frame, to_ns, to_time
from autocar_ros.types import (
    AbsorptionMap,
    CArmPose,
    CatheterPath,
    FloatArray,
    FramePair,
    GraphStatus,
    PhaseSource,
    SparseVolume,
    VesselGraph,
    ViewAlignment,
)
from autocar_ros.vessels.stenosis import Stenosis

_M = 1e-3  # metres in a millimetre
_NOMINAL_SID_TO_SOD = 1.5  # a CameraInfo does not hold the SID; it cancels out of every projection


# --- poses and cameras


def pose_to_msg(pose: CArmPose, stamp_ns: int, frame_id: str) -> ros.CArmPose:
    """CArmPose message of a pose."""
    x, y, z = (v * _M for v in pose.isocenter_offset)
    return ros.CArmPose(
        header=header(stamp_ns, frame_id),
        primary_angle=float(pose.primary_angle),
        secondary_angle=float(pose.secondary_angle),
        source_to_detector=pose.source_to_detector * _M,
        source_to_isocenter=pose.source_to_isocenter * _M,
        pixel_spacing=[v * _M for v in pose.pixel_spacing],
        rows=pose.rows,
        columns=pose.columns,
        principal_point=list(pose.principal_point or (np.nan, np.nan)),
        isocenter_offset=Vector3(x=x, y=y, z=z),
        calibrated=pose.calibrated,
    )


def pose_from_msg(message: ros.CArmPose) -> CArmPose:
    """Checked pose of a message; `PoseError` names what is missing, not finite or impossible."""
    point = np.array(message.principal_point, float)
    row_spacing, column_spacing = (float(v) / _M for v in message.pixel_spacing)
    offset = message.isocenter_offset
    return CArmPose(
        primary_angle=message.primary_angle,
        secondary_angle=message.secondary_angle,
        source_to_detector=message.source_to_detector / _M,
        source_to_isocenter=message.source_to_isocenter / _M,
        pixel_spacing=(row_spacing, column_spacing),
        rows=message.rows,
        columns=message.columns,
        principal_point=None if np.isnan(point).all() else (float(point[0]), float(point[1])),
        isocenter_offset=(offset.x / _M, offset.y / _M, offset.z / _M),
        calibrated=message.calibrated,
    ).check()


def camera_info(pose: CArmPose, stamp_ns: int, frame_id: str) -> CameraInfo:
    """CameraInfo of a pose; K[0] is negative (the optical x axis runs against the columns, see geometry/carm.py)."""
    camera = camera_from_pose(pose)
    k = camera.matrix
    return CameraInfo(
        header=header(stamp_ns, frame_id),
        height=camera.rows,
        width=camera.columns,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=k.ravel(),
        r=np.eye(3).ravel(),
        p=np.hstack([k, np.zeros((3, 1))]).ravel(),
    )


def camera_transform(pose: CArmPose, stamp_ns: int, frame_id: str) -> TransformStamped:
    """Transform of a plane's optical frame in the world frame."""
    camera = camera_from_pose(pose)
    x, y, z = camera.source * _M
    qx, qy, qz, qw = Rotation.from_matrix(camera.rotation.T).as_quat()
    return TransformStamped(
        header=header(stamp_ns),
        child_frame_id=frame_id,
        transform=Transform(translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(x=qx, y=qy, z=qz, w=qw)),
    )


def pose_from_camera_info(info: CameraInfo, transform: Transform) -> CArmPose:
    """C-arm pose that projects as the camera does; `transform` is that of the camera's frame in the world frame.

    A camera tells neither SID nor SOD: the isocentre offset is taken perpendicular to the view and the SID nominal,
    neither of which changes a projection. Raises `PoseError`.
    """
    q, t = transform.rotation, transform.translation
    quaternion = np.array([q.x, q.y, q.z, q.w])
    source = np.array([t.x, t.y, t.z]) / _M
    matrix = np.array(info.k, float).reshape(3, 3)
    if not (np.isfinite(quaternion).all() and np.isfinite(source).all() and np.isfinite(matrix).all()):
        raise PoseError("camera_info or its transform is not finite")
    if abs(np.linalg.norm(quaternion) - 1.0) > 1e-3:
        raise PoseError(f"the transform's rotation is no unit quaternion: {quaternion}")
    if np.any(np.array(info.d) != 0):
        raise PoseError("camera_info with lens distortion is not supported: rectify the images")
    if matrix[0, 0] == 0 or matrix[1, 1] == 0:
        raise PoseError("camera_info is not calibrated (K holds zeros)")
    rotation = Rotation.from_quat(quaternion).as_matrix().T
    sod = -float(source @ rotation[2])
    if sod <= 0:
        raise PoseError("the camera looks away from the isocentre: is the transform that of the optical frame?")
    camera = Camera(matrix, rotation, source, rows=info.height, columns=info.width)
    return pose_from_camera(camera, _NOMINAL_SID_TO_SOD * sod, sod)


# --- streams


def ecg_to_msg(samples: FloatArray, sampling_rate: float, stamp_ns: int) -> ros.EcgSamples:
    """EcgSamples of (N,) mV; `stamp_ns` is the time of the first."""
    return ros.EcgSamples(header=header(stamp_ns, ""), sampling_rate=float(sampling_rate), samples=_pack("f", samples))


def ecg_from_msg(message: ros.EcgSamples) -> tuple[int, float, FloatArray]:
    """Stamp in ns, sampling rate in Hz and samples (N,) in mV."""
    if not 0 < message.sampling_rate < np.inf:
        raise InvalidInputError(f"ECG sampling_rate must be positive, got {message.sampling_rate} Hz")
    return to_ns(message.header.stamp), float(message.sampling_rate), _unpack(message.samples, "f4")


def pair_to_msg(pair: FramePair) -> ros.FramePair:
    """FramePair message of a pair."""
    a, b = optical_frame("a"), optical_frame("b")
    return ros.FramePair(
        header=header(pair.stamp_a_ns),
        pose_a=pose_to_msg(pair.pose_a, pair.stamp_a_ns, a),
        pose_b=pose_to_msg(pair.pose_b, pair.stamp_b_ns, b),
        mask_a=image_to_msg(pair.mask_a, pair.stamp_a_ns, a),
        mask_b=image_to_msg(pair.mask_b, pair.stamp_b_ns, b),
        absorption_a=_absorption_to_msg(pair.absorption_a, pair.stamp_a_ns, a),
        absorption_b=_absorption_to_msg(pair.absorption_b, pair.stamp_b_ns, b),
        skew=pair.skew,
        phase_a=float(pair.phase_a),
        phase_b=float(pair.phase_b),
        phase_error=float(pair.phase_error),
        phase_source=int(pair.phase_source),
        key_frame=bool(pair.key_frame),
        alignment=alignment_to_msg(pair.alignment),
    )


def pair_from_msg(message: ros.FramePair) -> FramePair:
    """Checked pair of a message."""
    if message.phase_source not in list(PhaseSource):
        raise InvalidInputError(f"unknown phase_source {message.phase_source}")
    return FramePair(
        stamp_a_ns=to_ns(message.mask_a.header.stamp),
        stamp_b_ns=to_ns(message.mask_b.header.stamp),
        mask_a=image_from_msg(message.mask_a),
        mask_b=image_from_msg(message.mask_b),
        absorption_a=_absorption_from_msg(message.absorption_a),
        absorption_b=_absorption_from_msg(message.absorption_b),
        pose_a=pose_from_msg(message.pose_a),
        pose_b=pose_from_msg(message.pose_b),
        phase_a=message.phase_a,
        phase_b=message.phase_b,
        phase_error=message.phase_error,
        phase_source=PhaseSource(message.phase_source),
        key_frame=message.key_frame,
        alignment=alignment_from_msg(message.alignment),
    )


def _absorption_to_msg(absorption: AbsorptionMap | None, stamp_ns: int, frame_id: str) -> Image:
    return Image() if absorption is None else image_to_msg(absorption, stamp_ns, frame_id)


def _absorption_from_msg(message: Image) -> AbsorptionMap | None:
    return image_from_msg(message) if message.height else None  # type: ignore[return-value]


def alignment_to_msg(alignment: ViewAlignment | None) -> ros.ViewAlignment:
    """ViewAlignment message of a correction that was estimated, or of None."""
    if alignment is None:
        return ros.ViewAlignment(residual_before=np.nan, residual_after=np.nan)
    x, y, z = (float(v) for v in alignment.unobservable)
    return ros.ViewAlignment(
        estimated=True,
        shift=[float(v) for v in alignment.shift],
        primary_angle=float(alignment.primary),
        secondary_angle=float(alignment.secondary),
        source_to_detector=alignment.sid * _M,
        source_to_isocenter=alignment.sod * _M,
        residual_before=float(alignment.residual_before),
        residual_after=float(alignment.residual_after),
        confidence=float(alignment.confidence),
        unobservable=Vector3(x=x, y=y, z=z),
        reason=alignment.reason,
    )


def alignment_from_msg(message: ros.ViewAlignment) -> ViewAlignment | None:
    """Correction of a message; None when nothing was estimated."""
    if not message.estimated:
        return None
    way = message.unobservable
    return ViewAlignment(
        shift=(float(message.shift[0]), float(message.shift[1])),
        primary=message.primary_angle,
        secondary=message.secondary_angle,
        sid=message.source_to_detector / _M,
        sod=message.source_to_isocenter / _M,
        residual_before=message.residual_before,
        residual_after=message.residual_after,
        confidence=message.confidence,
        unobservable=np.array([way.x, way.y, way.z]),
        reason=message.reason,
    )


# --- graphs


def graph_to_msg(graph: VesselGraph) -> ros.VesselGraph:
    """VesselGraph message of a graph."""
    x, y, z = graph.position.T * _M
    return ros.VesselGraph(
        header=header(graph.stamp_a_ns),
        graph_id=graph.graph_id,
        sequence=graph.sequence,
        status=int(graph.status),
        status_reason=graph.status_reason,
        phase=float(graph.phase),
        stamp_a=to_time(graph.stamp_a_ns),
        stamp_b=to_time(graph.stamp_b_ns),
        skew=graph.skew,
        x=_pack("f", x),
        y=_pack("f", y),
        z=_pack("f", z),
        radius=_pack("f", graph.radius * _M),
        confidence=_pack("f", graph.confidence),
        sigma=_pack("f", graph.sigma * _M),
        seen_by=_pack("B", graph.seen_by),
        branch=_pack("I", graph.branch),
        edge_from=_pack("I", graph.edges[:, 0]),
        edge_to=_pack("I", graph.edges[:, 1]),
        branch_label=list(graph.branch_label),
        residual_a=float(graph.residual[0]),
        residual_b=float(graph.residual[1]),
        coverage_a=float(graph.coverage[0]),
        coverage_b=float(graph.coverage[1]),
        processing_time=float(graph.processing_time),
    )


def graph_from_msg(message: ros.VesselGraph) -> VesselGraph:
    """Checked graph of a message; arrays of different length, unknown nodes or NaN positions are refused."""
    lengths = {name: len(getattr(message, name)) for name in ("x", "y", "z", "edge_from", "edge_to")}
    if not lengths["x"] == lengths["y"] == lengths["z"] or lengths["edge_from"] != lengths["edge_to"]:
        raise InvalidInputError(f"arrays of a vessel graph differ in length: {lengths}")
    position = np.stack([_unpack(message.x, "f4"), _unpack(message.y, "f4"), _unpack(message.z, "f4")], 1) / _M
    if not np.isfinite(position).all():
        raise InvalidInputError("a vessel graph has positions that are not finite")
    if message.status not in list(GraphStatus):
        raise InvalidInputError(f"unknown status {message.status} of a vessel graph")
    return VesselGraph(
        position=position,
        radius=_unpack(message.radius, "f4") / _M,
        edges=np.stack([_unpack(message.edge_from, "u4", int), _unpack(message.edge_to, "u4", int)], 1),
        branch=_unpack(message.branch, "u4", int),
        branch_label=tuple(message.branch_label),
        confidence=_unpack(message.confidence, "f4"),
        sigma=_unpack(message.sigma, "f4") / _M,
        seen_by=_unpack(message.seen_by, "u1", np.uint8),
        graph_id=message.graph_id,
        sequence=message.sequence,
        status=GraphStatus(message.status),
        status_reason=message.status_reason,
        phase=message.phase,
        stamp_a_ns=to_ns(message.stamp_a),
        stamp_b_ns=to_ns(message.stamp_b),
        residual=(message.residual_a, message.residual_b),
        coverage=(message.coverage_a, message.coverage_b),
        processing_time=message.processing_time,
    )


def graph_cloud(graph: VesselGraph) -> PointCloud2:
    """Nodes as points: x y z radius [m] confidence branch."""
    x, y, z = graph.position.T * _M
    columns = {"x": x, "y": y, "z": z, "radius": graph.radius * _M, "confidence": graph.confidence}
    return pack_cloud(header(graph.stamp_a_ns), columns, {"branch": graph.branch})


def volume_cloud(volume: SparseVolume, stamp_ns: int) -> PointCloud2:
    """Occupied voxels as points: x y z [m] occupancy centreness."""
    x, y, z = volume.points.T * _M
    columns = {"x": x, "y": y, "z": z, "occupancy": volume.occupancy, "centreness": volume.centreness}
    return pack_cloud(header(stamp_ns), columns)


def stenoses_to_msg(stenoses: Sequence[Stenosis], graph: VesselGraph) -> ros.StenosisArray:
    """StenosisArray of the stenoses of a graph."""
    return ros.StenosisArray(
        header=header(graph.stamp_a_ns),
        graph_id=graph.graph_id,
        node=_pack("I", [s.node for s in stenoses]),
        branch=_pack("I", [s.branch for s in stenoses]),
        diameter_stenosis=_pack("f", [100 * s.diameter_stenosis for s in stenoses]),
        minimal_lumen_diameter=_pack("f", [s.minimal_lumen_diameter * _M for s in stenoses]),
        reference_diameter=_pack("f", [s.reference_diameter * _M for s in stenoses]),
        length=_pack("f", [s.length * _M for s in stenoses]),
        confidence=_pack("f", [s.confidence for s in stenoses]),
    )


def stenoses_from_msg(message: ros.StenosisArray) -> tuple[Stenosis, ...]:
    """Stenoses of a message; arrays of different length are refused."""
    columns = [_unpack(message.node, "u4", int), _unpack(message.branch, "u4", int)]
    columns += [_unpack(message.diameter_stenosis, "f4") / 100]
    columns += [_unpack(v, "f4") / _M for v in (message.minimal_lumen_diameter, message.reference_diameter)]
    columns += [_unpack(message.length, "f4") / _M, _unpack(message.confidence, "f4")]
    if len({len(column) for column in columns}) > 1:
        raise InvalidInputError(f"arrays of stenoses differ in length: {[len(column) for column in columns]}")
    return tuple(Stenosis(*row) for row in zip(*(c.tolist() for c in columns), strict=True))


# --- places and paths


def point_to_msg(position: FloatArray) -> Point:
    """Point of (3,) mm."""
    x, y, z = np.asarray(position, float) * _M
    return Point(x=x, y=y, z=z)


def points_to_msg(positions: FloatArray) -> list[Point]:
    """Points of (N, 3) mm."""
    return [Point(x=x, y=y, z=z) for x, y, z in (np.asarray(positions, float) * _M).tolist()]


def length_to_msg(millimetres: float) -> float:
    """Length in m of a length in mm."""
    return millimetres * _M


def point_from_msg(point: Point | Vector3) -> FloatArray:
    """Position (3,) mm of a point; refuses NaN."""
    position = np.array([point.x, point.y, point.z]) / _M
    if not np.isfinite(position).all():
        raise InvalidInputError("a point is not finite")
    return position


def world_point(message: Any) -> FloatArray:
    """Position (3,) mm of a PoseStamped or PointStamped, which must be in the world frame."""
    if message.header.frame_id.lstrip("/") != WORLD_FRAME:
        raise InvalidInputError(
            f"a point in frame {message.header.frame_id!r} cannot be used: give it in {WORLD_FRAME!r} "
            f"(in rviz: set it as the fixed frame)"
        )
    return point_from_msg(message.pose.position if hasattr(message, "pose") else message.point)


def stamped_place(position: FloatArray, direction: FloatArray, stamp_ns: int) -> PoseStamped:
    """Pose at (3,) mm whose x axis points along `direction` (3,)."""
    tangent = np.asarray(direction, float) / np.linalg.norm(direction)
    (quaternion,) = _quaternions_along(tangent[None])
    pose = Pose(position=point_to_msg(position), orientation=_quaternion(quaternion))
    return PoseStamped(header=header(stamp_ns), pose=pose)


def path_to_msg(path: CatheterPath, stamp_ns: int) -> Path:
    """nav_msgs/Path; the x axis of each pose points along the vessel."""
    stamped = header(stamp_ns)
    quaternions = _quaternions_along(path.tangent)
    poses = [
        PoseStamped(header=stamped, pose=Pose(position=point_to_msg(p), orientation=_quaternion(q)))
        for p, q in zip(path.position, quaternions, strict=True)
    ]
    return Path(header=stamped, poses=poses)


def suggestion_to_msg(path: CatheterPath, stamp_ns: int) -> ros.PathSuggestion:
    """PathSuggestion of a path that is valid for the graph of `stamp_ns`."""
    return ros.PathSuggestion(
        header=header(stamp_ns),
        graph_id=path.graph_id,
        nodes=_pack("I", path.nodes),
        path=path_to_msg(path, stamp_ns),
        radius=_pack("f", path.radius * _M),
        length=path.length * _M,
        min_radius=path.min_radius * _M,
        max_curvature=path.max_curvature / _M,
        clearance=path.clearance * _M,
        score=float(path.score),
        bifurcations=_pack("I", path.bifurcations),
        turn_angle=_pack("f", path.turn_angle),
        instruction=list(path.instruction),
        feasible=bool(path.feasible),
        reason=path.reason,
    )


def suggestion_from_msg(message: ros.PathSuggestion) -> CatheterPath:
    """Path of a message; `InvalidInputError` when nodes, poses and radii differ in number."""
    poses = [p.pose for p in message.path.poses]
    if not len(message.nodes) == len(poses) == len(message.radius):
        raise InvalidInputError(
            f"a path needs a pose and a radius for each of its {len(message.nodes)} nodes, got {len(poses)} and "
            f"{len(message.radius)}"
        )
    quaternions = np.array([[q.x, q.y, q.z, q.w] for q in (p.orientation for p in poses)]).reshape(-1, 4)
    if poses and not (np.abs(np.linalg.norm(quaternions, axis=1) - 1) < 1e-3).all():
        raise InvalidInputError("an orientation of a path is no unit quaternion")
    tangent = Rotation.from_quat(quaternions).apply([1.0, 0.0, 0.0]) if poses else np.zeros((0, 3))
    return CatheterPath(
        graph_id=message.graph_id,
        nodes=_unpack(message.nodes, "u4", int),
        position=np.array([point_from_msg(p.position) for p in poses]).reshape(-1, 3),
        tangent=np.asarray(tangent).reshape(-1, 3),
        radius=_unpack(message.radius, "f4") / _M,
        length=message.length / _M,
        min_radius=message.min_radius / _M,
        max_curvature=message.max_curvature * _M,
        clearance=message.clearance / _M,
        score=message.score,
        bifurcations=_unpack(message.bifurcations, "u4", int),
        turn_angle=_unpack(message.turn_angle, "f4"),
        instruction=tuple(message.instruction),
        feasible=message.feasible,
        reason=message.reason,
    )


def suggestions_to_msg(paths: Sequence[CatheterPath], stamp_ns: int) -> ros.PathSuggestions:
    """PathSuggestions, best first."""
    return ros.PathSuggestions(
        header=header(stamp_ns), suggestions=[suggestion_to_msg(path, stamp_ns) for path in paths]
    )


def millimetres(metres: float) -> float:
    """Length in mm of a length in m."""
    return metres / _M


def per_millimetre(per_metre: float) -> float:
    """Curvature in 1/mm of a curvature in 1/m."""
    return per_metre * _M


def _quaternions_along(tangent: FloatArray) -> FloatArray:
    """(N, 4) x y z w that turn the x axis onto unit vectors (N, 3) by the shortest way."""
    q = np.stack([np.zeros(len(tangent)), -tangent[:, 2], tangent[:, 1], 1.0 + tangent[:, 0]], 1)
    norm = np.linalg.norm(q, axis=1, keepdims=True)
    half_turn = np.array([0.0, 0.0, 1.0, 0.0])  # any axis across will do when the vector points back
    return np.asarray(np.where(norm > 1e-6, q / np.maximum(norm, 1e-12), half_turn))


def _quaternion(q: FloatArray) -> Quaternion:
    x, y, z, w = (float(v) for v in q)
    return Quaternion(x=x, y=y, z=z, w=w)


_KINDS = {"f": np.float32, "I": np.uint32, "B": np.uint8}


def _pack(code: str, values: NDArray[Any] | Sequence[float]) -> array.array[Any]:
    packed = array.array(code)
    packed.frombytes(np.ascontiguousarray(values, _KINDS[code]).tobytes())
    return packed


def _unpack(values: Any, kind: str, to: Any = float) -> NDArray[Any]:
    return np.frombuffer(values, kind).astype(to) if len(values) else np.zeros(0, to)
