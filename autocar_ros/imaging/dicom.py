"""X-ray runs from DICOM XA and XRF multi-frame files, through pydicom and GDCM.

`read_run` is the only way in, and `read_geometry` where poses will do. What they return holds images, geometry, time
and ECG, and nothing that tells whose they are (see `dicom_header`). Values are as stored (no modality or VOI
transform), only turned so that vessels are dark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.pixels.utils import pixel_array

from autocar_ros.errors import DicomError
from autocar_ros.imaging.dicom_ecg import EcgSignal, read_ecg, read_r_waves
from autocar_ros.imaging.dicom_geometry import read_poses, visible_area
from autocar_ros.imaging.dicom_header import XRAY_CLASSES, number, numbers, read_header, tag_name
from autocar_ros.types import NANOSECONDS, CArmPose, Image, IntArray

T = TypeVar("T")


@dataclass(frozen=True)
class XrayRun:
    """One X-ray run of one plane, without patient identity.

    Images, visible area and ECG are there whenever the file could be read. Geometry and frame times are asked for by
    `poses` and `frame_times_ns`, which raise `DicomError` naming the tag that is missing or impossible.
    """

    modality: str  # "XA" or "XRF"
    images: Image = field(repr=False)  # (F, rows, columns) uint8 or uint16, as stored, vessels dark
    used_bits: int  # 1..16, BitsStored: values lie in [0, 2**used_bits)
    visible: NDArray[np.bool_] = field(repr=False)  # (rows, columns), false under shutter or collimator
    ecg: EcgSignal | None = field(repr=False)
    r_wave_frames: IntArray  # (R,) 0-based frames
    geometry: tuple[CArmPose, ...] | str = field(repr=False)  # one per frame, or why there is none
    timing: IntArray | str = field(repr=False)  # (F,) ns from the first frame, or why there is none

    def __len__(self) -> int:
        return len(self.images)

    @property
    def poses(self) -> tuple[CArmPose, ...]:
        """C-arm pose of every frame; raises `DicomError`."""
        if isinstance(self.geometry, str):
            raise DicomError(self.geometry)
        return self.geometry

    @property
    def frame_times_ns(self) -> IntArray:
        """(F,) exposure times, ns from the first frame; raises `DicomError`."""
        if isinstance(self.timing, str):
            raise DicomError(self.timing)
        return self.timing


def read_run(
    path: str | Path,
    *,
    pixel_spacing: float | tuple[float, float] | None = None,
    source_to_detector: float | None = None,
    source_to_isocenter: float | None = None,
    frame_rate: float | None = None,
) -> XrayRun:
    """Read a DICOM X-ray run.

    Parameters
    ----------
    path : XA or XRF file (also enhanced); JPEG lossless, baseline, JPEG-LS, JPEG 2000, RLE or uncompressed, 8-16 bit
    pixel_spacing : mm at the detector, one number or (row, column); replaces ImagerPixelSpacing (0018,1164)
    source_to_detector : mm, replaces DistanceSourceToDetector (0018,1110)
    source_to_isocenter : mm, replaces DistanceSourceToPatient (0018,1111)
    frame_rate : Hz, replaces the timing of the file

    Raises
    ------
    DicomError
        Not a file, not DICOM, damaged, not XA or XRF, no pixel data, or pixels that do not fit their description.
    """
    path = Path(path)
    with _naming(path):
        header = read_header(path)
        images = _decode(header)
        timing = _or_problem(lambda: _frame_times(header, len(images), frame_rate))
        return XrayRun(
            modality=XRAY_CLASSES[str(header.SOPClassUID)],
            images=images,
            used_bits=int(header.BitsStored),
            visible=visible_area(header),
            ecg=read_ecg(header, None if isinstance(timing, str) else _duration(timing)),
            r_wave_frames=read_r_waves(header, len(images)),
            geometry=_or_problem(
                lambda: read_poses(header, len(images), pixel_spacing, source_to_detector, source_to_isocenter)
            ),
            timing=timing,
        )


def read_geometry(path: str | Path) -> tuple[CArmPose, ...]:
    """C-arm pose of every frame from the header alone, pixels unread; raises `DicomError` for what `read_run` does."""
    path = Path(path)
    with _naming(path):
        header = read_header(path, pixels=False)
        return read_poses(header, int(number(header, "NumberOfFrames") or 1))


def ecg_plane(runs: Mapping[str, XrayRun]) -> str | None:
    """Plane whose ECG serves runs taken together: the first that has one."""
    return next((plane for plane, run in runs.items() if run.ecg is not None), None)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before every error, and silence warnings, which quote values."""
    try:
        with disable_value_validation():
            yield
    except DicomError as error:
        raise DicomError(f"{path}: {error}") from error.__cause__
    except Exception as error:  # a damaged header can break pydicom anywhere, as it converts values on access
        raise DicomError(f"{path}: damaged ({type(error).__name__} while reading)") from None


