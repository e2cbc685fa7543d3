"""What a reconstruction from two runs is worth in a third one, which had no part in it (protocol 4).

Between runs the table moves, and the reported isocentre is not the same point of the patient any more. Two allowances
are made for it: the second view may be shifted across its epipolar lines before the reconstruction, and the third view
in its plane after it. Both are found from the images alone. What such a fit reaches by luck is told by `by_chance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import fftconvolve

from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel, shift_image
from autocar_ros.imaging.enhance import absorption
from autocar_ros.types import CArmPose, FloatArray, Image, Mask, VesselGraph
from autocar_ros.vessels.reprojection import sample_edges
from autocar_ros.vessels.skeleton import MASK_THRESHOLD, extract_centreline

NEAR = 3.0  # mm at the isocentre: eps_v of the paper
FARTHEST = 30.0  # mm at the isocentre that a table may have moved in the plane of a view
STEP = 0.5  # mm between tried shifts of the second view
PLANES = 400  # epipolar planes of a profile
FAN = 0.2  # rad on either side of the isocentre that they cover
WIDEST = 60  # px: wider dark things are no vessels


@dataclass(frozen=True)
class Shot:
    """One frame of a run with its vessels."""

    image: Image  # (rows, columns)
    mask: Mask
    pose: CArmPose


class Alignment(NamedTuple):
    """How the second of two views is shifted against its pose."""

    pose: CArmPose  # of the second view, with the shift
    shift: float  # mm at the isocentre across the epipolar lines
    correlation: float  # -1..1, of the absorption on both sides of every epipolar plane
    runner_up: float  # the same of the best shift that is more than `NEAR` away


class ThirdView(NamedTuple):
    """A reconstruction in a view that had no part in it."""

    pose: CArmPose  # of the third view, with the shift
    shift: tuple[float, float]  # px (column, row)
    coverage: float  # 0..1, share of the mask's centreline near to the projection
    precision: float  # 0..1, share of the projection inside the image that is near to the mask's centreline


def align(first: Shot, second: Shot) -> Alignment:
    """Shift of the second view at which both absorb as much along corresponding epipolar lines.

    A plane through both X-ray sources cuts each image in a line; the absorption summed along it must agree between the
    views (epipolar consistency: Aichert et al., IEEE TMI 34, 2015). A shift along the lines only moves the tree in
    depth, and two views cannot see it. Raises `InvalidInputError` for a mask without vessels.
    """
    cameras = camera_from_pose(first.pose), camera_from_pose(second.pose)
    axes = _plane_axes(*cameras)
    profile = _profile(cameras[0], axes, *_absorbing(first))
    pixels, weight = _absorbing(second)
    across, size = _across(cameras[1], axes[0]), mm_per_pixel(second.pose)
    tried = np.arange(-FARTHEST, FARTHEST + STEP / 2, STEP)
    others = np.stack([_profile(cameras[1], axes, pixels - across * (k / size), weight) for k in tried])
    score = np.corrcoef(np.concatenate([profile[None], others]))[0, 1:]
    best = int(score.argmax())
    column, row = across * (tried[best] / size)
    far = np.abs(tried - tried[best]) > NEAR
    return Alignment(shift_image(second.pose, column, row), float(tried[best]), float(score[best]),
                     float(score[far].max()))  # fmt: skip


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


def _absorbing(shot: Shot) -> tuple[FloatArray, FloatArray]:
    """Pixels (N, 2) of the mask and what they absorb, (N,)."""
    value = np.maximum(absorption(shot.image, WIDEST).value, 0)
    row, column = np.nonzero((shot.mask >= MASK_THRESHOLD) & (value > 0))
    if len(row) == 0:
        raise InvalidInputError("the mask is empty: there is nothing to align the views by")
    return np.stack([column, row], 1).astype(float), value[row, column].astype(float)


def _plane_axes(first: Camera, second: Camera) -> FloatArray:
    """(3, 3) baseline, and two axes across it that the angle of an epipolar plane is measured in; 0 = isocentre."""
    baseline = second.source - first.source
    if np.linalg.norm(baseline) < 1.0:
        raise InvalidInputError("both views have one X-ray source: choose runs from different angles")
    baseline = baseline / np.linalg.norm(baseline)
    middle = -(first.source + second.source) / 2
    middle -= baseline * (middle @ baseline)
    normal = np.cross(baseline, middle / np.linalg.norm(middle))
    return np.stack([baseline, normal, np.cross(baseline, normal)])


def _profile(camera: Camera, axes: FloatArray, pixels: FloatArray, weight: FloatArray) -> FloatArray:
    """Absorption (PLANES,) in the fan of epipolar planes."""
    normal = np.cross(axes[0], camera.rays(pixels))
    angle = (np.arctan2(normal @ axes[2], normal @ axes[1]) + np.pi / 2) % np.pi - np.pi / 2
    found: NDArray[np.float64] = np.histogram(angle, PLANES, (-FAN, FAN), weights=weight)[0]
    return np.asarray(gaussian_filter1d(found, 1.0))


def _across(camera: Camera, baseline: FloatArray) -> FloatArray:
    """Unit direction (2,) px across the epipolar line through the isocentre."""
    (start, end), _ = camera.project(np.stack([np.zeros(3), baseline]))
    along = (end - start) / np.linalg.norm(end - start)
    return np.array([-along[1], along[0]])
