"""Centreline points to a vessel graph: the graph initialisation of the AutoCAR paper (equation 14 and the text below).

Neighbours closer than eps_v make a minimum spanning tree; its components are joined by the cheapest paths through the
occupancy volume; spurs fall off; what is left is smoothed, resampled, rooted at the ostium, and cut into branches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.spatial import KDTree

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import ReconstructionError
from autocar_ros.types import FloatArray, IntArray, SparseVolume
from autocar_ros.vessels import tree
from autocar_ros.vessels.gaps import close_gaps

SMOOTHING = 1.0  # mm along the vessel
NOTHING_IN_COMMON = (
    "the views have no vessel in common: check that both show the same artery at the same heart phase, and the poses "
    "(angles, table position, pixel spacing)"
)
NEAR_END = 3.0, 15.0  # mm from an end of the tree: what tells its width; nearer, a spur or a blob may lie
WIDEST = 0.95  # quantile of the radius that stands for the widest vessel
SMALLEST_PART = 0.1  # of the whole length; a separate part of the tree smaller than this is noise


class Cloud(NamedTuple):
    """Centreline points in 3D, unordered: what a graph is made from."""

    points: FloatArray  # (N, 3) mm
    radius: FloatArray  # (N,) mm
    confidence: FloatArray  # (N,) 0..1
    disagreement: FloatArray  # (N,) mm between both views


class Skeleton(NamedTuple):
    """A rooted forest of centreline nodes, parents before children, branch after branch."""

    points: FloatArray  # (N, 3) mm
    edges: IntArray  # (E, 2) parent, child
    branch: IntArray  # (N,)


def build_skeleton(cloud: Cloud, volume: SparseVolume, config: ReconstructionConfig) -> Skeleton:
    """Graph initialisation; gaps are closed through the volume.

    Raises
    ------
    ReconstructionError
        When the cloud holds no vessel.
    """
    points, radius = cloud.points, cloud.radius
    if len(points) == 0:
        raise ReconstructionError(NOTHING_IN_COMMON)
    pairs = KDTree(points).query_pairs(config.neighbour_distance, output_type="ndarray").astype(np.int64)
    edges = tree.spanning_forest(len(points), pairs, _length(points, pairs) + 1e-9)
    points, radius, edges = _prune(points, radius, edges, config)
    points, radius, edges = close_gaps(points, radius, edges, volume, config.largest_gap)
    return shape_skeleton(points, radius, edges, config)


def shape_skeleton(points: FloatArray, radius: FloatArray, edges: IntArray, config: ReconstructionConfig) -> Skeleton:
    """Skeleton of a raw forest: points (N, 3) mm, radius (N,) mm, edges (E, 2); pruned, smoothed, rooted, in branches.

    Raises
    ------
    ReconstructionError
        When the forest is shorter than a branch.
    """
    points, radius, edges = _prune(points, radius, edges, config)
    points, radius, edges = _drop_small_parts(points, radius, edges, config)
    points, radius, edges = _resample(points, radius, edges, config.node_spacing)
    return _cut_into_branches(points, edges, _roots(points, radius, edges))


def _length(points: FloatArray, edges: IntArray) -> FloatArray:
    return np.asarray(np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1))


def _prune(
    points: FloatArray, radius: FloatArray, edges: IntArray, config: ReconstructionConfig
) -> tuple[FloatArray, FloatArray, IntArray]:
    keep = tree.prune_spurs(points, edges, np.maximum(config.shortest_branch, 1.5 * radius))
    return points[keep], radius[keep], tree.keep_nodes(len(points), edges, keep)


def _drop_small_parts(
    points: FloatArray, radius: FloatArray, edges: IntArray, config: ReconstructionConfig
) -> tuple[FloatArray, FloatArray, IntArray]:
    label = tree.components(len(points), edges)
    length = np.bincount(label[edges[:, 0]], _length(points, edges), minlength=int(label.max(initial=-1)) + 1)
    if length.sum() < config.shortest_branch:
        raise ReconstructionError(NOTHING_IN_COMMON)
    keep = length[label] >= max(SMALLEST_PART * length.sum(), config.shortest_branch)
    return points[keep], radius[keep], tree.keep_nodes(len(points), edges, keep)


def _resample(
    points: FloatArray, radius: FloatArray, edges: IntArray, spacing: float
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Smooth every chain and put nodes `spacing` mm apart on it; leaves and bifurcations keep their place."""
    deg = tree.degree(len(points), edges)
    ends = np.flatnonzero(deg != 2)
    number = {int(node): k for k, node in enumerate(ends)}
    new_points, new_radius, pairs, count = [points[ends]], [radius[ends]], [], len(ends)
    for chain in tree.chains(len(points), edges):
        values = smooth_curve(points[chain], radius[chain], spacing)
        inner = len(values) - 2
        new_points.append(values[1:-1, :3])
        new_radius.append(values[1:-1, 3])
        path = np.array([number[int(chain[0])], *range(count, count + inner), number[int(chain[-1])]])
        pairs.append(np.stack([path[:-1], path[1:]], 1))
        count += inner
    return np.concatenate(new_points), np.concatenate(new_radius), np.concatenate(pairs).astype(np.int64)