def _or_problem(read: Callable[[], T]) -> T | str:
    try:
        return read()
    except DicomError as error:
        return str(error)


def _decode(header: Dataset) -> Image:
    """Decode all frames once, (F, rows, columns), vessels dark."""
    if "PixelData" not in header:
        raise DicomError(f"{tag_name('PixelData')} is missing: the file holds no image")
    needed = {k: number(header, k) for k in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit")}
    for keyword, value in needed.items():
        if value is None:
            raise DicomError(f"{tag_name(keyword)} is missing")
    if number(header, "SamplesPerPixel") not in (None, 1):
        raise DicomError(f"{tag_name('SamplesPerPixel')} is not 1: colour, not an X-ray frame")
    bits = int(header.BitsStored)
    if not 1 <= bits <= int(header.HighBit) + 1 <= int(header.BitsAllocated) <= 16:
        raise DicomError(f"{tag_name('BitsStored')} {bits} does not fit HighBit and BitsAllocated (8 to 16 bit)")
    try:
        pixels = pixel_array(header, raw=True, correct_unused_bits=False)
    except Exception as error:  # pydicom and its codecs raise every kind for damaged data
        raise DicomError(
            f"{tag_name('PixelData')} cannot be decoded ({type(error).__name__}): damaged, cut short or of an "
            f"unknown kind ({header.file_meta.TransferSyntaxUID.name})"
        ) from error
    size = int(header.Rows), int(header.Columns)
    frames = int(number(header, "NumberOfFrames") or 1)
    if pixels.size != frames * size[0] * size[1]:
        found = pixels.size // (size[0] * size[1])
        raise DicomError(f"{tag_name('NumberOfFrames')} says {frames}, the pixel data holds {found}")
    return _unsigned(header, pixels.reshape(frames, *size), bits)


def _unsigned(header: Dataset, pixels: NDArray[np.integer], bits: int) -> Image:
    """Bring stored values to [0, 2**bits), growing with X-ray intensity, so that vessels are dark.

    The direction is PixelIntensityRelationshipSign (0028,1041) where given, else MONOCHROME1 means inverted.
    """
    shift = 0 if header.file_meta.TransferSyntaxUID.is_compressed else int(header.HighBit) + 1 - bits
    top = (1 << bits) - 1
    values = (pixels.view(f"u{pixels.dtype.itemsize}") >> shift) & top
    if number(header, "PixelRepresentation") == 1:
        values ^= 1 << (bits - 1)  # two's complement to offset binary
    sign = number(header, "PixelIntensityRelationshipSign")
    inverted = sign < 0 if sign else header.get("PhotometricInterpretation") == "MONOCHROME1"
    oriented = top - values if inverted else values
    return oriented.astype(np.uint8) if bits <= 8 else oriented.astype(np.uint16)


def _frame_times(header: Dataset, frames: int, frame_rate: float | None) -> IntArray:
    """(F,) ns from the first frame: increments, one increment, or a rate, in this order (PS3.3 C.7.6.5)."""
    if frame_rate is not None:
        if not 0 < frame_rate < np.inf:
            raise DicomError(f"frame rate must be positive, got {frame_rate:g} Hz")
        return _regular(frames, 1.0 / frame_rate)
    if frames == 1:
        return np.zeros(1, np.int64)
    increments = np.array(numbers(header, "FrameTimeVector"))
    if len(increments) == frames:
        if (increments[1:] <= 0).any():
            raise DicomError(f"{tag_name('FrameTimeVector')} does not grow: pass --frame-rate HZ")
        return np.rint(np.cumsum(np.r_[0.0, increments[1:]]) * 1e6).astype(np.int64)
    if (time_ms := number(header, "FrameTime") or 0.0) > 0:
        return _regular(frames, time_ms / 1e3)
    for keyword in ("CineRate", "RecommendedDisplayFrameRate"):
        if (rate := number(header, keyword) or 0.0) > 0:
            return _regular(frames, 1.0 / rate)
    raise DicomError(f"{tag_name('FrameTime')} and {tag_name('CineRate')} are missing: pass --frame-rate HZ")


def _regular(frames: int, step_s: float) -> IntArray:
    return np.asarray(np.rint(np.arange(frames) * step_s * NANOSECONDS), np.int64)


def _duration(times_ns: IntArray) -> float | None:
    """Seconds from the first exposure to one step after the last; None for a single frame."""
    if len(times_ns) < 2:
        return None
    return float((times_ns[-1] - times_ns[0]) * len(times_ns) / (len(times_ns) - 1) / NANOSECONDS)
