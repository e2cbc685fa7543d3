"""Kernels of lifting: what every depth of every ray costs, and the depths that cost least together.

Each numba kernel has a plain numpy twin, and a test holds both together.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

RADIUS_CAP = 1.5  # mm; a larger difference of radii costs no more: one vessel may lie over another
WIDER = 0.6  # of a difference counts where the other view shows more: a second vessel may lie beside the one
CUT_CAP = 1.0  # logarithm; a larger difference of what both views absorb costs no more
DENSER = 0.4  # of a difference counts where the other view absorbs more: a second vessel may lie over the one
CUT_UNMATCHED = 0.5  # of the largest cost of absorption, paid where there is nothing to compare
REGRET_CAP = 10.0  # mm; a depth that the other view regrets more than this, or knows nothing of, is as bad as any
NEAR = 4  # steps of depth to either side within which the other view's regret is asked for


@njit(cache=True, fastmath=True, error_model="numpy")
def matching_cost(  # type: ignore[no-untyped-def]
    start,
    step,
    radius,
    depth,
    cut,
    sure,
    size,
    nearest,
    points_b,
    radius_b,
    cut_b,
    sure_b,
    unmatched,
    radius_weight,
    cut_weight,
):
    """Cost (N, D) mm of every depth of every ray by what the other view shows there, and which point of it that is.

    Parameters
    ----------
    start : (3,), step : (N, 3), the rays in the other view: homogeneous pixels at depth 0 and per mm of depth
    radius : (N,) mm per mm of depth
    depth : (D,) mm
    cut, sure : (N,) what the vessel absorbs there (`densitometry.Cuts`)
    size : mm per px and mm of depth, of the other view
    nearest : (rows, columns), points_b : (M, 2) px, radius_b : (M,) px, its centreline (`Centreline`)
    cut_b, sure_b : (M,) what that absorbs
    unmatched : mm, largest cost of distance; also paid outside the image
    radius_weight : of the difference of radii
    cut_weight : mm, of the difference of what is absorbed

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
            distance, difference, absorbed = unmatched, RADIUS_CAP, CUT_UNMATCHED * CUT_CAP
            if w > 0 and u > -0.5 and u < columns - 0.5 and v > -0.5 and v < rows - 0.5:
                j, mm = nearest[round(v), round(u)], size * w
                apart = math.sqrt((u - points_b[j, 0]) ** 2 + (v - points_b[j, 1]) ** 2) * mm
                wider = radius_b[j] * mm - radius[i] * depth[k]
                difference = min(WIDER * wider if wider > 0 else -wider, RADIUS_CAP)
                if apart < unmatched:
                    distance, match[i, k] = apart, j
                    denser = cut_b[j] - cut[i]
                    absorbed = sure_b[j] * min(DENSER * denser if denser > 0 else -denser, CUT_CAP)
            cost[i, k] = distance + radius_weight * difference + cut_weight * sure[i] * absorbed
    return cost, match


