"""A pinhole camera (Hartley & Zisserman ch. 6): x = K R (X - source). Written once for numpy and torch.

Pixels are (column, row), integers at pixel centres (OpenCV, sensor_msgs/CameraInfo). Optical frame: origin at the
X-ray source, z towards the detector. Lengths in mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import array_api_compat
import numpy as np

from autocar_ros.errors import PoseError
from autocar_ros.types import FloatArray


@dataclass(frozen=True)
class Camera:
    """One X-ray view."""

    matrix: FloatArray  # (3, 3) K, px; K[0, 0] < 0 for a DICOM-displayed angiogram (see carm.py)
    rotation: FloatArray  # (3, 3) world -> optical frame, rows are the optical axes
    source: FloatArray  # (3,) mm, X-ray source in the world
    rows: int
    columns: int

    def __post_init__(self) -> None:
        if not (self.matrix.shape == self.rotation.shape == (3, 3) and self.source.shape == (3,)):
            raise PoseError("a camera needs matrix (3, 3), rotation (3, 3) and source (3,)")
        if not (np.isfinite(self.matrix).all() and np.isfinite(self.rotation).all() and np.isfinite(self.source).all()):
            raise PoseError("camera holds values that are not finite")
        if np.abs(self.rotation @ self.rotation.T - np.eye(3)).max() > 1e-5 or np.linalg.det(self.rotation) < 0:
            raise PoseError("camera rotation is not a right-handed orthonormal matrix")
        if abs(self.matrix[0, 0] * self.matrix[1, 1]) < 1e-12:
            raise PoseError("camera matrix is singular: focal length 0 (uncalibrated CameraInfo?)")

    @cached_property
    def projection(self) -> FloatArray:
        """(3, 4) world mm -> homogeneous px; the third row gives the depth in mm."""
        linear = self.matrix @ self.rotation
        return np.asarray(np.column_stack([linear, -linear @ self.source]))

    def project(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Project (..., N, 3) mm to pixels (..., N, 2) and depths (..., N) mm."""
        pixels, depth = project(self.projection, points)
        return np.asarray(pixels), np.asarray(depth)

    def rays(self, pixels: FloatArray) -> FloatArray:
        """Directions (..., N, 3) through pixels (..., N, 2), scaled to depth 1: X = source + depth * ray."""
        return np.asarray(pixel_rays(self.projection, pixels))

    def back_project(self, pixels: FloatArray, depth: FloatArray) -> FloatArray:
        """Points (..., N, 3) mm at `depth` (..., N) mm behind `pixels` (..., N, 2)."""
        return np.asarray(self.source + depth[..., None] * self.rays(pixels))

    def mm_per_pixel(self, depth: FloatArray | float) -> FloatArray:
        """Size of a pixel in mm at a depth [mm]."""
        focal = np.sqrt(abs(self.matrix[0, 0] * self.matrix[1, 1]))
        return np.asarray(np.asarray(depth, float) / focal)

    def contains(self, pixels: FloatArray, margin: float = 0.0) -> Any:
        """(..., N) bool: pixels (..., N, 2) inside the image, at least `margin` px from its border."""
        column, row = pixels[..., 0], pixels[..., 1]
        inside = (column >= margin) & (column <= self.columns - 1 - margin)
        return inside & (row >= margin) & (row <= self.rows - 1 - margin)


def project(projection: Any, points: Any) -> tuple[Any, Any]:
    """Project points; numpy or torch, batched by broadcasting.

    Parameters
    ----------
    projection : (..., 3, 4) world mm -> px
    points : (..., N, 3) mm

    Returns
    -------
    pixels : (..., N, 2) (column, row)
    depth : (..., N) mm; a point with depth <= 0 lies behind the source and its pixel has no meaning
    """
    xp = array_api_compat.array_namespace(projection, points)
    h = points @ xp.matrix_transpose(projection[..., :3]) + projection[..., None, :, 3]
    return h[..., :2] / h[..., 2:], h[..., 2]


def source_of(projection: Any) -> Any:
    """X-ray source (..., 3) mm of projection matrices (..., 3, 4)."""
    xp = array_api_compat.array_namespace(projection)
    return -xp.linalg.solve(projection[..., :3], projection[..., 3:])[..., 0]


def pixel_rays(projection: Any, pixels: Any) -> Any:
    """Ray directions (..., N, 3) through pixels (..., N, 2), scaled to depth 1; numpy or torch."""
    xp = array_api_compat.array_namespace(projection, pixels)
    h = xp.concat([pixels, xp.ones_like(pixels[..., :1])], axis=-1)
    return xp.matrix_transpose(xp.linalg.solve(projection[..., :3], xp.matrix_transpose(h)))
