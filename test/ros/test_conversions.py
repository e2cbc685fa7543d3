"""Messages to core data and back: round trips, units, refusals."""

import array
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="no ROS 2 in this environment")

from geometry_msgs.msg import PointStamped, PoseStamped
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, Image

from autocar_ros import msg as ros
from autocar_ros.errors import InvalidInputError, PoseError
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.ros import conversions as c
from autocar_ros.ros.clouds import unpack_cloud
from autocar_ros.ros.images import image_from_msg, image_to_msg
from autocar_ros.types import (
    CArmPose,
    CatheterPath,
    FramePair,
    GraphStatus,
    PhaseSource,
    SparseVolume,
    VesselGraph,
    ViewAlignment,
)
from autocar_ros.vessels.stenosis import Stenosis

FLOAT32 = 2e-7  # relative step of what travels as float32
POSE = CArmPose(0.5, -0.3, 1100.0, 750.0, (0.2, 0.25), 40, 50)


def numbers(low, high):
    return st.floats(low, high, allow_nan=False)


@st.composite
def poses(draw):
    sod = draw(numbers(500, 900))
    return CArmPose(
        primary_angle=draw(numbers(-1.5, 1.5)),
        secondary_angle=draw(numbers(-0.7, 0.7)),
        source_to_detector=sod + draw(numbers(50, 600)),
        source_to_isocenter=sod,
        pixel_spacing=(draw(numbers(0.1, 1)), draw(numbers(0.1, 1))),
        rows=draw(st.integers(1, 2048)),
        columns=draw(st.integers(1, 2048)),
        principal_point=draw(st.none() | st.tuples(numbers(-100, 2000), numbers(-100, 2000))),
        isocenter_offset=tuple(draw(numbers(-100, 100)) for _ in range(3)),
        calibrated=draw(st.booleans()),
    )


@st.composite
def graphs(draw):
    n = draw(st.integers(0, 12))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    return VesselGraph(
        position=rng.normal(0, 80, (n, 3)),
        radius=rng.uniform(0.2, 3, n),
        edges=np.stack([np.arange(n - 1), np.arange(1, n)], 1) if n > 1 else np.zeros((0, 2), int),
        branch=rng.integers(0, 3, n),
        branch_label=("LAD", "", "D1"),
        confidence=rng.uniform(0, 1, n),
        sigma=rng.uniform(0, 2, n),
        seen_by=rng.integers(0, 4, n).astype(np.uint8),
        graph_id=draw(st.integers(0, 2**32 - 1)),
        sequence=3,
        status=draw(st.sampled_from(GraphStatus)),
        status_reason="why",
        phase=0.25,
        stamp_a_ns=draw(st.integers(0, 2**31 * 10**9 - 1)),
        stamp_b_ns=5,
        residual=(0.5, 1.5),
        coverage=(0.75, 1.0),
        processing_time=0.125,
    )


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def assert_same(a, b, tolerance=1e-9):
    """Equal dataclasses up to rounding."""
    assert type(a) is type(b)
    for name in a.__dataclass_fields__:
        left, right = getattr(a, name), getattr(b, name)
        if isinstance(left, (np.ndarray, float, tuple)) and not (
            isinstance(left, tuple) and left and isinstance(left[0], str)
        ):
            np.testing.assert_allclose(right, left, rtol=tolerance, atol=1e-30, equal_nan=True, err_msg=name)
        else:
            assert left == right, name


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_stamps_keep_every_nanosecond(ns):
    assert c.to_ns(c.to_time(ns)) == ns


@given(poses(), st.integers(0, 10**18))
def test_poses_round_trip(pose, stamp):
    message = over_the_wire(c.pose_to_msg(pose, stamp, "plane_a_optical_frame"))
    assert_same(pose, c.pose_from_msg(message))
    assert c.to_ns(message.header.stamp) == stamp


def test_a_pose_message_is_in_metres():
    message = c.pose_to_msg(POSE, 0, "")
    assert message.source_to_detector == pytest.approx(1.1)
    assert list(message.pixel_spacing) == pytest.approx([2e-4, 2.5e-4])
    assert np.isnan(message.principal_point).all()


