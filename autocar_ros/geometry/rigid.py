"""Rigid motion: exponential map, best rigid fit (Kabsch/ICP). Lengths in mm."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import FloatArray, IntArray


class RigidTransform(NamedTuple):
    """x -> rotation x + translation."""

    rotation: FloatArray  # (3, 3)
    translation: FloatArray  # (3,) mm

    def apply(self, points: FloatArray) -> FloatArray:
        """Move points (..., 3) mm."""
        return np.asarray(points @ self.rotation.T + self.translation)

    def inverse(self) -> RigidTransform:
        """Return the inverse motion."""
        return RigidTransform(self.rotation.T, -self.rotation.T @ self.translation)

    def compose(self, first: RigidTransform) -> RigidTransform:
        """Return `self` after `first`."""
        return RigidTransform(self.rotation @ first.rotation, self.rotation @ first.translation + self.translation)


IDENTITY = RigidTransform(np.eye(3), np.zeros(3))


def rigid_fit(moving: FloatArray, fixed: FloatArray) -> RigidTransform:
    """Least-squares motion of corresponding points (N, 3) mm (Kabsch 1976)."""
    if moving.shape != fixed.shape or moving.ndim != 2 or moving.shape[1] != 3 or len(moving) < 3:
        raise InvalidInputError(f"need two (N >= 3, 3) point sets, got {moving.shape} and {fixed.shape}")
    cm, cf = moving.mean(0), fixed.mean(0)
    turn = rotation(moving, fixed)
    return RigidTransform(turn, cf - turn @ cm)


def rotation(start: FloatArray, end: FloatArray) -> FloatArray:
    """(3, 3) rotation of points (N, 3) that brings them nearest to where they end (Kabsch 1976)."""
    if len(start) == 0:
        return np.eye(3)
    u, _, v = np.linalg.svd((end - end.mean(0)).T @ (start - start.mean(0)))
    u[:, 2] *= np.linalg.det(u) * np.linalg.det(v)  # no mirror
    return np.asarray(u @ v)


def rigid_register(moving: FloatArray, fixed: FloatArray, iterations: int = 60, keep: float = 0.6) -> RigidTransform:
    """Trimmed iterative closest point (Besl & McKay 1992) of (N, 3) to (M, 3) mm.

    Each step fits the points whose distance is below the `keep` quantile (at least 2 mm). Starts from the given
    place and from coinciding centroids, and returns the better.
    """
    tree = KDTree(fixed)
    start = RigidTransform(np.eye(3), fixed.mean(0) - moving.mean(0))
    fits = [_icp(moving, fixed, tree, t, iterations, keep) for t in (IDENTITY, start)]
    return min(fits, key=lambda t: float(np.median(tree.query(t.apply(moving))[0])))


def _icp(
    moving: FloatArray, fixed: FloatArray, tree: KDTree, t: RigidTransform, iterations: int, keep: float
) -> RigidTransform:
    for _ in range(iterations):
        near, nearest = _nearest(t.apply(moving), tree, keep)
        if len(near) < 3:
            return t
        t = rigid_fit(moving[near], fixed[nearest])
    return t


def _nearest(points: FloatArray, tree: KDTree, keep: float) -> tuple[IntArray, IntArray]:
    """Points (N, 3) no further from the tree than the `keep` quantile or 2 mm, and its points next to them; indices."""
    distance, nearest = (np.asarray(found) for found in tree.query(points))
    near = np.flatnonzero(distance <= max(float(np.quantile(distance, keep)), 2.0))
    return near, nearest[near]


def similarity_register(moving: FloatArray, fixed: FloatArray, iterations: int = 40, keep: float = 0.6) -> FloatArray:
    """Points (N, 3) mm brought nearest to (M, 3) by motion and scale: `rigid_register`, then with a scale, too.

    Scale by least squares of corresponding points (Umeyama 1991). Two views from unknown places do not tell it.
    """
    moved, tree = rigid_register(moving, fixed).apply(moving), KDTree(fixed)
    for _ in range(iterations):
        near, nearest = _nearest(moved, tree, keep)
        if len(near) < 3:
            break
        start, end = moved[near], fixed[nearest]
        centre, turn = start.mean(0), rotation(start, end)
        turned = (moved - centre) @ turn.T
        size = float((turned[near] * (end - end.mean(0))).sum() / (turned[near] ** 2).sum())
        moved = size * turned + end.mean(0)
    return moved
