"""How well two views agree: what both show along corresponding epipolar lines must be the same.

A plane through both X-ray sources cuts each image in a line (Aichert et al., IEEE TMI 34, 2015). The tangent of the
angle of such a plane is a quotient of two linear forms of a pixel: a profile over a fan of planes costs one pass over
the pixels, and a shift of the image changes two constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.ndimage import gaussian_filter1d

from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel
from autocar_ros.types import CArmPose, FloatArray

Absorbed = tuple[FloatArray, FloatArray]  # pixels (N, 2) (column, row) and what each absorbs (N,)
PLANES = 400  # of a profile
WIDTH = 0.2  # tangent of the angle on either side of the isocentre that they cover
SMOOTHING = 1.0  # planes, standard deviation
BROAD = 15.0  # planes: wider features of a profile are left out, any two trees have them in common


class Fan(NamedTuple):
    """Planes through the X-ray sources of two views."""

    first: FloatArray  # (2, 3) linear forms of a pixel (column, row, 1), whose quotient is the tangent of its plane
    second: FloatArray
    across: FloatArray  # (2,) px in the second view that a mm at the isocentre is across the epipolar lines


def epipolar_fan(first: CArmPose, second: CArmPose) -> Fan:
    """Planes of two views; raises `InvalidInputError` when both have one X-ray source."""
    cameras = camera_from_pose(first), camera_from_pose(second)
    baseline, normal = epipolar_axes(*cameras)
    forms = [_forms(camera, baseline, normal) for camera in cameras]
    (start, end), _ = cameras[1].project(np.stack([np.zeros(3), baseline]))
    along = (end - start) / np.linalg.norm(end - start)
    return Fan(forms[0], forms[1], np.array([-along[1], along[0]]) / mm_per_pixel(second))


def epipolar_axes(first: Camera, second: Camera) -> tuple[FloatArray, FloatArray]:
    """Unit vectors (3,) from one X-ray source to the other, and normal to their plane through the isocentre.

    Raises `InvalidInputError` when both views have one X-ray source.
    """
    baseline = second.source - first.source
    if np.linalg.norm(baseline) < 1.0:
        raise InvalidInputError("both views have one X-ray source: choose runs from different angles")
    baseline = baseline / np.linalg.norm(baseline)
    normal = np.cross(baseline, -(first.source + second.source))
    return baseline, normal / np.linalg.norm(normal)


def agreement(fan: Fan, first: Absorbed, second: Absorbed, shifts: Sequence[float] | FloatArray = (0.0,)) -> FloatArray:
    """Correlation (S,) -1..1 of the profiles of two views.

    `shifts` (S,) are mm at the isocentre by which the pose of the second view is shifted across its epipolar lines.
    """
    own = _profiles(fan.first, first)
    others = _profiles(fan.second, second, np.outer(shifts, -fan.second[:, :2] @ fan.across))
    return np.asarray(_features(others) @ _features(own)[0])


def features(fan: Fan, first: Absorbed, second: Absorbed) -> tuple[FloatArray, FloatArray]:
    """Profile (PLANES,) of each view, of mean 0 and length 1; their product is `agreement`."""
    one, other = _features(np.concatenate([_profiles(fan.first, first), _profiles(fan.second, second)]))
    return one, other


def difference(fan: Fan, first: Absorbed, second: Absorbed) -> FloatArray:
    """Profile (PLANES,) of the second view minus that of the first; half the sum of its squares is 1 - `agreement`."""
    one, other = features(fan, first, second)
    return np.asarray(other - one)


def _features(profiles: FloatArray) -> FloatArray:
    """What tells one tree from another in profiles (S, PLANES), of mean 0 and length 1.

    The root keeps a vessel that runs along an epipolar line from outweighing all others.
    """
    fine = np.sqrt(gaussian_filter1d(profiles, SMOOTHING, axis=1)) @ _fine()
    return np.asarray(fine / np.maximum(np.linalg.norm(fine, axis=1, keepdims=True), np.finfo(float).tiny))


@cache
def _fine() -> FloatArray:
    """Matrix (PLANES, PLANES) that a profile is multiplied by to keep what is neither narrow nor broad, of mean 0.

    It is three times as fast as the two filters that it is made of.
    """
    one = np.eye(PLANES)
    band = gaussian_filter1d(one, SMOOTHING, axis=1) - gaussian_filter1d(one, BROAD, axis=1)
    return np.asarray(band - band.mean(axis=1, keepdims=True))


def _forms(camera: Camera, baseline: FloatArray, normal: FloatArray) -> FloatArray:
    """Linear forms whose quotient is the tangent of the angle between a pixel's plane and the one of the isocentre."""
    ray = np.linalg.inv(camera.matrix @ camera.rotation)
    return np.stack([normal @ ray, np.cross(normal, baseline) @ ray])


def _profiles(forms: FloatArray, absorbed: Absorbed, steps: FloatArray | None = None) -> FloatArray:
    """What is absorbed (S, PLANES) in each plane, under `steps` (S, 2) added to both forms; none unless given."""
    pixels, weight = absorbed
    return np.asarray(absorbed_in_planes(_values(forms, pixels), weight, np.zeros((1, 2)) if steps is None else steps))


def _values(forms: FloatArray, pixels: FloatArray) -> FloatArray:
    return np.asarray(forms[:, :2] @ pixels.T + forms[:, 2:])


@njit(cache=True, error_model="numpy")
def absorbed_in_planes(values, weight, steps):  # type: ignore[no-untyped-def]
    """Sums (S, PLANES) of `weight` (N,) by the quotient of `values` (2, N) and `steps` (S, 2): -WIDTH to WIDTH."""
    profiles = np.zeros((len(steps), PLANES))
    for s in range(len(steps)):
        for n in range(len(weight)):
            tangent = (values[0, n] + steps[s, 0]) / (values[1, n] + steps[s, 1])
            plane = (tangent / WIDTH + 1) * (PLANES / 2)
            if 0 <= plane < PLANES:
                profiles[s, int(plane)] += weight[n]
    return profiles


def absorbed_in_planes_numpy(values: FloatArray, weight: FloatArray, steps: FloatArray) -> FloatArray:
    """Twin of `absorbed_in_planes` in numpy."""
    shifted = values + steps[:, :, None]
    plane = (shifted[:, 0] / shifted[:, 1] / WIDTH + 1) * (PLANES / 2)
    inside = (plane >= 0) & (plane < PLANES)
    counted = [np.bincount(p[i].astype(np.int64), weight[i], PLANES) for p, i in zip(plane, inside, strict=True)]
    return np.asarray(counted, np.float64)
