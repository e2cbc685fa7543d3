"""X-ray runs from DICOM: pixels in every encoding, geometry, time, shutter, errors, and no patient."""

import logging
import re
import warnings
from dataclasses import fields

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imaging.dicom_files import (
    CT,
    ENHANCED_XA,
    IDENTITY,
    REPORT,
    XRF,
    frames,
    functional_groups,
    write_run,
)
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from autocar_ros.errors import DicomError
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.imaging.dicom import XrayRun, read_run

LOSSLESS = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.dcm"


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.name.split(",")[0])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_lossless_encodings_return_the_stored_values(path, syntax, bits):
    images = frames(bits=bits)
    run = read_run(write_run(path, images, bits, syntax))
    assert run.images.dtype == images.dtype
    assert run.used_bits == bits
    np.testing.assert_array_equal(run.images, images)


def test_a_single_frame_is_a_run_of_one(path):
    run = read_run(write_run(path, frames(1), NumberOfFrames=None, FrameTime=None))
    assert len(run) == 1
    assert run.images.shape == (1, 24, 32)
    np.testing.assert_array_equal(run.frame_times_ns, [0])


def test_fluoroscopy_is_accepted(path):
    assert read_run(write_run(path, frames(), sop_class=XRF)).modality == "XRF"


@pytest.mark.parametrize(
    ("elements", "inverted"),
    [
        ({}, False),
        ({"PhotometricInterpretation": "MONOCHROME1"}, True),
        ({"PixelIntensityRelationshipSign": -1}, True),
        ({"PixelIntensityRelationshipSign": 1, "PhotometricInterpretation": "MONOCHROME1"}, False),
    ],
)
def test_vessels_are_dark_whatever_the_polarity(path, elements, inverted):
    images = frames(bits=10)
    run = read_run(write_run(path, images, 10, **elements))
    np.testing.assert_array_equal(run.images, 1023 - images if inverted else images)


def test_signed_values_are_shifted_to_unsigned(path):
    signed = np.array([[[-2048, -1], [0, 2047]]], np.int16)
    run = read_run(write_run(path, signed, 12, PixelRepresentation=1, NumberOfFrames=1))
    np.testing.assert_array_equal(run.images[0], [[0, 2047], [2048, 4095]])


def test_bits_around_the_stored_ones_are_ignored(path):
    images = frames(bits=10)
    shifted = (images << 4) | 0b1000_0000_0000_0101  # an overlay above and below
    run = read_run(write_run(path, shifted.astype(np.uint16), 10, HighBit=13))
    np.testing.assert_array_equal(run.images, images)


def test_static_pose(path):
    run = read_run(write_run(path, frames()))
    assert len(run.poses) == 4
    pose = run.poses[2]
    assert np.degrees([pose.primary_angle, pose.secondary_angle]) == pytest.approx([-30.0, 25.5])
    assert (pose.source_to_detector, pose.source_to_isocenter) == (1000.0, 720.0)
    assert pose.pixel_spacing == (0.3, 0.4)  # row, column
    assert (pose.rows, pose.columns) == (24, 32)
    assert not pose.calibrated


def test_angle_increments_count_from_the_base_angle(path):
    run = read_run(
        write_run(
            path,
            frames(3),
            PositionerPrimaryAngleIncrement=[0.0, 5.0, 10.0],
            PositionerSecondaryAngleIncrement=[0.0, 0.0, -1.5],
        )
    )
    assert np.degrees([p.primary_angle for p in run.poses]) == pytest.approx([-30, -25, -20])
    assert np.degrees([p.secondary_angle for p in run.poses]) == pytest.approx([25.5, 25.5, 24.0])


def test_enhanced_run_takes_angles_per_frame_and_distances_from_the_shared_group(path):
    groups = functional_groups([(-30.0, 10.0), (-20.0, 10.0)])
    run = read_run(write_run(path, frames(2), sop_class=ENHANCED_XA, **groups))
    assert np.degrees([p.primary_angle for p in run.poses]) == pytest.approx([-30, -20])
    pose = run.poses[0]
    assert (pose.source_to_detector, pose.source_to_isocenter, pose.pixel_spacing) == (1100.0, 750.0, (0.2, 0.2))