@pytest.mark.parametrize("field", ["primary_angle", "source_to_detector", "source_to_isocenter"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pose_that_is_not_finite_is_refused_by_name(field, value):
    message = c.pose_to_msg(POSE, 0, "")
    setattr(message, field, float(value))
    with pytest.raises(PoseError, match=field):
        c.pose_from_msg(message)


def test_an_unfilled_pose_message_is_refused():
    with pytest.raises(PoseError):
        c.pose_from_msg(ros.CArmPose())


@given(poses())
def test_camera_info_and_transform_project_like_the_pose(pose):
    frame = "plane_a_optical_frame"
    info, transform = c.camera_info(pose, 1, frame), c.camera_transform(pose, 1, frame)
    back = c.pose_from_camera_info(info, transform.transform)
    points = np.random.default_rng(0).normal(0, 40, (20, 3))
    expected, depth = camera_from_pose(pose).project(points)
    found, found_depth = camera_from_pose(back).project(points)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found_depth, depth, atol=1e-6)
    assert (back.rows, back.columns) == (pose.rows, pose.columns)
    assert np.linalg.norm([getattr(transform.transform.translation, k) for k in "xyz"]) < 2  # metres


def test_camera_info_that_cannot_be_used_is_refused_with_the_reason():
    info, transform = c.camera_info(POSE, 1, "f"), c.camera_transform(POSE, 1, "f").transform
    with pytest.raises(PoseError, match="not calibrated"):
        c.pose_from_camera_info(CameraInfo(), transform)
    info.d = [0.1, 0.0, 0.0, 0.0, 0.0]
    with pytest.raises(PoseError, match="distortion"):
        c.pose_from_camera_info(info, transform)
    info.d = [0.0] * 5
    transform.rotation.w += 1.0
    with pytest.raises(PoseError, match="quaternion"):
        c.pose_from_camera_info(info, transform)
    transform.rotation.w = np.nan
    with pytest.raises(PoseError, match="finite"):
        c.pose_from_camera_info(info, transform)


def test_a_camera_that_looks_away_is_refused():
    info, transform = c.camera_info(POSE, 1, "f"), c.camera_transform(POSE, 1, "f").transform
    for k in "xyz":
        setattr(transform.translation, k, -getattr(transform.translation, k))
    with pytest.raises(PoseError, match="looks away"):
        c.pose_from_camera_info(info, transform)


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(["u1", "u2"]), st.integers(0, 99))
def test_images_round_trip(rows, columns, kind, seed):
    image = np.random.default_rng(seed).integers(0, np.iinfo(kind).max, (rows, columns)).astype(kind)
    message = over_the_wire(image_to_msg(image, 7, "frame"))
    found = image_from_msg(message)
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, image)
    assert message.encoding == {"u1": "mono8", "u2": "mono16"}[kind]


@pytest.mark.parametrize("padding", [0, 2, 6])
def test_big_endian_and_padded_mono16(padding):
    image = np.array([[1, 256], [513, 65535]], np.uint16)
    rows = [row.astype(">u2").tobytes() + b"\xaa" * padding for row in image]
    message = Image(height=2, width=2, encoding="mono16", is_bigendian=1, step=4 + padding)
    message.data = array.array("B", b"".join(rows))
    np.testing.assert_array_equal(image_from_msg(message), image)


def test_an_image_view_does_not_copy_mono8():
    message = image_to_msg(np.zeros((4, 4), np.uint8), 0, "")
    view = image_from_msg(message)
    message.data[5] = 9
    assert view[1, 1] == 9


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"encoding": "rgb8"}, "encoding 'rgb8'"),
        ({"height": 5}, "bytes in all"),
        ({"step": 3}, "step 3"),
        ({"width": 0}, "empty"),
        ({"height": 0}, "empty"),
    ],
)
def test_bad_images_are_refused_with_the_reason(change, reason):
    message = image_to_msg(np.zeros((4, 4), np.uint8), 0, "")
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(InvalidInputError, match=reason):
        image_from_msg(message)


def pair():
    mask = np.arange(2000, dtype=np.uint8).reshape(40, 50)
    return FramePair(1, 12_000_001, mask, mask[::-1].copy(), POSE, replace(POSE, primary_angle=-0.7), 0.1, np.nan,
                     PhaseSource.ECG, True, phase_error=0.03)  # fmt: skip


