"""Simulated runs as DICOM X-ray Angiographic Image files, for tests of readers and of whole installations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage, generate_uid

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import CArmPose, FloatArray, Image

ECG_UNITS_PER_MV = 1000.0  # of the stored curve, which has no unit of its own


def write_run(
    path: Path,
    images: Image,
    pose: CArmPose,
    frame_rate: float,
    ecg: tuple[FloatArray, float] | None = None,
    used_bits: int | None = None,
) -> None:
    """Write one run with a still C-arm.

    Parameters
    ----------
    images : (F, rows, columns) uint8 or uint16
    pose : must have its principal point in the image centre and no isocentre offset, which XA cannot express
    frame_rate : Hz
    ecg : samples in mV and their rate in Hz, from the first exposure on (curve group 5000)
    used_bits : of uint16, default 16
    """
    if images.ndim != 3 or images.dtype not in (np.uint8, np.uint16):
        raise InvalidInputError(f"images must be (F, rows, columns) uint8 or uint16, got {images.dtype} {images.shape}")
    if pose.principal_point is not None or any(pose.isocenter_offset):
        raise InvalidInputError("a DICOM run cannot express a principal point off the centre or an isocentre offset")
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = XRayAngiographicImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid(prefix=None)
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(prefix=None), generate_uid(prefix=None)
    data.Modality, data.Manufacturer, data.PatientName = "XA", "autocar_ros simulator", "SIMULATED"
    data.ImageType = ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    _set_geometry(data, pose)
    _set_pixels(data, images, used_bits)
    data.FrameTime, data.FrameIncrementPointer = f"{1000 / frame_rate:.6f}", 0x00181063
    if ecg is not None:
        _set_ecg(data, *ecg)
    data.save_as(path, enforce_file_format=True)


def _set_geometry(data: Dataset, pose: CArmPose) -> None:
    data.PositionerMotion = "STATIC"
    data.PositionerPrimaryAngle = f"{np.degrees(pose.primary_angle):.6f}"
    data.PositionerSecondaryAngle = f"{np.degrees(pose.secondary_angle):.6f}"
    data.DistanceSourceToDetector = f"{pose.source_to_detector:.6f}"
    data.DistanceSourceToPatient = f"{pose.source_to_isocenter:.6f}"
    data.ImagerPixelSpacing = [f"{spacing:.8f}" for spacing in pose.pixel_spacing]


def _set_pixels(data: Dataset, images: Image, used_bits: int | None) -> None:
    allocated = 8 * images.dtype.itemsize
    stored = used_bits or allocated
    data.NumberOfFrames, data.Rows, data.Columns = images.shape
    data.SamplesPerPixel, data.PixelRepresentation, data.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = allocated, stored, stored - 1
    data.PixelIntensityRelationship, data.PixelIntensityRelationshipSign = "LIN", 1
    data.PixelData = np.ascontiguousarray(images).tobytes()
    data["PixelData"].VR = "OB" if allocated == 8 else "OW"


def _set_ecg(data: Dataset, samples: FloatArray, rate: float) -> None:
    """Curve group 5000 (retired, but what angiography systems write)."""
    stored = np.clip(np.rint(samples * ECG_UNITS_PER_MV), -32768, 32767).astype("<i2")
    for element, vr, value in (
        (0x0005, "US", 2),  # dimensions: time and voltage
        (0x0010, "US", len(stored)),  # points
        (0x0020, "CS", "ECG"),
        (0x0030, "SH", "DPPS"),  # the step below is in data points per second
        (0x0103, "US", 1),  # signed 16 bit
        (0x0110, "US", [0, 1]),  # time is evenly spaced, voltage is in the data
        (0x0112, "US", 0),  # first coordinate
        (0x0114, "US", round(rate)),  # step
        (0x3000, "OW", stored.tobytes()),
    ):
        data.add_new((0x5000, element), vr, value)