def test_given_geometry_replaces_the_tags(path):
    write_run(path, frames(), ImagerPixelSpacing=None, DistanceSourceToDetector=None)
    run = read_run(path, pixel_spacing=0.25, source_to_detector=1200, source_to_isocenter=800)
    pose = run.poses[0]
    assert (pose.pixel_spacing, pose.source_to_detector, pose.source_to_isocenter) == ((0.25, 0.25), 1200.0, 800.0)
    assert read_run(path, pixel_spacing=(0.2, 0.3), source_to_detector=1200).poses[0].pixel_spacing == (0.2, 0.3)


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        ("ImagerPixelSpacing", None, "ImagerPixelSpacing (0018,1164) is missing: pass --pixel-spacing MM"),
        ("ImagerPixelSpacing", [0.0, 0.0], "ImagerPixelSpacing (0018,1164) must be positive"),
        ("DistanceSourceToDetector", None, "DistanceSourceToDetector (0018,1110) is missing"),
        ("DistanceSourceToPatient", None, "DistanceSourceToPatient (0018,1111) is missing"),
        ("DistanceSourceToDetector", 700.0, "DistanceSourceToDetector (0018,1110) is 700 mm, not beyond"),
        ("PositionerPrimaryAngle", None, "PositionerPrimaryAngle (0018,1510) is missing"),
        ("PositionerSecondaryAngle", 123.0, "PositionerSecondaryAngle (0018,1511) of frame 0 is 123 degrees"),
        ("PositionerPrimaryAngleIncrement", [1.0, 2.0], "PositionerPrimaryAngleIncrement (0018,1520) holds 2 values"),
    ],
)
def test_unusable_geometry_leaves_images_and_names_the_tag(path, keyword, value, message):
    run = read_run(write_run(path, frames(), **{keyword: value}))
    assert len(run.frame_times_ns) == len(run) == 4
    with pytest.raises(DicomError, match=re.escape(message)):
        _ = run.poses


def test_the_field_of_view_hints_at_a_missing_spacing(path):
    write_run(path, frames(), ImagerPixelSpacing=None, FieldOfViewDimensions=[200, 160])
    columns = read_run(path).images.shape[2]
    hint = f"pass --pixel-spacing MM, {160 / columns:.6g} if the {columns} columns"
    with pytest.raises(DicomError, match=re.escape(hint)):
        _ = read_run(path).poses
    write_run(path, frames(), FieldOfViewDimensions=[0, 0])
    assert len(read_run(path).poses) == 4  # a tag that nobody needs may be wrong


def test_an_angle_that_is_no_number_names_its_tag(path):
    write_run(path, frames(), PositionerPrimaryAngle="12.5")
    path.write_bytes(path.read_bytes().replace(b"12.5", b"nan "))
    with pytest.raises(DicomError, match=r"PositionerPrimaryAngle \(0018,1510\) is not finite"):
        _ = read_run(path).poses
    path.write_bytes(path.read_bytes().replace(b"nan ", b"a.b "))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DicomError, match=r"PositionerPrimaryAngle \(0018,1510\) does not hold numbers"):
            _ = read_run(path).poses


@pytest.mark.parametrize(
    ("elements", "expected_ms"),
    [
        ({}, [0, 40, 80, 120]),
        ({"FrameTimeVector": [0, 30, 50, 30]}, [0, 30, 80, 110]),
        ({"FrameTime": None, "CineRate": 20}, [0, 50, 100, 150]),
        ({"FrameTime": None, "RecommendedDisplayFrameRate": 10}, [0, 100, 200, 300]),
    ],
)
def test_frame_times(path, elements, expected_ms):
    run = read_run(write_run(path, frames(), **elements))
    np.testing.assert_array_equal(run.frame_times_ns, np.array(expected_ms) * 1_000_000)
    assert run.frame_times_ns.dtype == np.int64


