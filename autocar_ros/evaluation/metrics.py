"""The paper's metrics: volumes (equations 17-20) and correspondence between two views (equations 22-24)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from skimage.measure import marching_cubes
from skimage.morphology import skeletonize

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import FloatArray

Volume = NDArray[np.bool_]


@dataclass(frozen=True)
class VolumeScore:
    """Agreement of two vessel volumes; dice and cl_dice 0..1, distances in mm (NaN when nothing was predicted)."""

    dice: float
    cl_dice: float
    chamfer_mm: float
    hd95_mm: float


@dataclass(frozen=True)
class Correspondence:
    """How well points of view A are found again in view B."""

    coverage: float  # 0..1, share of query points that the prediction reaches in view A
    epe_mm: float  # mean distance in view B, at the isocentre; NaN when nothing was predicted
    accuracy: float  # 0..1
    distinct: float  # 0..1, share of query points that view A tells from all others (`distinct_queries`)
    epe_distinct_mm: float  # the same of these points alone; NaN when there are none
    accuracy_distinct: float


def dice(predicted: Volume, truth: Volume) -> float:
    """DICE of two (I, J, K) or (rows, columns) masks (eq. 17)."""
    _check_volumes(predicted, truth)
    return 2.0 * float((predicted & truth).sum()) / float(predicted.sum() + truth.sum())


def cl_dice(predicted: Volume, truth: Volume) -> float:
    """Centreline DICE of two masks as of `dice`: each thinned skeleton against the other mask (eq. 18)."""
    _check_volumes(predicted, truth)
    if not predicted.any():
        return 0.0
    recall = float(predicted[skeleton(truth)].mean())
    precision = float(truth[skeleton(predicted)].mean())
    return 2 * recall * precision / (recall + precision) if recall + precision > 0 else 0.0


def surface_points(volume: Volume, voxel_size: float) -> FloatArray:
    """Vertices (N, 3) mm of the marching-cubes surface of an (I, J, K) mask, from the centre of voxel (0, 0, 0)."""
    if not volume.any():
        return np.zeros((0, 3))
    closed = np.pad(volume, 1).astype(np.float32)  # also where the vessel touches the border
    vertices = marching_cubes(closed, 0.5)[0]
    return np.asarray((vertices.astype(float) - 1.0) * voxel_size)


def surface_distances(predicted: FloatArray, truth: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distance of every point of (N, 3) and (M, 3) to the nearest one of the other set, in their unit."""
    return np.asarray(KDTree(truth).query(predicted)[0]), np.asarray(KDTree(predicted).query(truth)[0])


def volume_score(predicted: Volume, truth: Volume, voxel_size: float = 0.5) -> VolumeScore:
    """All volume metrics of two (I, J, K) masks on one grid of `voxel_size` mm.

    Chamfer distance is the sum of both mean directions (eq. 19), HD95 the larger 95 % quantile (eq. 20).
    Raises `InvalidInputError` for different shapes or an empty truth.
    """
    _check_volumes(predicted, truth, (3,))
    if not predicted.any():
        return VolumeScore(0.0, 0.0, np.nan, np.nan)
    there, back = surface_distances(surface_points(predicted, voxel_size), surface_points(truth, voxel_size))
    return VolumeScore(
        dice=dice(predicted, truth),
        cl_dice=cl_dice(predicted, truth),
        chamfer_mm=float(there.mean() + back.mean()),
        hd95_mm=float(max(np.quantile(there, 0.95), np.quantile(back, 0.95))),
    )


def correspondence(
    query_a: FloatArray,
    query_b: FloatArray,
    predicted_a: FloatArray,
    predicted_b: FloatArray,
    mm_per_pixel: tuple[float, float],
    tolerance: float = 3.0,
) -> Correspondence:
    """Coverage, end-point error and accuracy of a prediction seen in two views (eqs 22-24).

    Equation 23 prints the index search in view B, which would measure the distance to the nearest prediction
    and not the correspondence; here the point nearest to the query in view A is the one looked up in view B.

    Parameters
    ----------
    query_a, query_b : (N, 2) px, the same true points in views A and B
    predicted_a, predicted_b : (M, 2) px, the same predicted points in views A and B; M = 0 scores coverage 0
    mm_per_pixel : size of a pixel at the isocentre in views A and B
    tolerance : mm at the isocentre, the largest projected vessel radius (eps_v)
    """
    if query_a.shape != query_b.shape or predicted_a.shape != predicted_b.shape:
        raise InvalidInputError("points of both views must correspond: the same number in A and in B")
    if len(query_a) == 0:
        raise InvalidInputError("correspondence needs at least one query point")
    alone = distinct_queries(query_a, query_b, mm_per_pixel, tolerance)
    if len(predicted_a) == 0:
        return Correspondence(0.0, np.nan, 0.0, float(alone.mean()), np.nan, 0.0)
    distance_a, index = KDTree(predicted_a).query(query_a)
    distance_b = np.linalg.norm(query_b - predicted_b[index], axis=1)
    covered = np.asarray(distance_a * mm_per_pixel[0] < tolerance)
    error_b = np.asarray(distance_b * mm_per_pixel[1])
    found, mean, accuracy = _of_queries(covered, error_b, tolerance)
    _, *of_distinct = _of_queries(covered[alone], error_b[alone], tolerance) if alone.any() else (0.0, np.nan, np.nan)
    return Correspondence(found, mean, accuracy, float(alone.mean()), *of_distinct)


def _of_queries(covered: NDArray[np.bool_], error_b: FloatArray, tolerance: float) -> tuple[float, float, float]:
    """Coverage, end-point error and accuracy of some query points."""
    coverage = float(covered.mean())
    return coverage, float(error_b.mean()), coverage * float(np.mean(error_b < tolerance))


def distinct_queries(
    query_a: FloatArray, query_b: FloatArray, mm_per_pixel: tuple[float, float], tolerance: float = 3.0
) -> NDArray[np.bool_]:
    """Which true points (N, 2) px view A tells from all others: none near it in A lies elsewhere in B.

    Where vessels lie over each other in A, or one runs along the ray, the point nearest to a query in A may be any of
    them, and a prediction that is off by a fraction of a millimetre is scored by the distance between two vessels.
    Near is `tolerance`, elsewhere twice as far.
    """
    pairs = KDTree(query_a).query_pairs(tolerance / mm_per_pixel[0], output_type="ndarray")
    elsewhere = np.linalg.norm(query_b[pairs[:, 0]] - query_b[pairs[:, 1]], axis=1) * mm_per_pixel[1] > 2 * tolerance
    found = np.ones(len(query_a), bool)
    found[pairs[elsewhere]] = False
    return found


def skeleton(volume: Volume) -> Volume:
    """Thin an (I, J, K) or (rows, columns) mask to its centreline.

    scikit-image thins a straight tube of even width to nothing (its issue 3757); then the mask itself is returned.
    """
    thin: Volume = skeletonize(volume) > 0
    return thin if thin.any() else volume


def _check_volumes(predicted: NDArray[Any], truth: NDArray[Any], dimensions: tuple[int, ...] = (2, 3)) -> None:
    if predicted.shape != truth.shape or predicted.ndim not in dimensions:
        kind = "(I, J, K) volumes" if dimensions == (3,) else "masks"
        raise InvalidInputError(f"need two {kind} of one shape, got {predicted.shape} and {truth.shape}")
    if predicted.dtype != bool or truth.dtype != bool:
        raise InvalidInputError(f"need bool volumes, got {predicted.dtype} and {truth.dtype}")
    if not truth.any():
        raise InvalidInputError("the true volume is empty: there is nothing to compare with")
