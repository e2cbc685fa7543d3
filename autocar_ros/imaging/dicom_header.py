"""The part of a DICOM file that may leave the file: numbers about the X-ray run, never who was X-rayed.

Only the elements of `_KEYWORDS` and the ECG curves are parsed at all; patient, study, institution, dates and unique
identifiers are skipped while reading, so that no later object, message or warning can hold them. Errors name the tag
and never quote a text value.
"""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.tag import Tag
from pydicom.uid import UID

from autocar_ros.errors import DicomError

XRAY_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.12.1": "XA",
    "1.2.840.10008.5.1.4.1.1.12.1.1": "XA",  # enhanced
    "1.2.840.10008.5.1.4.1.1.12.2": "XRF",
    "1.2.840.10008.5.1.4.1.1.12.2.1": "XRF",  # enhanced
}
CURVE_GROUPS = range(0x5000, 0x5020, 2)
_CURVE_ELEMENTS = (0x0005, 0x0010, 0x0020, 0x0030, 0x0103, 0x0110, 0x0112, 0x0114, 0x3000)
_KEYWORDS = (
    # what it is
    "SOPClassUID Modality",
    # pixels
    "SamplesPerPixel PhotometricInterpretation NumberOfFrames Rows Columns BitsAllocated BitsStored "
    "HighBit PixelRepresentation PixelIntensityRelationshipSign PixelData FloatPixelData ExtendedOffsetTable "
    "ExtendedOffsetTableLengths",
    # geometry
    "PositionerPrimaryAngle PositionerSecondaryAngle PositionerPrimaryAngleIncrement PositionerSecondaryAngleIncrement "
    "DistanceSourceToDetector DistanceSourceToPatient ImagerPixelSpacing FieldOfViewDimensions "
    "SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence",
    # time
    "FrameTime FrameTimeVector CineRate RecommendedDisplayFrameRate RWavePointer WaveformSequence",
    # shutter and collimator
    "ShutterShape ShutterLeftVerticalEdge ShutterRightVerticalEdge ShutterUpperHorizontalEdge "
    "ShutterLowerHorizontalEdge CenterOfCircularShutter RadiusOfCircularShutter VerticesOfThePolygonalShutter",
    "CollimatorShape CollimatorLeftVerticalEdge CollimatorRightVerticalEdge CollimatorUpperHorizontalEdge "
    "CollimatorLowerHorizontalEdge CenterOfCircularCollimator RadiusOfCircularCollimator "
    "VerticesOfThePolygonalCollimator",
)


def tag_name(keyword: str) -> str:
    """Keyword and number of a DICOM element: 'ImagerPixelSpacing (0018,1164)'."""
    tag = Tag(keyword)
    return f"{keyword} ({tag.group:04X},{tag.element:04X})"


def read_header(path: Path, pixels: bool = True) -> Dataset:
    """Read the allowed elements of an X-ray run, pixel data still encoded or, without `pixels`, left out.

    Raises `DicomError` for what is not a file, not DICOM, cut short in its header, or not an XA or XRF image.
    """
    if not path.is_file():
        raise DicomError("is a folder, give one file" if path.is_dir() else "no such file")
    tags: list[Any] = [Tag(k) for line in _KEYWORDS for k in line.split()]
    tags += [Tag(group, element) for group in CURVE_GROUPS for element in _CURVE_ELEMENTS]
    try:
        header = dcmread(path, specific_tags=tags, stop_before_pixels=not pixels)
        kind = UID(str(header.get("SOPClassUID", "")))
    except InvalidDicomError as error:
        raise DicomError("not a DICOM file (no DICM prefix)") from error
    except Exception as error:  # pydicom lets many kinds through for damaged files; their texts may quote values
        raise DicomError(f"damaged or cut short ({type(error).__name__} while reading the header)") from None
    if kind not in XRAY_CLASSES:
        found = kind.name if kind and kind.name != kind else "no known image class"
        raise DicomError(f"not an XA or XRF image but {found}")
    if "TransferSyntaxUID" not in header.file_meta:
        raise DicomError(f"{tag_name('TransferSyntaxUID')} is missing: how the pixels are encoded is unknown")
    return header


def numbers(item: Dataset, keyword: str) -> tuple[float, ...]:
    """Finite values of a numeric element, empty when it is missing; raises `DicomError` that names the tag."""
    try:
        value = item.get(keyword)
        several = value is not None and not isinstance(value, (str, bytes)) and hasattr(value, "__len__")
        values = tuple(float(v) for v in (value if several else [value]) if v not in (None, ""))
    except Exception:  # pydicom converts on access and lets many kinds through
        raise DicomError(f"{tag_name(keyword)} does not hold numbers") from None
    if not all(isfinite(v) for v in values):
        raise DicomError(f"{tag_name(keyword)} is not finite")
    return values


def number(item: Dataset, keyword: str) -> float | None:
    """First value of a numeric element, None when it is missing; raises `DicomError` that names the tag."""
    return next(iter(numbers(item, keyword)), None)


def frame_numbers(header: Dataset, frame: int, keyword: str) -> tuple[float, ...]:
    """Values that hold for one frame (0-based): its own functional group, else the shared one, else the header."""
    groups = []
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or ()
    if frame < len(per_frame):
        groups.append(per_frame[frame])
    groups += list(header.get("SharedFunctionalGroupsSequence") or ())
    for group in groups:
        for element in group:
            if element.VR == "SQ" and element.value and (values := numbers(element.value[0], keyword)):
                return values
    return numbers(header, keyword)