def test_frame_pairs_round_trip():
    message = over_the_wire(c.pair_to_msg(pair()))
    found = c.pair_from_msg(message)
    assert message.skew == pytest.approx(0.012)
    assert message.header.frame_id == "carm_isocenter"
    for name in ("stamp_a_ns", "stamp_b_ns", "key_frame", "phase_source"):
        assert getattr(found, name) == getattr(pair(), name)
    np.testing.assert_array_equal(found.mask_b, pair().mask_b)
    assert_same(pair().pose_b, found.pose_b)
    assert found.phase_a == pytest.approx(0.1)
    assert found.phase_error == pytest.approx(0.03)
    assert np.isnan(found.phase_b)


def test_what_vessels_absorb_goes_with_a_pair_where_it_is_known(rng):
    absorption = rng.integers(0, 255, pair().mask_a.shape, np.uint8)
    found = c.pair_from_msg(over_the_wire(c.pair_to_msg(replace(pair(), absorption_a=absorption))))
    np.testing.assert_array_equal(found.absorption_a, absorption)
    assert found.absorption_b is None


def test_the_alignment_of_a_pair_round_trips():
    assert c.pair_from_msg(over_the_wire(c.pair_to_msg(pair()))).alignment is None
    alignment = ViewAlignment(
        shift=(12.5, -3.0), primary=0.02, secondary=-0.01, sid=5.0, sod=-2.0, residual_before=0.75,
        residual_after=0.125, confidence=0.5, unobservable=np.array([0.6, 0.0, 0.8]), reason="two shifts fit alike",
    )  # fmt: skip
    message = over_the_wire(c.pair_to_msg(replace(pair(), alignment=alignment)))
    assert (message.alignment.source_to_detector, message.alignment.source_to_isocenter) == (0.005, -0.002)
    assert_same(alignment, c.pair_from_msg(message).alignment)


def test_a_pair_whose_mask_does_not_fit_its_pose_is_refused():
    message = c.pair_to_msg(pair())
    message.pose_b.rows = 7
    with pytest.raises(InvalidInputError, match="plane B"):
        c.pair_from_msg(message)


@given(graphs())
def test_graphs_round_trip(graph):
    found = c.graph_from_msg(over_the_wire(c.graph_to_msg(graph)))
    assert_same(graph, found, FLOAT32)


def test_a_graph_message_is_in_metres():
    graph = VesselGraph(np.array([[10.0, -20, 30]]), np.array([1.5]), np.zeros((0, 2), int), np.zeros(1, int))
    message = c.graph_to_msg(graph)
    assert (message.x[0], message.y[0], message.z[0]) == pytest.approx((0.01, -0.02, 0.03))
    assert message.radius[0] == pytest.approx(0.0015)


@pytest.mark.parametrize(
    ("field", "value"),
    [("x", [1.0]), ("radius", [0.1]), ("edge_to", [1, 1]), ("edge_from", [9]), ("y", [np.nan, 0.0]), ("status", 77)],
)
def test_inconsistent_graphs_are_refused(field, value):
    graph = VesselGraph(np.zeros((2, 3)), np.ones(2), np.array([[0, 1]]), np.zeros(2, int))
    message = c.graph_to_msg(graph)
    setattr(message, field, value)
    with pytest.raises(InvalidInputError):
        c.graph_from_msg(message)


def test_graph_points():
    graph = VesselGraph(np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([1.0, 2]), np.array([[0, 1]]), np.array([0, 7]))
    cloud = over_the_wire(c.graph_cloud(graph.with_(stamp_a_ns=9)))
    points = unpack_cloud(cloud)
    assert points.dtype.names == ("x", "y", "z", "radius", "confidence", "branch")
    np.testing.assert_allclose(points["y"], [2e-3, 5e-3])
    np.testing.assert_allclose(points["radius"], [1e-3, 2e-3])
    assert points["branch"].tolist() == [0, 7]
    assert (cloud.height, cloud.width, cloud.row_step) == (1, 2, 2 * cloud.point_step)
    assert c.to_ns(cloud.header.stamp) == 9


def test_volume_points_are_voxel_centres_in_metres():
    volume = SparseVolume(np.array([[0, 0, 2]]), np.array([10.0, 0, 0]), 0.5, np.array([0.5]), np.array([1.0]))
    points = unpack_cloud(c.volume_cloud(volume, 1))
    assert points.dtype.names == ("x", "y", "z", "occupancy", "centreness")
    np.testing.assert_allclose([points["x"][0], points["z"][0]], [10.25e-3, 1.25e-3], rtol=1e-6)


