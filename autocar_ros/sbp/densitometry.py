"""What a vessel absorbs, a cue for which vessel of one view is which of the other.

A plane through both X-ray sources cuts a vessel, and what the cut absorbs, its area times the contrast agent in it, is
the same in both views (epipolar consistency: Aichert et al., IEEE TMI 34, 2015). In an image it is the absorption
summed along the epipolar line: the sum across the vessel divided by the sine of the angle between vessel and line. So
it tells apart vessels of equal width that run differently, and no depth has to be known for it.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.consistency import epipolar_axes
from autocar_ros.types import ABSORPTION_STEP, AbsorptionMap, FloatArray
from autocar_ros.vessels import tree
from autocar_ros.vessels.skeleton import Centreline

REACH = 1.4, 1.5  # radii and px to either side of a centreline that a section across it reaches
SAMPLES = 25  # of a section
LEAST = 0.05  # px that a section absorbs at least: keeps logarithms finite
SMOOTHING = 2.0  # points along the vessel
LEAST_SINE = 0.15  # of the angle between vessel and epipolar line: below, the cut is no section any more
SURE_SINE = 0.4  # from here on the cut is told as well as it can be
PLANES = 40  # in which the exposures of both views are compared


class Cuts(NamedTuple):
    """What the planes through the points of a centreline and both sources cut out of the vessel."""

    amount: FloatArray  # (N,) logarithm of what the cut absorbs, in mm
    sure: FloatArray  # (N,) 0..1 how well it is told; 0 where it is unknown


def absorbed_across(line: Centreline, absorption: AbsorptionMap) -> FloatArray:
    """Log attenuation (N,) summed across the vessel at every point of its centreline, px; of (rows, columns)."""
    tangent = tree.chain_tangents(line.points, line.edges)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
    half = REACH[0] * line.radius + REACH[1]
    places = line.points[:, None] + np.outer(half, np.linspace(-1, 1, SAMPLES))[..., None] * normal[:, None]
    column, row = np.moveaxis(places.astype(np.float32), 2, 0)
    values = cv2.remap(absorption, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    total = values.mean(1) * ABSORPTION_STEP * 2 * half
    logarithm = np.log(np.maximum(total, LEAST))[:, None]
    # the logarithm is smoothed: where another vessel crosses, the sum is some times as large
    smooth = tree.smooth_chains(np.column_stack([line.points, logarithm]), line.edges, SMOOTHING)
    return np.asarray(np.exp(smooth[:, 2]))


def compared_cuts(line_a: Centreline, a: Camera, line_b: Centreline, b: Camera) -> tuple[Cuts, Cuts]:
    """Cuts of two views on one scale: their exposures may differ.

    All are unsure where a view tells no absorption, and where both views have one X-ray source.
    """
    if line_a.absorbed is None or line_b.absorbed is None:
        return _unknown(line_a), _unknown(line_b)
    try:
        baseline, normal = epipolar_axes(a, b)
    except InvalidInputError:
        return _unknown(line_a), _unknown(line_b)
    of_a, of_b = _cuts(line_a, line_a.absorbed, a, b), _cuts(line_b, line_b.absorbed, b, a)
    depth = np.cross(normal, baseline)
    planes = [(rays @ normal) / (rays @ depth) for rays in (a.rays(line_a.points), b.rays(line_b.points))]
    held = _held(line_a, line_a.absorbed, a), _held(line_b, line_b.absorbed, b)
    return of_a, of_b._replace(amount=of_b.amount + _excess(planes[0], held[0], planes[1], held[1]))


def _unknown(line: Centreline) -> Cuts:
    return Cuts(np.zeros(len(line)), np.zeros(len(line)))


def _cuts(line: Centreline, absorbed: FloatArray, camera: Camera, other: Camera) -> Cuts:
    tangent = tree.chain_tangents(line.points, line.edges)
    epipole = camera.projection @ np.append(other.source, 1.0)
    along = epipole[:2] - epipole[2] * line.points
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), np.finfo(float).tiny)
    sine = np.abs(tangent[:, 0] * along[:, 1] - tangent[:, 1] * along[:, 0])
    amount = np.log(absorbed * _pixel(camera) / np.maximum(sine, LEAST_SINE))
    return Cuts(amount, np.minimum(sine / SURE_SINE, 1) ** 2)


def _held(line: Centreline, absorbed: FloatArray, camera: Camera) -> FloatArray:
    """What is absorbed (N,) mm2 by the piece of the vessel that a point of its centreline stands for."""
    step = np.linalg.norm(line.points[line.edges[:, 0]] - line.points[line.edges[:, 1]], axis=1)
    length = np.bincount(line.edges.ravel(), np.repeat(step / 2, 2), minlength=len(line))
    return np.asarray(absorbed * length * _pixel(camera) ** 2)


def _excess(planes_a: FloatArray, held_a: FloatArray, planes_b: FloatArray, held_b: FloatArray) -> float:
    """Logarithm of how much more view A absorbs than view B of the same: the median over planes, by what they hold.

    `planes` (N,) are tangents of the angles of the planes that points lie in.
    """
    both = np.concatenate([planes_a, planes_b])
    edges = np.linspace(both.min(), both.max(), PLANES + 1)
    of_a, of_b = (np.histogram(p, edges, weights=h)[0] for p, h in ((planes_a, held_a), (planes_b, held_b)))
    shared = (of_a > 0) & (of_b > 0)
    if not shared.any():
        return 0.0
    ratio, weight = np.log(of_a[shared] / of_b[shared]), np.minimum(of_a, of_b)[shared]
    order = np.argsort(ratio)
    middle = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    return float(ratio[order][middle])


def _pixel(camera: Camera) -> float:
    """Size of a pixel at the isocentre, mm."""
    return float(camera.mm_per_pixel(float(camera.project(np.zeros((1, 3)))[1][0])))