def test_missing_frame_time_is_told_only_when_asked_for_and_can_be_given(path):
    write_run(path, frames(), FrameTime=None)
    run = read_run(path)
    assert len(run.poses) == 4
    with pytest.raises(DicomError, match=r"FrameTime \(0018,1063\).*--frame-rate"):
        _ = run.frame_times_ns
    assert read_run(path, frame_rate=25).frame_times_ns[1] == 40_000_000
    with pytest.raises(DicomError, match="must be positive"):
        _ = read_run(path, frame_rate=0).frame_times_ns


def test_rectangular_shutter_keeps_its_edges(path):
    run = read_run(
        write_run(
            path,
            frames(),
            ShutterShape="RECTANGULAR",
            ShutterLeftVerticalEdge=3,
            ShutterRightVerticalEdge=30,
            ShutterUpperHorizontalEdge=2,
            ShutterLowerHorizontalEdge=20,
        )
    )
    expected = np.zeros((24, 32), bool)
    expected[1:20, 2:30] = True
    np.testing.assert_array_equal(run.visible, expected)


def test_circle_and_polygon_intersect(path):
    run = read_run(
        write_run(
            path,
            frames(),
            CollimatorShape=["CIRCULAR", "POLYGONAL"],
            CenterOfCircularCollimator=[12, 16],
            RadiusOfCircularCollimator=8,
            VerticesOfThePolygonalCollimator=[1, 1, 1, 16, 24, 16, 24, 1],
        )
    )
    assert run.visible[11, 15 - 7]
    assert not run.visible[11, 15 - 9]  # outside the circle
    assert not run.visible[11, 15 + 5]  # outside the polygon


def test_shutter_without_values_or_over_everything_is_left_out(path):
    assert read_run(write_run(path, frames(), ShutterShape="CIRCULAR")).visible.all()
    far = {"CenterOfCircularShutter": [900, 900], "RadiusOfCircularShutter": 3}
    assert read_run(write_run(path, frames(), ShutterShape="CIRCULAR", **far)).visible.all()


@pytest.mark.parametrize(
    ("sop_class", "what"), [(CT, "CT Image Storage"), (REPORT, "Basic Text SR"), ("1.2.3.4", "no known")]
)
def test_other_kinds_of_object_are_refused(path, sop_class, what):
    with pytest.raises(DicomError, match=f"not an XA or XRF image but {what}"):
        read_run(write_run(path, frames(), sop_class=sop_class))


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"PixelData": None}, "PixelData (7FE0,0010) is missing"),
        ({"Rows": None}, "Rows (0028,0010) is missing"),
        ({"Rows": 25}, "PixelData (7FE0,0010) cannot be decoded"),
        ({"NumberOfFrames": 9}, "PixelData (7FE0,0010) cannot be decoded"),
        ({"BitsStored": 12}, "BitsStored (0028,0101) 12 does not fit"),
        ({"SamplesPerPixel": 3}, "SamplesPerPixel (0028,0002) is not 1"),
    ],
)
def test_pixels_that_do_not_fit_their_description(path, elements, message):
    with pytest.raises(DicomError, match=re.escape(message)):
        read_run(write_run(path, frames(), **elements))