def smooth_curve(points: FloatArray, radius: FloatArray, spacing: float, sigma: float = SMOOTHING) -> FloatArray:
    """Curve (N, 3) with radius (N,) as (M, 4): Gaussian smoothing with `sigma` mm, then nodes `spacing` mm apart."""
    values = equidistant(np.column_stack([points, radius]), spacing / 4)
    step = tree.chain_length(values[:, :3], np.arange(len(values))) / max(len(values) - 1, 1)
    return equidistant(tree.smooth_path(values, sigma / max(step, 1e-9)), spacing)


def equidistant(values: FloatArray, spacing: float) -> FloatArray:
    """Values (N, 3 + D) of a curve at about equal distances."""
    return np.asarray(_equidistant(values, spacing))


@njit(cache=True)
def _equidistant(values, spacing):  # type: ignore[no-untyped-def]
    distance = np.zeros(len(values))
    for i in range(1, len(values)):
        step = values[i, :3] - values[i - 1, :3]
        distance[i] = distance[i - 1] + np.sqrt((step * step).sum())
    wanted = np.linspace(0.0, distance[-1], max(round(distance[-1] / spacing), 1) + 1)
    result = np.empty((len(wanted), values.shape[1]))
    for column in range(values.shape[1]):
        result[:, column] = np.interp(wanted, distance, values[:, column])
    return result


def _roots(points: FloatArray, radius: FloatArray, edges: IntArray) -> IntArray:
    """Ostium of every part, the longest part first: the end that is wide and away from which the vessels taper.

    How steadily they taper is the correlation of radius and distance over all nodes of the part; how wide an end is,
    the median radius of what is `NEAR_END` mm away from it. Alone each is misled: the first by a vessel that leaves
    late, the second by a vessel lying over another, a blob of contrast or a catheter in the ostium.
    """
    label, ends = tree.components(len(points), edges), np.flatnonzero(tree.degree(len(points), edges) == 1)
    length = np.bincount(label[edges[:, 0]], _length(points, edges))
    roots = []
    for part in np.argsort(-length):
        nodes, tips = np.flatnonzero(label == part), ends[label[ends] == part]
        distance, of_part = tree.path_length(points, edges, tips)[:, nodes], radius[nodes]
        near = (distance >= NEAR_END[0]) & (distance <= NEAR_END[1])
        width = np.array([np.median(of_part[n] if n.any() else of_part) for n in near])
        roots.append(tips[np.argmax(_taper(distance, of_part) + width / np.quantile(of_part, WIDEST))])
    return np.array(roots, np.int64)


def _taper(distance: FloatArray, radius: FloatArray) -> FloatArray:
    """Correlation (T,) of how thin M nodes are, radius (M,), and how far they are, distance (T, M), from T ends."""
    away, thin = distance - distance.mean(1, keepdims=True), radius.mean() - radius
    return np.asarray(away @ thin / np.maximum(np.linalg.norm(away, axis=1) * np.linalg.norm(thin), 1e-9))


def _cut_into_branches(points: FloatArray, edges: IntArray, roots: IntArray) -> Skeleton:
    """Direct the edges away from the roots; at a bifurcation the child with the longest tree behind it goes on."""
    order, parent = tree.rooted(len(points), edges, roots)
    step = np.where(parent >= 0, np.linalg.norm(points - points[parent], axis=1), 0.0)
    behind = np.zeros(len(points))
    for node in order[::-1]:
        if parent[node] >= 0:
            behind[parent[node]] += behind[node] + step[node]
    children: list[list[int]] = [[] for _ in range(len(points))]
    for node in order:
        if parent[node] >= 0:
            children[parent[node]].append(int(node))
    starts, sequence, branch, count = [int(r) for r in order if parent[r] < 0], [], np.zeros(len(points), np.int64), 0
    while starts:
        path = [starts.pop(0)]
        while children[path[-1]]:
            onward, *side = sorted(children[path[-1]], key=lambda child: -behind[child] - step[child])
            starts += side
            path.append(onward)
        branch[path] = count
        sequence += path
        count += 1
    place = np.empty(len(points), np.int64)
    place[sequence] = np.arange(len(points))
    child = np.array([node for node in sequence if parent[node] >= 0], np.int64)
    return Skeleton(points[sequence], np.stack([place[parent[child]], place[child]], 1), branch[sequence])
