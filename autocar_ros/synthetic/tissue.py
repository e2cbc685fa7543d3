"""What the X-rays meet besides the vessels: body, lungs, heart, diaphragm, spine and ribs, as ellipsoids and tubes.

Places and sizes are those of a supine adult, relative to a heart at the isocentre (LPS, mm). Attenuations are effective
differences against what they displace, after scatter and the processing of the detector, so that they look right in an
angiogram; they are not physical coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from autocar_ros.geometry.camera import Camera
from autocar_ros.synthetic.heart import Heart
from autocar_ros.synthetic.tubes import Float32Image, Tubes
from autocar_ros.types import FloatArray

COARSE = 4  # tissue is drawn with pixels this much larger
MID_X, SPINE_Y = -25.0, 95.0  # mm: the heart lies to the left of and in front of the spine
DIAPHRAGM_PER_HEART = 1.8  # the dome moves more than the heart


@dataclass(frozen=True)
class Ellipsoid:
    """A homogeneous ellipsoid."""

    center: FloatArray  # (3,) mm
    axes: FloatArray  # (3, 3) unit rows
    semi_axes: FloatArray  # (3,) mm
    attenuation: float  # 1/mm, against what it displaces

    def moved(self, offset: FloatArray) -> Ellipsoid:
        """Return the ellipsoid displaced by (3,) mm."""
        return Ellipsoid(self.center + offset, self.axes, self.semi_axes, self.attenuation)


class Tissue:
    """Attenuation behind and around the vessels in one view."""

    def __init__(self, camera: Camera, heart: Heart) -> None:
        self._size = (camera.columns, camera.rows)
        self._coarse = _coarser(camera)
        rows, columns = np.mgrid[: self._coarse.rows, : self._coarse.columns].astype(float)
        self._rays = self._coarse.rays(np.stack([columns, rows], axis=-1).reshape(-1, 2))
        fixed = self._integral(_body()) + _rib_shadows(self._coarse)
        self._fixed = self._enlarge(fixed - fixed.min())
        self._heart = Ellipsoid(heart.center, heart.axes, heart.semi_axes * [1.12, 1.12, 1.15], 0.0032)
        self._domes = _domes(heart)

    def attenuation(self, breathing_offset: FloatArray) -> Float32Image:
        """Attenuation (rows, columns) when breathing has moved the heart by (3,) mm."""
        moving = [self._heart.moved(breathing_offset)]
        moving += [dome.moved(DIAPHRAGM_PER_HEART * breathing_offset) for dome in self._domes]
        return self._fixed + self._enlarge(self._integral(moving))

    def _integral(self, ellipsoids: list[Ellipsoid]) -> Float32Image:
        """Sum of attenuation times chord, coarse."""
        total = sum(e.attenuation * _chords(e, self._coarse.source, self._rays) for e in ellipsoids)
        return np.asarray(total, np.float32).reshape(self._coarse.rows, self._coarse.columns)

    def _enlarge(self, coarse: Float32Image) -> Float32Image:
        soft = cv2.GaussianBlur(coarse, (0, 0), 0.8)
        return np.asarray(cv2.resize(soft, self._size, interpolation=cv2.INTER_CUBIC), np.float32)


def _coarser(camera: Camera) -> Camera:
    """The same view with COARSE times larger pixels."""
    scale = np.diag([1 / COARSE, 1 / COARSE, 1.0])
    scale[:2, 2] = (1 / COARSE - 1) / 2  # pixel centres: (x + 0.5) / COARSE - 0.5
    rows, columns = -(-camera.rows // COARSE), -(-camera.columns // COARSE)
    return Camera(scale @ camera.matrix, camera.rotation, camera.source, rows, columns)


def _chords(ellipsoid: Ellipsoid, source: FloatArray, rays: FloatArray) -> FloatArray:
    """Length (N,) mm of rays (N, 3) from `source` inside an ellipsoid."""
    to_unit = ellipsoid.axes / ellipsoid.semi_axes[:, None]
    o, v = to_unit @ (source - ellipsoid.center), rays @ to_unit.T
    a, b = np.einsum("ij,ij->i", v, v), v @ o
    root = np.sqrt(np.maximum(b * b - a * (o @ o - 1), 0))
    return np.asarray(2 * root / a * np.linalg.norm(rays, axis=1))


def _upright(x: float, y: float, z: float, semi_axes: tuple[float, float, float], attenuation: float) -> Ellipsoid:
    return Ellipsoid(np.array([x, y, z]), np.eye(3), np.array(semi_axes), attenuation)


def _body() -> list[Ellipsoid]:
    """Chest, lungs and spine: what stays where it is."""
    chest = _upright(MID_X, 40, 0, (175, 120, 900), 0.0020)
    lungs = [_upright(MID_X + x, 40, 25, (70, 92, 140), -0.0016) for x in (-85, 85)]
    vertebrae = [_upright(MID_X, SPINE_Y, 26.0 * k - 4, (21, 18, 13.5), 0.006) for k in range(-8, 9)]
    processes = [_upright(MID_X, SPINE_Y + 32, 26.0 * k - 14, (5, 16, 9), 0.005) for k in range(-8, 9)]
    return [chest, *lungs, *vertebrae, *processes]


def _domes(heart: Heart) -> list[Ellipsoid]:
    """Right and left dome of the diaphragm with what lies below; the left one reaches up to the apex."""
    apex = float(heart.world(np.array([0.0, 0.0, heart.semi_axes[2]]))[2])
    return [
        _upright(MID_X - 75, 30, apex - 75, (88, 95, 92), 0.0036),
        _upright(MID_X + 75, 30, apex - 85, (85, 92, 85), 0.0030),
    ]


def _rib_shadows(camera: Camera) -> Float32Image:
    """Seven pairs of ribs, from the spine forwards and down around the chest."""
    turn = np.linspace(0.04, 0.96, 80) * np.pi  # 0 = at the spine
    drop = 55 * (1 - np.cos(turn)) / 2 + 6
    ribs = [
        np.stack([MID_X + side * 150 * np.sin(turn), 40 + 92 * np.cos(turn), 30.0 * k + 40 - drop], axis=1)
        for side in (-1, 1)
        for k in range(-4, 3)
    ]
    count = len(turn)
    nodes, branch = np.concatenate(ribs), np.repeat(np.arange(len(ribs)), count)
    first = np.flatnonzero(np.arange(len(nodes)) % count < count - 1)
    edges = np.stack([first, first + 1], axis=1)
    outer, inner = (
        Tubes(nodes, np.full(len(nodes), radius), edges, branch).chords(camera, nodes, np.full(len(nodes), weight))
        for radius, weight in ((5.5, 0.006), (3.9, -0.0035))
    )
    return outer + inner
