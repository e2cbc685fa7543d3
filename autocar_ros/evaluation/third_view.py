"""What a reconstruction from two runs is worth in a third one, which had no part in it (protocol 4).

Between runs the table moves, and the reported isocentre is not the same point of the patient any more: the third view
may be shifted in its plane. What such a fit reaches by luck is told by `by_chance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from scipy.signal import fftconvolve

from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel, shift_image
from autocar_ros.types import CArmPose, FloatArray, Image, Mask, VesselGraph
from autocar_ros.vessels.reprojection import sample_edges
from autocar_ros.vessels.skeleton import extract_centreline

NEAR = 3.0  # mm at the isocentre: eps_v of the paper
FARTHEST = 30.0  # mm at the isocentre that a table may have moved in the plane of a view


@dataclass(frozen=True)
class Shot:
    """One frame of a run with its vessels."""

    image: Image  # (rows, columns)
    mask: Mask
    pose: CArmPose


class ThirdView(NamedTuple):
    """A reconstruction in a view that had no part in it."""

    pose: CArmPose  # of the third view, with the shift
    shift: tuple[float, float]  # px (column, row)
    coverage: float  # 0..1, share of the mask's centreline near to the projection
    precision: float  # 0..1, share of the projection inside the image that is near to the mask's centreline


def third_view(graph: VesselGraph, third: Shot) -> ThirdView:
    """Best agreement of a graph with a third view over all shifts in its plane up to `FARTHEST`.

    All shifts are tried at once, by convolution; the best has the largest harmonic mean of coverage and precision.
    Raises `InvalidInputError` for a mask without vessels.
    """
    size = mm_per_pixel(third.pose)
    reach, near = round(FARTHEST / size), round(NEAR / size)
    line = _drawn(extract_centreline(third.mask).points, third.mask.shape, 0)
    graph_line = _drawn(_projected(graph, third.pose), third.mask.shape, reach)
    inside = _at_shifts(graph_line, np.ones_like(line))
    hits = _at_shifts(graph_line, _widened(line, near))
    covered = _at_shifts(_widened(graph_line, near), line) / line.sum()
    precise = hits / np.maximum(inside, 1.0)
    row, column = np.unravel_index(int(_harmonic(covered, precise).argmax()), covered.shape)
    shift = (float(column - reach), float(row - reach))
    return ThirdView(shift_image(third.pose, *shift), shift, float(covered[row, column]), float(precise[row, column]))


def by_chance(graph: VesselGraph, third: Shot) -> ThirdView:
    """`third_view` of the mirrored third mask, which the graph has nothing to do with: what the fit gives by luck."""
    mirrored = np.ascontiguousarray(third.mask[:, ::-1])
    return third_view(graph, Shot(third.image, mirrored, third.pose))


def _harmonic(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(2 * a * b / np.maximum(a + b, 1e-9))


def _projected(graph: VesselGraph, pose: CArmPose) -> FloatArray:
    pixels, depth = camera_from_pose(pose).project(sample_edges(graph.position, graph.edges))
    return np.asarray(pixels[depth > 0])


def _drawn(pixels: FloatArray, shape: tuple[int, ...], border: int) -> FloatArray:
    """Image of 0 and 1 with so many px more on all sides; (N, 2) px (column, row) outside are left out."""
    picture = np.zeros((shape[0] + 2 * border, shape[1] + 2 * border))
    column, row = np.rint(pixels).astype(int).T + border
    kept = (column >= 0) & (row >= 0) & (column < picture.shape[1]) & (row < picture.shape[0])
    picture[row[kept], column[kept]] = 1
    return picture


def _widened(picture: FloatArray, radius: int) -> FloatArray:
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    return np.asarray(cv2.dilate(picture.astype(np.uint8), disk), float)


def _at_shifts(moved: FloatArray, fixed: FloatArray) -> FloatArray:
    """Sum of the product for every shift of `moved`, which is larger by the reach on all sides; first = up and left."""
    found = fftconvolve(moved, fixed[::-1, ::-1], mode="valid")
    return np.asarray(np.maximum(np.rint(found[::-1, ::-1]), 0.0))