def test_what_is_no_dicom_file(tmp_path):
    with pytest.raises(DicomError, match="no such file"):
        read_run(tmp_path / "none.dcm")
    with pytest.raises(DicomError, match="is a folder"):
        read_run(tmp_path)
    for name, content in (("empty", b""), ("text", b"hello" * 100)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DicomError, match="not a DICOM file"):
            read_run(tmp_path / name)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGLosslessSV1], ids=["raw", "rle", "jpeg"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_truncated_files(path, syntax, share):
    content = write_run(path, frames(), syntax=syntax).read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DicomError, match=re.escape(str(path))):
            read_run(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_bytes_give_a_run_or_a_dicom_error(tmp_path, data):
    """Never another exception; and never a run of another shape than its poses and times."""
    path = tmp_path / "damaged.dcm"
    content = bytearray(write_run(path, frames(2, 6, 8)).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(132, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run = read_run(path)
        except DicomError:
            return
    assert run.images.ndim == 3
    assert run.visible.shape == run.images.shape[1:]


def test_patient_identity_never_leaves_the_reader(path, caplog):
    """Neither in the run, whatever its depth, nor in its text, nor in warnings and errors."""
    caplog.set_level(logging.DEBUG)
    texts = []
    with warnings.catch_warnings(record=True) as pydicom_warnings:
        warnings.simplefilter("always")
        run = read_run(write_run(path, frames(), ShutterShape="CIRCULAR"))
        texts += [repr(run), str(run), *(repr(getattr(run, f.name)) for f in fields(XrayRun))]
        for bad in ({"Rows": 77}, {"PixelData": None}, {"DistanceSourceToDetector": None}, {"sop_class": CT}):
            write_run(path, frames(), **bad)
            try:
                _ = read_run(path).poses
            except DicomError as error:
                texts.append(f"{error} {error!r} {error.__cause__!r}")
        content = write_run(path, frames()).read_bytes()
        for cut in range(150, 1200, 50):
            path.write_bytes(content[:cut])
            with pytest.raises(DicomError) as caught:
                read_run(path)
            texts.append(f"{caught.value} {caught.value.__cause__!r}")
        for text in (b"PID-778812", b"1.2.826.0.1.3680043.8.498.777888999"):  # text that does not fit its kind
            path.write_bytes(content.replace(text, text[:-1] + b"\xff"))
            texts.append(repr(read_run(path)))
    everything = "\n".join([*texts, caplog.text, *(str(w.message) for w in pydicom_warnings)])
    for keyword, value in IDENTITY.items():
        assert value[:-1] not in everything or keyword == "PatientSex"
    assert all(isinstance(f.type, str) and "Dataset" not in f.type for f in fields(XrayRun))


class TestRecordings:
    """The phantom's runs (JPEG lossless) and the cine (JPEG baseline)."""

    def test_phantom(self, data_dir):
        run = read_run(data_dir / "phantom" / "IM7.dcm")
        assert run.images.shape == (9, 512, 512)
        assert (run.modality, run.used_bits, run.images.dtype) == ("XA", 8, np.uint8)
        pose = run.poses[-1]
        assert np.degrees([pose.primary_angle, pose.secondary_angle]) == pytest.approx([-29.3, 25.5])
        assert (pose.source_to_detector, pose.source_to_isocenter) == (976.0, 720.0)
        assert pose.pixel_spacing == (0.390625, 0.390625)
        assert np.diff(run.frame_times_ns) == pytest.approx(66_666_700, abs=1)
        assert (run.visible[:, 7].sum(), run.visible[5].sum()) == (501, 501)  # edges 6..506 and 8..508, counted from 1
        assert not run.visible[:, 6].any()
        camera_from_pose(pose)

    def test_phantom_without_spacing(self, data_dir):
        path = data_dir / "phantom" / "IM3.dcm"
        with pytest.raises(DicomError, match=r"ImagerPixelSpacing \(0018,1164\) is missing: pass --pixel-spacing MM"):
            _ = read_run(path).poses
        assert read_run(path, pixel_spacing=0.390625).poses[0].pixel_spacing == (0.390625, 0.390625)

    def test_cine_has_images_times_and_r_waves_but_no_geometry(self, data_dir):
        run = read_run(data_dir / "cine" / "rubo_rca_ecg.dcm")
        assert run.images.shape == (96, 512, 512)
        assert run.frame_times_ns[-1] == 95 * 33_000_000
        np.testing.assert_array_equal(run.r_wave_frames, [19, 52, 76])
        with pytest.raises(DicomError, match="is missing"):
            _ = run.poses

    def test_cine_text_names_nobody(self, data_dir):
        path = data_dir / "cine" / "rubo_rca_ecg.dcm"
        original = pydicom.dcmread(path, stop_before_pixels=True)
        run = read_run(path)
        text = repr(run) + "".join(repr(getattr(run, f.name)) for f in fields(run))
        for keyword in (
            "PatientName",
            "PatientID",
            "PatientBirthDate",
            "StudyDate",
            "StudyInstanceUID",
            "SOPInstanceUID",
        ):
            assert str(original.get(keyword)) not in text
