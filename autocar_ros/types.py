"""Frozen data handed between stages.

Units of the core: millimetres, radians, seconds; stamps are integer nanoseconds of the X-ray exposure, so that
nothing is ever rounded or re-stamped. Arrays carry shape and unit in their comment. Pixels are (column, row) with
integers at pixel centres. The world is `carm_isocenter` of docs/interfaces.md: LPS axes, origin at the isocentre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import IntEnum, IntFlag
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autocar_ros.errors import InvalidInputError, PoseError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Image = NDArray[np.uint8] | NDArray[np.uint16]
Mask = NDArray[np.uint8]  # vessel probability 0..255 (FramePair.msg)
AbsorptionMap = NDArray[np.uint8]  # (rows, columns) log attenuation of vessels in steps of `ABSORPTION_STEP`, else 0
DistanceMap = NDArray[np.float32]  # (rows, columns) px from every pixel to the mask, 0 inside

NANOSECONDS = 1_000_000_000
MASK_THRESHOLD = 128  # of a `Mask`: vessel from here on
ABSORPTION_STEP = 0.01  # of an `AbsorptionMap`: log attenuation a grey value


class PhaseSource(IntEnum):
    """Where the cardiac phase of a pair comes from (FramePair.msg)."""

    NONE = 0
    ECG = 1
    IMAGE = 2


class GraphStatus(IntEnum):
    """How far a vessel graph may be trusted (VesselGraph.msg)."""

    OK = 0
    DEGRADED = 1
    STALE = 2
    LOST = 3


class SeenBy(IntFlag):
    """Planes whose mask shows a node (VesselGraph.msg)."""

    NEITHER = 0
    A = 1
    B = 2
    BOTH = 3


@dataclass(frozen=True)
class CArmPose:
    """Pose and detector of one C-arm plane, in the terms of DICOM XA.

    `primary_angle` (0018,1510; + = LAO) and `secondary_angle` (0018,1511; + = cranial) in rad;
    `source_to_detector` (SID, 0018,1110) and `source_to_isocenter` (SOD, 0018,1111) in mm; `pixel_spacing`
    (row, column) at the detector (0018,1164) in mm; `principal_point` (column, row) in px, None = image centre
    ((columns - 1) / 2, (rows - 1) / 2); `isocenter_offset` is where this plane's isocentre lies in the world, mm.
    `check()` raises `PoseError`.
    """

    primary_angle: float
    secondary_angle: float
    source_to_detector: float
    source_to_isocenter: float
    pixel_spacing: tuple[float, float]
    rows: int
    columns: int
    principal_point: tuple[float, float] | None = None
    isocenter_offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    calibrated: bool = False

    @property
    def center(self) -> tuple[float, float]:
        """Principal point (column, row) in px, with the image centre filled in."""
        return self.principal_point or ((self.columns - 1) / 2, (self.rows - 1) / 2)

    def check(self) -> CArmPose:
        """Return self, or raise `PoseError` that names the field."""
        numbers: dict[str, float | tuple[float, ...]] = {
            "primary_angle": self.primary_angle,
            "secondary_angle": self.secondary_angle,
            "source_to_detector": self.source_to_detector,
            "source_to_isocenter": self.source_to_isocenter,
            "pixel_spacing": self.pixel_spacing,
            "principal_point": self.center,
            "isocenter_offset": self.isocenter_offset,
        }
        for name, value in numbers.items():
            if not all(map(math.isfinite, np.ravel(value).tolist())):
                raise PoseError(f"{name} is not finite: {value}")
        if not self.source_to_detector > self.source_to_isocenter > 0:
            raise PoseError(
                f"need SID > SOD > 0, got source_to_detector {self.source_to_detector:g} mm and "
                f"source_to_isocenter {self.source_to_isocenter:g} mm"
            )
        if min(self.pixel_spacing) <= 0:
            raise PoseError(f"pixel_spacing must be positive, got {self.pixel_spacing} mm")
        if self.rows < 1 or self.columns < 1:
            raise PoseError(f"image size must be positive, got {self.rows} x {self.columns}")
        return self


@dataclass(frozen=True)
class Frame:
    """One X-ray exposure of one plane; vessels are dark."""

    stamp_ns: int
    image: Image  # (rows, columns)

    def __post_init__(self) -> None:
        check_image(self.image)


@dataclass(frozen=True)
class ViewAlignment:
    """What the images say about the pose of plane B against plane A, whose pose is taken as it is reported.

    The corrections are added to the reported pose of B (`geometry.alignment.corrected`); zero where nothing was
    estimated. A rotation of the detector in its plane is none of them: no `CArmPose` can express it.
    """

    shift: tuple[float, float] = (0.0, 0.0)  # px (column, row), of the principal point
    primary: float = 0.0  # rad
    secondary: float = 0.0  # rad
    sid: float = 0.0  # mm
    sod: float = 0.0  # mm
    residual_before: float = np.nan  # 0..2, 1 - correlation of what both views absorb along epipolar lines
    residual_after: float = np.nan
    confidence: float = 0.0  # 0..1
    # (3,) unit, world, along the epipolar lines of plane B: a shift this way moves the tree in depth, which is unseen
    unobservable: FloatArray = field(default_factory=lambda: np.full(3, np.nan))
    reason: str = ""  # why the correction is not to be trusted; "" = it is

    @property
    def confirms(self) -> bool:
        """Whether it leaves the pose as it is reported."""
        return not any((*self.shift, self.primary, self.secondary, self.sid, self.sod))


class Vessels(NamedTuple):
    """What one exposure shows of the vessels, (rows, columns) each."""

    mask: Mask
    absorption: AbsorptionMap | None = None  # None where nobody knows


@dataclass(frozen=True)
class FramePair:
    """Vessel masks and poses of both planes at one heart phase."""

    stamp_a_ns: int
    stamp_b_ns: int
    mask_a: Mask  # (rows, columns) vessel probability 0..255
    mask_b: Mask
    pose_a: CArmPose
    pose_b: CArmPose
    phase_a: float = np.nan  # cardiac phase in [0, 1), NaN unknown
    phase_b: float = np.nan
    phase_source: PhaseSource = PhaseSource.NONE
    key_frame: bool = False
    alignment: ViewAlignment | None = None  # by which `pose_b` was corrected already; None: it is as reported
    phase_error: float = np.nan  # expected of `phase_skew`, a standard deviation, parts of a beat; NaN unknown
    absorption_a: AbsorptionMap | None = None  # (rows, columns) what the vessels absorb; None unknown
    absorption_b: AbsorptionMap | None = None

    def __post_init__(self) -> None:
        for name, mask, pose in (("A", self.mask_a, self.pose_a), ("B", self.mask_b, self.pose_b)):
            pose.check()
            if mask.dtype != np.uint8 or mask.shape != (pose.rows, pose.columns):
                raise InvalidInputError(
                    f"mask of plane {name} is {mask.dtype} {mask.shape}, "
                    f"its pose says uint8 {(pose.rows, pose.columns)}"
                )
        for name, absorption, mask in (("A", self.absorption_a, self.mask_a), ("B", self.absorption_b, self.mask_b)):
            if absorption is not None and (absorption.dtype != np.uint8 or absorption.shape != mask.shape):
                raise InvalidInputError(
                    f"absorption of plane {name} is {absorption.dtype} {absorption.shape}, its mask uint8 {mask.shape}"
                )

    @property
    def doubt(self) -> str:
        """Why the alignment of plane B is not to be trusted; "" = it is, or there is none."""
        reason = self.alignment.reason if self.alignment else ""
        return f"alignment of plane B: {reason}" if reason else ""

    @property
    def skew(self) -> float:
        """Time from exposure A to exposure B in s."""
        return (self.stamp_b_ns - self.stamp_a_ns) / NANOSECONDS

    @property
    def phase_skew(self) -> float:
        """How far exposure B lies after A within the heart cycle, -0.5..0.5 of a beat; NaN unknown."""
        return (self.phase_b - self.phase_a + 0.5) % 1.0 - 0.5


@dataclass(frozen=True)
class SparseVolume:
    """Occupied voxels of a regular grid; voxel (i, j, k) has its centre at origin + (ijk + 0.5) * voxel_size."""

    voxels: IntArray  # (N, 3)
    origin: FloatArray  # (3,) mm
    voxel_size: float  # mm
    occupancy: FloatArray  # (N,) 0..1
    centreness: FloatArray  # (N,) 0..1

    @property
    def points(self) -> FloatArray:
        """Voxel centres, (N, 3) mm."""
        return np.asarray(self.origin + (self.voxels + 0.5) * self.voxel_size)


@dataclass(frozen=True)
class VesselGraph:
    """The vessel tree: nodes on centrelines, edges from parent to child (root = ostium).

    While `graph_id` stays the same, node i is the same anatomical point in every graph of the stream; nodes may be
    added at the end.
    """

    position: FloatArray  # (N, 3) mm
    radius: FloatArray  # (N,) mm
    edges: IntArray  # (E, 2) parent, child
    branch: IntArray  # (N,) index into branch_label
    branch_label: tuple[str, ...] = ()
    confidence: FloatArray = field(default_factory=lambda: np.zeros(0))  # (N,) 0..1; ones where not given
    sigma: FloatArray = field(default_factory=lambda: np.zeros(0))  # (N,) mm, 1-sigma position; NaN where not given
    seen_by: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))  # (N,) SeenBy bits
    graph_id: int = 0
    sequence: int = 0
    status: GraphStatus = GraphStatus.OK
    status_reason: str = ""
    phase: float = np.nan
    stamp_a_ns: int = 0
    stamp_b_ns: int = 0
    residual: tuple[float, float] = (np.nan, np.nan)  # px, median reprojection distance in planes A, B
    coverage: tuple[float, float] = (np.nan, np.nan)  # 0..1, share of each mask's centreline that the graph explains
    processing_time: float = np.nan  # s

    def __post_init__(self) -> None:
        n = len(self.position)
        defaults: dict[str, NDArray[Any]] = {
            "confidence": np.ones(n),
            "sigma": np.full(n, np.nan),
            "seen_by": np.zeros(n, np.uint8),
        }
        for name, value in defaults.items():
            if len(getattr(self, name)) == 0 and n:
                object.__setattr__(self, name, value)
        if self.position.shape != (n, 3):
            raise InvalidInputError(f"position must be (N, 3) mm, got {self.position.shape}")
        for name in ("radius", "branch", "confidence", "sigma", "seen_by"):
            if getattr(self, name).shape != (n,):
                raise InvalidInputError(f"{name} must be ({n},), got {getattr(self, name).shape}")
        if self.edges.ndim != 2 or self.edges.shape[1:] != (2,):
            raise InvalidInputError(f"edges must be (E, 2), got {self.edges.shape}")
        if len(self.edges) and not (self.edges.min() >= 0 and self.edges.max() < n):
            raise InvalidInputError(f"edges name nodes outside 0..{n - 1}")

    def __len__(self) -> int:
        return len(self.position)

    @property
    def skew(self) -> float:
        """Time from exposure A to exposure B in s."""
        return (self.stamp_b_ns - self.stamp_a_ns) / NANOSECONDS

    @property
    def parent(self) -> IntArray:
        """(N,) parent of every node, -1 at roots."""
        parent = np.full(len(self), -1, np.int64)
        parent[self.edges[:, 1]] = self.edges[:, 0]
        return parent

    def with_(self, **changes: Any) -> VesselGraph:
        """Return a copy with some fields replaced."""
        return replace(self, **changes)


@dataclass(frozen=True)
class CatheterPath:
    """A path on a vessel graph, start first."""

    graph_id: int
    nodes: IntArray  # (K,) node of the graph nearest to each pose of the path
    position: FloatArray  # (K, 3) mm
    tangent: FloatArray  # (K, 3) unit, along the direction of travel
    radius: FloatArray  # (K,) mm, of the vessel
    length: float  # mm
    min_radius: float  # mm
    max_curvature: float  # 1/mm
    clearance: float  # mm, min_radius minus the device's radius
    score: float  # 0..1, higher is better
    bifurcations: IntArray  # (B,) nodes
    turn_angle: FloatArray  # (B,) rad
    instruction: tuple[str, ...]  # one per bifurcation
    feasible: bool
    reason: str  # why not feasible, else ""


def check_image(image: NDArray[Any]) -> None:
    """Raise `InvalidInputError` unless `image` is (rows, columns) uint8 or uint16 and not empty."""
    if image.ndim != 2 or image.size == 0:
        raise InvalidInputError(f"image must be (rows, columns), got shape {image.shape}")
    if image.dtype not in (np.uint8, np.uint16):
        raise InvalidInputError(f"image must be uint8 (mono8) or uint16 (mono16), got {image.dtype}")
