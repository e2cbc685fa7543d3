"""C-arm poses and the uncovered image area of a DICOM X-ray run (PS3.3 C.8.7.3 to 5, C.7.6.11; enhanced: C.8.19)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import radians

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from skimage.draw import polygon2mask

from autocar_ros.errors import DicomError
from autocar_ros.imaging.dicom_header import frame_numbers, numbers, tag_name
from autocar_ros.types import CArmPose


def read_poses(
    header: Dataset,
    frames: int,
    pixel_spacing: float | tuple[float, float] | None = None,
    source_to_detector: float | None = None,
    source_to_isocenter: float | None = None,
) -> tuple[CArmPose, ...]:
    """One pose per frame; given values (mm) replace what the file says.

    The angles of frame k are the base angles plus the k-th increment where the positioner moved: DICOM counts
    (0018,1520) and (0018,1521) from the base angles, not from the frame before. The source-to-isocentre distance is
    'Distance Source to Patient' in XA and 'Distance Source to Isocenter' in enhanced XA. Raises `DicomError` that
    names the missing or impossible tag and the option that replaces it.
    """
    primary = _angles(header, frames, "Primary", limit=180.0)
    secondary = _angles(header, frames, "Secondary", limit=90.0)
    spacing = _Length(header, "ImagerPixelSpacing", "--pixel-spacing", pixel_spacing, partial(_field_of_view, header))
    sid = _Length(header, "DistanceSourceToDetector", "--source-to-detector", source_to_detector)
    enhanced = "SharedFunctionalGroupsSequence" in header
    sod = _Length(
        header,
        "DistanceSourceToIsocenter" if enhanced else "DistanceSourceToPatient",
        "--source-to-isocenter",
        source_to_isocenter,
    )
    poses = []
    for k in range(frames):
        row, column = (spacing.at(k) * 2)[:2]
        far, near = sid.at(k)[0], sod.at(k)[0]
        if far <= near:
            raise DicomError(
                f"{sid.name} is {far:g} mm, not beyond {sod.name}, {near:g} mm: {sid.remedy} or {sod.remedy}"
            )
        size = int(header.Rows), int(header.Columns)
        poses.append(CArmPose(primary[k], secondary[k], far, near, (row, column), *size).check())
    return tuple(poses)


class _Length:
    """A positive length in mm of every frame: the given value, else the tag; `hint` helps where both are missing."""

    def __init__(
        self,
        header: Dataset,
        keyword: str,
        option: str,
        given: float | tuple[float, float] | None,
        hint: Callable[[], str] = str,
    ) -> None:
        self.header, self.keyword, self.name, self.hint = header, keyword, tag_name(keyword), hint
        self.remedy = f"pass {option} MM"
        self.given = None if given is None else tuple(np.atleast_1d(given).astype(float).tolist())

    def at(self, frame: int) -> tuple[float, ...]:
        values = self.given or frame_numbers(self.header, frame, self.keyword)
        if not values:
            raise DicomError(f"{self.name} is missing: {self.remedy}{self.hint()}")
        if not all(0 < v < np.inf for v in values):
            found = ", ".join(f"{v:g}" for v in values)
            raise DicomError(f"{self.name} must be positive, is {found} mm: {self.remedy}")
        return values


def _field_of_view(header: Dataset) -> str:
    """What the pixel spacing would be if the frame shows the whole field of view (rows first); "" if it is unknown.

    No more than a hint: a field may be cut out, or shown smaller than it is.
    """
    try:
        field = numbers(header, "FieldOfViewDimensions")
    except DicomError:
        return ""
    if not field or field[-1] <= 0:
        return ""
    name, columns = tag_name("FieldOfViewDimensions"), int(header.Columns)
    spacing = f"{field[-1] / columns:.6g}"
    return f", {spacing} if the {columns} columns show all of the field of view, {field[-1]:g} mm by {name}"


def _angles(header: Dataset, frames: int, axis: str, limit: float) -> list[float]:
    """Positioner angles of every frame, rad."""
    keyword, increments_keyword = f"Positioner{axis}Angle", f"Positioner{axis}AngleIncrement"
    increments: Sequence[float] = numbers(header, increments_keyword)
    if len(increments) not in (0, frames):
        raise DicomError(f"{tag_name(increments_keyword)} holds {len(increments)} values for {frames} frames")
    angles = []
    for k in range(frames):
        base = frame_numbers(header, k, keyword)
        if not base:
            raise DicomError(f"{tag_name(keyword)} is missing: without it the view is unknown")
        degrees = base[0] + (increments[k] if increments else 0.0)
        if abs(degrees) > limit:
            raise DicomError(f"{tag_name(keyword)} of frame {k} is {degrees:g} degrees, outside +-{limit:g}")
        angles.append(radians(degrees))
    return angles


def visible_area(header: Dataset) -> NDArray[np.bool_]:
    """(rows, columns) true where neither shutter (0018,1600) nor collimator (0018,1700) covers the image.

    Shapes are rectangle, circle and polygon, and several intersect. A shape without its values, or one that covers
    everything, is left out.
    """
    visible = np.ones((int(header.Rows), int(header.Columns)), bool)
    for name in ("Shutter", "Collimator"):
        shapes = header.get(f"{name}Shape") or ()
        for shape in [shapes] if isinstance(shapes, str) else shapes:
            inside = _inside(header, name, str(shape), visible.shape)
            if inside is not None and (visible & inside).any():
                visible &= inside
    return visible


def _inside(header: Dataset, name: str, shape: str, size: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Area that one shape leaves free; DICOM counts pixels from 1, edges belong to the picture."""
    row, column = np.ogrid[1 : size[0] + 1, 1 : size[1] + 1]
    if shape == "RECTANGULAR":
        sides = ("LeftVertical", "RightVertical", "UpperHorizontal", "LowerHorizontal")
        edges = [v for side in sides for v in numbers(header, f"{name}{side}Edge")]
        if len(edges) == 4:
            return (column >= edges[0]) & (column <= edges[1]) & (row >= edges[2]) & (row <= edges[3])
    if shape == "CIRCULAR":
        center, radius = numbers(header, f"CenterOfCircular{name}"), numbers(header, f"RadiusOfCircular{name}")
        if len(center) == 2 and len(radius) == 1:
            return np.hypot(row - center[0], column - center[1]) <= radius[0]
    if shape == "POLYGONAL":
        vertices = numbers(header, f"VerticesOfThePolygonal{name}")
        if len(vertices) >= 6 and len(vertices) % 2 == 0:
            return np.asarray(polygon2mask(size, np.reshape(vertices, (-1, 2)) - 1), bool)
    return None