def matching_cost_numpy(  # type: ignore[no-untyped-def]
    start,
    step,
    radius,
    depth,
    cut,
    sure,
    size,
    nearest,
    points_b,
    radius_b,
    cut_b,
    sure_b,
    unmatched,
    radius_weight,
    cut_weight,
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
    wider = radius_b[j] * size * w - radius[:, None] * depth
    difference = np.minimum(np.where(wider > 0, WIDER * wider, -wider), RADIUS_CAP)
    cost = np.where(matched, distance, unmatched) + radius_weight * np.where(inside, difference, RADIUS_CAP)
    denser = cut_b[j] - cut[:, None]
    absorbed = sure_b[j] * np.minimum(np.where(denser > 0, DENSER * denser, -denser), CUT_CAP)
    cost += cut_weight * sure[:, None] * np.where(matched, absorbed, CUT_UNMATCHED * CUT_CAP)
    return cost, np.where(matched, j, -1)


@njit(cache=True, fastmath=True)
def other_regret(match, source, rays, depth, toward, row_b, first_b, step_b, regret_b):  # type: ignore[no-untyped-def]
    """What the other view regrets (N, D) mm if a ray's point lies at a depth: `REGRET_CAP` at most, and unmatched.

    Parameters
    ----------
    match, depth : as of `matching_cost`
    source : (3,) mm, rays : (N, 3) mm per mm of depth, of the view that is lifted
    toward : (4,) of a point (x, y, z, 1) in mm gives its depth in the other view, mm
    row_b : (M,) row of `regret_b` that stands for a point of the other centreline
    first_b, step_b : mm, depths of `regret_b`
    regret_b : (K, D) mm, as of `regret`; the least within `NEAR` steps counts
    """
    labels = regret_b.shape[1]
    least = np.minimum(regret_b, REGRET_CAP)
    for i in range(len(regret_b)):
        _least_within(regret_b[i], NEAR, least[i])
    cost = np.full(match.shape, REGRET_CAP)
    for i in range(len(rays)):
        start = toward[0] * source[0] + toward[1] * source[1] + toward[2] * source[2] + toward[3]
        along = toward[0] * rays[i, 0] + toward[1] * rays[i, 1] + toward[2] * rays[i, 2]
        for k in range(len(depth)):
            at = round((start + depth[k] * along - first_b) / step_b)
            if match[i, k] >= 0 and at >= 0 and at < labels:
                cost[i, k] = least[row_b[match[i, k]], at]
    return cost


def other_regret_numpy(  # type: ignore[no-untyped-def]
    match, source, rays, depth, toward, row_b, first_b, step_b, regret_b
):
    """Twin of `other_regret` in numpy."""
    around = np.pad(regret_b, ((0, 0), (NEAR, NEAR)), constant_values=REGRET_CAP)
    least = np.minimum(np.lib.stride_tricks.sliding_window_view(around, 2 * NEAR + 1, axis=1).min(-1), REGRET_CAP)
    world = source + depth[None, :, None] * rays[:, None, :]
    at = np.rint((world @ toward[:3] + toward[3] - first_b) / step_b).astype(np.int64)
    known = (match >= 0) & (at >= 0) & (at < regret_b.shape[1])
    return np.where(known, least[row_b[match], np.clip(at, 0, regret_b.shape[1] - 1)], REGRET_CAP)


@njit(cache=True, fastmath=True)
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
    total, _ = _gathered(cost, order, parent, free, slope, largest)
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


@njit(cache=True, fastmath=True)
def regret(cost, order, parent, free, slope, largest):  # type: ignore[no-untyped-def]
    """How much more (N, D) all labels together cost at least if a node has a label, than under the best labels.

    The min-marginals of the forest, less its least cost; messages of least cost go up the tree, then down. Parameters
    as of `best_labels`.
    """
    total, message = _gathered(cost, order, parent, free, slope, largest)
    beside, back, rise = np.empty_like(cost[0]), np.empty_like(cost[0]), np.empty_like(cost[0])
    for i in order:
        if parent[i] >= 0:
            for k in range(len(beside)):
                beside[k] = total[parent[i], k] - message[i, k]
            _least_behind(beside, free[i], slope, largest, back, rise)
            for k in range(len(beside)):
                total[i, k] += back[k]
    for i in order:
        least = _least(total[i])
        for k in range(len(beside)):
            total[i, k] -= least
    return total


@njit(cache=True, fastmath=True)
def least_cost(cost, order, parent, free, slope, largest):  # type: ignore[no-untyped-def]
    """Sum of costs and jumps under the labels that `best_labels` finds, without them; parameters as there."""
    total, _ = _gathered(cost, order, parent, free, slope, largest)
    least = 0.0
    for i in order:
        if parent[i] < 0:
            least += _least(total[i])
    return least


@njit(cache=True, fastmath=True)
def _gathered(cost, order, parent, free, slope, largest):  # type: ignore[no-untyped-def]
    """Cost (N, D) of every node with everything behind it, and what each node adds to its parent (N, D)."""
    total, message = cost.copy(), np.empty_like(cost)
    rise = np.empty_like(cost[0])
    for i in order[::-1]:
        if parent[i] >= 0:
            _least_behind(total[i], free[i], slope, largest, message[i], rise)
            for k in range(len(rise)):
                total[parent[i], k] += message[i, k]
    return total, message


@njit(cache=True, fastmath=True)
def _least_behind(total, free, slope, largest, low, rise):  # type: ignore[no-untyped-def]
    """Least of cost (D,) and jump for every label of the parent, into `low` (D,); `rise` (D,) is room to work in.

    A slope to either side makes two running minima, of what rises and of what falls with the label. They do not wait
    for each other, and a step of each is one comparison.
    """
    labels = len(total)
    most = _least(total) + largest
    for k in range(labels):
        low[k] = total[k]
    _least_within(total, free, low)  # nothing within `free`, ...
    for k in range(labels):
        low[k], rise[k] = low[k] - slope * k, low[k] + slope * k
    before, after = low[0], rise[labels - 1]
    for k in range(1, labels):  # ... then a slope to either side, ...
        before, after = min(before, low[k]), min(after, rise[labels - 1 - k])
        low[k], rise[labels - 1 - k] = before, after
    for k in range(labels):  # ... up to the largest
        low[k] = min(low[k] + slope * k, rise[k] - slope * k, most)


@njit(cache=True, fastmath=True)
def _least_within(values, reach, low):  # type: ignore[no-untyped-def]
    """Lower `low` (D,) to the least of `values` (D,) within `reach` labels to either side."""
    labels = len(values)
    for m in range(1, min(reach, labels - 1) + 1):
        for k in range(labels - m):
            low[k] = min(low[k], values[k + m])
        for k in range(m, labels):
            low[k] = min(low[k], values[k - m])


@njit(cache=True, fastmath=True)
def _least(values):  # type: ignore[no-untyped-def]
    """Least of (D,); numpy's looks for NaN, too."""
    least = values[0]
    for value in values:
        least = min(least, value)
    return least


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
