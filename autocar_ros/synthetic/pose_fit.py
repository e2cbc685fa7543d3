"""A pose history from the runs of a clinic: K-means on the angles, everything else kept as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from scipy.cluster.vq import ClusterError, kmeans2

from autocar_ros.errors import InvalidInputError
from autocar_ros.synthetic.pose_history import PoseHistory, ViewCluster
from autocar_ros.types import CArmPose, FloatArray, IntArray

STARTS = 20  # of K-means: the best is kept
TILTED = 10.0  # degrees from which a view is called oblique, cranial or caudal


def fit_history(poses: Sequence[CArmPose], clusters: int, seed: int) -> tuple[PoseHistory, IntArray]:
    """Fit a history to one pose of every run (paper, "Forwards projection with pose history").

    Clusters have mean, spread and number of their runs; SID, SOD and field of every run are kept together, in an order
    that says nothing about the runs.

    Parameters
    ----------
    poses : (N) poses, at least as many different directions as clusters
    clusters : number of clusters, at least 2
    seed : of the starts of K-means

    Returns
    -------
    History, and (N,) the number of the cluster of every run

    Raises
    ------
    InvalidInputError
        For too few runs or clusters.
    """
    angles = view_angles(poses)
    found = len(np.unique(angles.round(1), axis=0)) if len(poses) else 0
    if clusters < 2 or found < clusters:
        raise InvalidInputError(
            f"{found} different views among {len(poses)} readable runs do not make {clusters} clusters: need at least "
            "2 clusters and as many views; give more runs or fewer clusters"
        )
    label = _cluster(angles, clusters, seed)
    sizes = ((p.source_to_detector, p.source_to_isocenter, visible_edge(p), 1.0) for p in poses)
    history = PoseHistory(
        tuple(_describe(angles[label == k]) for k in range(clusters)),
        np.array(sorted(np.round(row, 3).tolist() for row in sizes)),
        about=(f"{len(poses)} runs, {clusters} clusters by `autocar poses fit`; weights are numbers of runs.",),
    )
    return history, label


def view_angles(poses: Sequence[CArmPose]) -> FloatArray:
    """(N, 2) primary and secondary angle, degrees."""
    return np.degrees([(p.primary_angle, p.secondary_angle) for p in poses]).reshape(-1, 2)


def visible_edge(pose: CArmPose) -> float:
    """Longer edge of the image at the detector, mm."""
    return max(pose.pixel_spacing[0] * pose.rows, pose.pixel_spacing[1] * pose.columns)


def _cluster(angles: FloatArray, clusters: int, seed: int) -> IntArray:
    """Labels of the best of several K-means; clusters in the order of their angles."""
    rng, best, least = np.random.default_rng(seed), None, np.inf
    views = np.unique(angles, axis=0)
    for _ in range(STARTS):
        try:
            start = _spread_out(rng, views, clusters)
            centre, label = kmeans2(angles, start, iter=100, minit="matrix", missing="raise")
        except ClusterError:  # a cluster lost all its views
            continue
        if (error := float(((angles - centre[label]) ** 2).sum())) < least:
            best, least = (centre, label), error
    if best is None:
        raise InvalidInputError(f"the views do not fall into {clusters} clusters: ask for fewer")
    centre, label = best
    rank = np.empty(clusters, np.int64)
    rank[np.lexsort((centre[:, 1], centre[:, 0]))] = np.arange(clusters)
    return rank[label]


def _spread_out(rng: Generator, views: FloatArray, count: int) -> FloatArray:
    """Views far from each other: k-means++ (Arthur and Vassilvitskii 2007); in SciPy its seed has many names."""
    chosen = [views[rng.integers(len(views))]]
    gap = np.full(len(views), np.inf)
    while len(chosen) < count:
        gap = np.minimum(gap, ((views - chosen[-1]) ** 2).sum(axis=1))
        chosen.append(views[rng.choice(len(views), p=gap / gap.sum())])
    return np.array(chosen)


def _describe(angles: FloatArray) -> ViewCluster:
    """Mean and joint spread of the views of a cluster."""
    (primary, secondary), deviation = angles.mean(axis=0).tolist(), angles.std(axis=0).tolist()
    covariance = float(np.mean((angles[:, 0] - primary) * (angles[:, 1] - secondary)))
    correlation = covariance / (deviation[0] * deviation[1]) if min(deviation) > 0 else 0.0
    return ViewCluster(
        name=_name(primary, secondary),
        primary=round(primary, 2),
        secondary=round(secondary, 2),
        primary_deviation=round(deviation[0], 2),
        secondary_deviation=round(deviation[1], 2),
        correlation=round(correlation, 3),
        weight=float(len(angles)),
        source=f"runs: {len(angles)}",
    )


def _name(primary: float, secondary: float) -> str:
    """Name in a cardiologist's words: 'LAO 37 caudal 30'."""
    turn = f"{'LAO' if primary > 0 else 'RAO'} {abs(primary):.0f}" if abs(primary) >= TILTED else "AP"
    tilt = f" {'cranial' if secondary > 0 else 'caudal'} {abs(secondary):.0f}" if abs(secondary) >= TILTED else ""
    return turn + tilt
