"""Two views: fundamental matrix, epipolar lines, triangulation (Hartley & Zisserman ch. 9, 12). numpy and torch."""

from __future__ import annotations

from typing import Any, NamedTuple

import array_api_compat

from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.camera import pixel_rays, project, source_of


class Triangulation(NamedTuple):
    """Points (N, 3) mm and the closest distance (N,) mm between their two rays."""

    points: Any
    gap: Any


def fundamental_matrix(projection_a: Any, projection_b: Any) -> Any:
    """(3, 3) F with x_b^T F x_a = 0 for homogeneous pixels, of projections (3, 4); scaled to unit norm."""
    xp = array_api_compat.array_namespace(projection_a, projection_b)
    source_a = source_of(projection_a)
    epipole = projection_b[:, :3] @ source_a + projection_b[:, 3]
    zero = xp.zeros_like(epipole[0])
    cross = xp.stack(
        [
            xp.stack([zero, -epipole[2], epipole[1]]),
            xp.stack([epipole[2], zero, -epipole[0]]),
            xp.stack([-epipole[1], epipole[0], zero]),
        ]
    )
    f = cross @ projection_b[:, :3] @ xp.linalg.inv(projection_a[:, :3])
    norm = xp.sqrt(xp.sum(f * f))
    if float(norm) < 1e-12:
        raise InvalidInputError("both views share one X-ray source: there is no epipolar geometry")
    return f / norm


def epipolar_lines(fundamental: Any, pixels: Any) -> Any:
    """Lines (N, 3) (a, b, c) in view B of pixels (N, 2) in view A; a^2 + b^2 = 1, so a x + b y + c is a distance in px.

    For lines in view A of pixels in B pass the transpose.
    """
    xp = array_api_compat.array_namespace(fundamental, pixels)
    h = xp.concat([pixels, xp.ones_like(pixels[..., :1])], axis=-1)
    lines = h @ xp.matrix_transpose(fundamental)
    return lines / xp.sqrt(lines[..., 0:1] ** 2 + lines[..., 1:2] ** 2)


def triangulate(projection_a: Any, projection_b: Any, pixels_a: Any, pixels_b: Any) -> Triangulation:
    """Midpoint of the shortest segment between two rays (H&Z 12.2: exact for consistent pixels).

    Parameters
    ----------
    projection_a, projection_b : (3, 4) world mm -> px
    pixels_a, pixels_b : (N, 2) corresponding (column, row)

    Raises
    ------
    InvalidInputError
        When the number of pixels differs. Parallel rays give a non-finite point.
    """
    if pixels_a.shape != pixels_b.shape:
        raise InvalidInputError(f"pixels of both views must correspond, got {pixels_a.shape} and {pixels_b.shape}")
    xp = array_api_compat.array_namespace(projection_a, pixels_a)
    a, b = source_of(projection_a), source_of(projection_b)
    ra, rb = pixel_rays(projection_a, pixels_a), pixel_rays(projection_b, pixels_b)
    ra = ra / xp.sqrt(xp.sum(ra * ra, axis=-1, keepdims=True))
    rb = rb / xp.sqrt(xp.sum(rb * rb, axis=-1, keepdims=True))
    baseline = b - a
    cosine = xp.sum(ra * rb, axis=-1)
    along_a, along_b = ra @ baseline, rb @ baseline
    determinant = 1 - cosine**2
    ta = (along_a - cosine * along_b) / determinant
    tb = (cosine * along_a - along_b) / determinant
    pa, pb = a + ta[..., None] * ra, b + tb[..., None] * rb
    return Triangulation((pa + pb) / 2, xp.sqrt(xp.sum((pa - pb) ** 2, axis=-1)))


def reprojection_distance(projection: Any, points: Any, pixels: Any) -> Any:
    """Distance (N,) px between the projections of points (N, 3) mm and pixels (N, 2)."""
    xp = array_api_compat.array_namespace(projection, points)
    found, _ = project(projection, points)
    return xp.sqrt(xp.sum((found - pixels) ** 2, axis=-1))