def path(tangent):
    tangent = np.asarray(tangent, float)
    n = len(tangent)
    return CatheterPath(
        graph_id=4,
        nodes=np.arange(n),
        position=np.arange(3.0 * n).reshape(n, 3),
        tangent=tangent,
        radius=np.full(n, 1.25),
        length=20.0,
        min_radius=1.0,
        max_curvature=0.2,
        clearance=0.5,
        score=0.75,
        bifurcations=np.array([1]),
        turn_angle=np.array([0.5]),
        instruction=("bear left",),
        feasible=True,
        reason="",
    )


@given(st.integers(0, 500))
def test_paths_round_trip_with_their_directions(seed):
    tangent = np.random.default_rng(seed).normal(0, 1, (6, 3))
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    tangent[0], tangent[1] = [-1, 0, 0], [1, 0, 0]
    original = path(tangent)
    found = c.suggestion_from_msg(over_the_wire(c.suggestion_to_msg(original, 3)))
    np.testing.assert_allclose(found.tangent, tangent, atol=1e-9)
    assert_same(replace(original, tangent=found.tangent), found, FLOAT32)


def test_a_path_message_is_in_metres():
    message = c.suggestion_to_msg(path([[0, 0, 1]]), 3)
    assert message.length == pytest.approx(0.02)
    assert message.max_curvature == pytest.approx(200)
    assert message.path.header.frame_id == "carm_isocenter"


def test_a_torn_path_is_refused():
    message = c.suggestion_to_msg(path([[0, 0, 1.0], [0, 1, 0]]), 3)
    message.radius = [0.001]
    with pytest.raises(InvalidInputError, match="a radius for each"):
        c.suggestion_from_msg(message)


def test_ecg_round_trip_and_refusal():
    samples = np.linspace(-1, 1, 50)
    stamp, rate, found = c.ecg_from_msg(over_the_wire(c.ecg_to_msg(samples, 250.0, 12)))
    assert (stamp, rate) == (12, 250.0)
    np.testing.assert_allclose(found, samples, atol=1e-6)
    with pytest.raises(InvalidInputError, match="sampling_rate"):
        c.ecg_from_msg(ros.EcgSamples())


def test_points_must_be_finite_and_in_the_world_frame():
    click = PointStamped()
    click.header.frame_id = "carm_isocenter"
    click.point.x = 0.01
    np.testing.assert_allclose(c.world_point(click), [10, 0, 0])
    click.point.y = np.nan
    with pytest.raises(InvalidInputError, match="finite"):
        c.world_point(click)
    tip = PoseStamped()
    tip.header.frame_id = "map"
    with pytest.raises(InvalidInputError, match="'map'"):
        c.world_point(tip)


@given(st.lists(st.tuples(numbers(0, 1), numbers(0, 5), numbers(1.5, 6), numbers(0, 30), numbers(0, 1)), max_size=5))
def test_stenoses_travel_in_metres_and_percent(rows):
    sent = [Stenosis(7 + k, k, *row) for k, row in enumerate(rows)]
    graph = VesselGraph(
        np.zeros((0, 3)), np.zeros(0), np.zeros((0, 2), int), np.zeros(0, int), stamp_a_ns=5, graph_id=3
    )
    message = c.stenoses_to_msg(sent, graph)
    assert (message.graph_id, message.header.stamp.nanosec, message.header.frame_id) == (3, 5, "carm_isocenter")
    assert list(message.diameter_stenosis) == pytest.approx([100 * s.diameter_stenosis for s in sent], rel=FLOAT32)
    got = c.stenoses_from_msg(deserialize_message(serialize_message(message), ros.StenosisArray))
    assert [(s.node, s.branch) for s in got] == [(s.node, s.branch) for s in sent]
    for name in ("diameter_stenosis", "minimal_lumen_diameter", "reference_diameter", "length", "confidence"):
        assert [getattr(s, name) for s in got] == pytest.approx([getattr(s, name) for s in sent], rel=2 * FLOAT32)


def test_stenoses_of_different_number_are_refused():
    with pytest.raises(InvalidInputError, match="differ in length"):
        c.stenoses_from_msg(ros.StenosisArray(node=[1, 2], branch=[0]))
