"""Kernels of lifting: what every depth of every ray costs, and the depths that cost least together.

Each numba kernel has a plain numpy twin, and a test holds both together.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

RADIUS_CAP = 1.5  # mm; a larger difference of radii costs no more: one vessel may lie over another
UNSURE = 1.0  # mm; a claim that is not confirmed counts as if it were so far away
MUTUAL_CAP = 6.0  # mm; liftings further apart than this do not mean the same vessel


@njit(cache=True, fastmath=True, error_model="numpy")
def matching_cost(  # type: ignore[no-untyped-def]
    start, step, radius, depth, size, nearest, points_b, radius_b, unmatched, radius_weight
):
    """Cost (N, D) mm of every depth of every ray by what the other view shows there, and which point of it that is.

    Parameters
    ----------
    start : (3,), step : (N, 3), the rays in the other view: homogeneous pixels at depth 0 and per mm of depth
    radius : (N,) mm per mm of depth
    depth : (D,) mm
    size : mm per px and mm of depth, of the other view
    nearest : (rows, columns), points_b : (M, 2) px, radius_b : (M,) px, its centreline (`Centreline`)
    unmatched : mm, largest cost of distance; also paid outside the image
    radius_weight : of the difference of radii

    Returns
    -------
    cost : (N, D)
    match : (N, D) index of the other centreline's point; -1 where it is `unmatched` mm away or more
    """
    rows, columns = nearest.shape
    cost = np.empty((len(step), len(depth)))
    match = np.full((len(step), len(depth)), -1, np.int32)
    for i in range(len(step)):
        for k in range(len(depth)):
            w = start[2] + depth[k] * step[i, 2]
            u, v = (start[0] + depth[k] * step[i, 0]) / w, (start[1] + depth[k] * step[i, 1]) / w
            distance, difference = unmatched, RADIUS_CAP
            if w > 0 and u > -0.5 and u < columns - 0.5 and v > -0.5 and v < rows - 0.5:
                j, mm = nearest[round(v), round(u)], size * w
                apart = math.sqrt((u - points_b[j, 0]) ** 2 + (v - points_b[j, 1]) ** 2) * mm
                difference = min(abs(radius[i] * depth[k] - radius_b[j] * mm), RADIUS_CAP)
                if apart < unmatched:
                    distance, match[i, k] = apart, j
            cost[i, k] = distance + radius_weight * difference
    return cost, match


def matching_cost_numpy(  # type: ignore[no-untyped-def]
    start, step, radius, depth, size, nearest, points_b, radius_b, unmatched, radius_weight
):
    """Twin of `matching_cost` in numpy."""
    h = start + depth[None, :, None] * step[:, None, :]
    w = h[..., 2]
    pixels = h[..., :2] / w[..., None]
    rows, columns = nearest.shape
    inside = (w > 0) & (pixels > -0.5).all(-1) & (pixels[..., 0] < columns - 0.5) & (pixels[..., 1] < rows - 0.5)
    nearby = np.where(inside[..., None], np.rint(pixels), 0).astype(np.int64)
    j = nearest[nearby[..., 1], nearby[..., 0]]
    distance = np.linalg.norm(pixels - points_b[j], axis=-1) * size * w
    matched = inside & (distance < unmatched)
    difference = np.minimum(np.abs(radius[:, None] * depth - radius_b[j] * size * w), RADIUS_CAP)
    cost = np.where(matched, distance, unmatched) + radius_weight * np.where(inside, difference, RADIUS_CAP)
    return cost, np.where(matched, j, -1)


@njit(cache=True, fastmath=True)
def mutual_cost(match, source, rays, depth, there, sure):  # type: ignore[no-untyped-def]
    """Cost (N, D) mm of a distance to where the other view's lifting puts the point that a depth was matched with.

    Parameters
    ----------
    match, depth : as of `matching_cost`
    source : (3,) mm, rays : (N, 3) mm per mm of depth, of the view that is lifted
    there : (M, 3) mm, sure : (M,) 0..1, what the other lifting claims of its points
    """
    cost = np.full(match.shape, MUTUAL_CAP)
    for i in range(len(rays)):
        for k in range(len(depth)):
            j = match[i, k]
            if j >= 0:
                x = source[0] + depth[k] * rays[i, 0] - there[j, 0]
                y = source[1] + depth[k] * rays[i, 1] - there[j, 1]
                z = source[2] + depth[k] * rays[i, 2] - there[j, 2]
                gap = min(math.sqrt(x * x + y * y + z * z), MUTUAL_CAP)
                cost[i, k] = sure[j] * gap + (1.0 - sure[j]) * UNSURE
    return cost


def mutual_cost_numpy(match, source, rays, depth, there, sure):  # type: ignore[no-untyped-def]
    """Twin of `mutual_cost` in numpy."""
    world = source + depth[None, :, None] * rays[:, None, :]
    gap = np.minimum(np.linalg.norm(world - there[match], axis=-1), MUTUAL_CAP)
    return np.where(match >= 0, sure[match] * gap + (1.0 - sure[match]) * UNSURE, MUTUAL_CAP)


@njit(cache=True)
def best_labels(cost, order, parent, free, slope, largest):  # type: ignore[no-untyped-def]
    """Labels (N,) that minimise the sum of costs and jumps over a forest.

    The least cost of everything behind a node goes up the tree as a function of its parent's label; the labels are
    read off on the way down.

    Parameters
    ----------
    cost : (N, D) of every label of every node
    order, parent : (N,) as of `tree.rooted`
    free : (N,) labels that a node may differ from its parent for nothing
    slope : cost of every label beyond
    largest : largest cost of a jump
    """
    total = cost.copy()
    for i in order[::-1]:
        if parent[i] >= 0:
            total[parent[i]] += _least_behind(total[i], free[i], slope, largest)
    label = np.zeros(len(cost), np.int64)
    for i in order:
        if parent[i] < 0:
            label[i] = np.argmin(total[i])
        else:
            at = label[parent[i]]
            label[i], least = at, total[i, at]
            for k in range(len(total[i])):
                jump = min(slope * max(abs(k - at) - free[i], 0), largest)
                if total[i, k] + jump < least:
                    label[i], least = k, total[i, k] + jump
    return label


@njit(cache=True)
def least_cost(cost, order, parent, free, slope, largest):  # type: ignore[no-untyped-def]
    """Sum of costs and jumps under the labels that `best_labels` finds, without them; parameters as there."""
    total, least = cost.copy(), 0.0
    for i in order[::-1]:
        if parent[i] >= 0:
            total[parent[i]] += _least_behind(total[i], free[i], slope, largest)
        else:
            least += total[i].min()
    return least


@njit(cache=True)
def _least_behind(total, free, slope, largest):  # type: ignore[no-untyped-def]
    """Least of cost (D,) and jump for every label of the parent."""
    labels = len(total)
    low = total.copy()
    for m in range(1, min(free, labels - 1) + 1):  # nothing within `free` ...
        for k in range(labels - m):
            low[k] = min(low[k], total[k + m])
        for k in range(m, labels):
            low[k] = min(low[k], total[k - m])
    for k in range(1, labels):  # ... then a slope to either side ...
        low[k] = min(low[k], low[k - 1] + slope)
    for k in range(labels - 2, -1, -1):
        low[k] = min(low[k], low[k + 1] + slope)
    return np.minimum(low, total.min() + largest)  # ... up to the largest


def best_labels_numpy(cost, order, parent, free, slope, largest):  # type: ignore[no-untyped-def]
    """Twin of `best_labels` in numpy, with every pair of labels."""
    count, labels = cost.shape
    total, choice = cost.copy(), np.zeros((count, labels), np.int64)
    apart = np.abs(np.subtract.outer(np.arange(labels), np.arange(labels)))
    for i in order[::-1]:
        if parent[i] >= 0:
            jump = np.minimum(slope * np.maximum(apart - free[i], 0), largest)
            choice[i] = np.argmin(jump + total[i], axis=1)
            total[parent[i]] += np.min(jump + total[i], axis=1)
    label = np.zeros(count, np.int64)
    for i in order:
        label[i] = np.argmin(total[i]) if parent[i] < 0 else choice[i, label[parent[i]]]
    return label
