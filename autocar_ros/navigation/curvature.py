"""Curves in space: uniform resampling, smoothing, tangents, curvature. Lengths in mm."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from autocar_ros.types import FloatArray


class Curve(NamedTuple):
    """A smooth curve and, for every sample, how far along the polyline it came from it lies."""

    position: FloatArray  # (K, 3) mm
    tangent: FloatArray  # (K, 3) unit
    curvature: FloatArray  # (K,) 1/mm
    station: FloatArray  # (K,) mm along the polyline, increasing

    @property
    def length(self) -> float:
        """Length in mm."""
        return float(np.linalg.norm(np.diff(self.position, axis=0), axis=1).sum())


def arc_length(points: FloatArray) -> FloatArray:
    """Distance (K,) mm along a polyline (K, 3) from its first point."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def smooth_curve(points: FloatArray, spacing: float, smoothing: float) -> Curve:
    """Resample a polyline evenly and smooth it with a Gaussian; both ends stay where they are.

    A bend of radius R is flattened by about smoothing^2 / 2R, 0.06 mm for 1.5 mm and R = 20 mm.

    Parameters
    ----------
    points : (P, 3) mm, P >= 2, at least two of them apart
    spacing : mm between samples, shortened to divide the length
    smoothing : mm, standard deviation along the curve

    Returns
    -------
    Curve of at least 5 samples
    """
    along = arc_length(points)
    apart = np.append(True, np.diff(along) > 0)
    points, along = points[apart], along[apart]
    count = max(int(np.ceil(along[-1] / spacing)), 4) + 1
    station = np.linspace(0.0, along[-1], count)
    even = np.column_stack([np.interp(station, along, points[:, k]) for k in range(3)])
    position = _smooth(even, smoothing / station[1])
    first = np.gradient(position, axis=0)
    second = np.gradient(first, axis=0)
    speed = np.linalg.norm(first, axis=1)
    curvature = np.linalg.norm(np.cross(first, second), axis=1) / speed**3
    curvature[[0, 1, -2, -1]] = curvature[[2, 2, -3, -3]]  # one-sided differences say nothing about a bend
    return Curve(position, first / speed[:, None], curvature, station)


def _smooth(points: FloatArray, sigma: float) -> FloatArray:
    """Gaussian of `sigma` samples; the curve goes on beyond its ends by point reflection, which keeps them fixed."""
    if sigma <= 0:
        return points
    reach = int(4 * sigma) + 1
    longer = np.pad(points, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    return np.asarray(gaussian_filter1d(longer, sigma, axis=0)[reach:-reach])
