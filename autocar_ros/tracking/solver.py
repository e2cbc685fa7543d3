"""Exact linear least squares on a tree in linear time (numba).

Nodes are tied to their parents and grandparents only. Eliminated from the leaves to the root such a system fills in
nowhere: what a node leaves behind ties its parent to its grandparent, which are tied already. One pass up and one pass
down solve it; a second pass down gives the blocks of the inverse that belong to these ties (Takahashi et al. 1973).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from autocar_ros.types import FloatArray, IntArray


class Tree(NamedTuple):
    """A rooted forest."""

    order: IntArray  # (N,) parents before children
    parent: IntArray  # (N,) -1 at roots
    grandparent: IntArray  # (N,) -1 without


class System(NamedTuple):
    """Symmetric positive definite H x = b in blocks; solving it uses it up."""

    own: FloatArray  # (N, 3, 3) of every node
    parent: FloatArray  # (N, 3, 3) row of the node, column of its parent
    grandparent: FloatArray  # (N, 3, 3) row of the node, column of its grandparent
    right: FloatArray  # (N, 3)


@njit(cache=True)
def empty_system(count):  # type: ignore[no-untyped-def]
    """System of `count` nodes, all zeros."""
    return System(np.zeros((count, 3, 3)), np.zeros((count, 3, 3)), np.zeros((count, 3, 3)), np.zeros((count, 3)))


@njit(cache=True)
def solve(tree, system):  # type: ignore[no-untyped-def]
    """Solve H x = b for x (N, 3)."""
    _eliminate(tree, system)
    return _substitute(tree, system)


@njit(cache=True)
def _eliminate(tree, system):  # type: ignore[no-untyped-def]
    """From the leaves: `own` becomes the inverse pivots, ties and right side are multiplied by them."""
    own, right = system.own, system.right
    scaled_p, scaled_g, scaled_r = np.empty((3, 3)), np.empty((3, 3)), np.empty(3)
    inverse = np.empty((3, 3))
    for k in range(len(tree.order) - 1, -1, -1):
        i = tree.order[k]
        p, g = tree.parent[i], tree.grandparent[i]
        to_p, to_g = system.parent[i], system.grandparent[i]
        _invert(own[i], inverse)
        _multiply(inverse, to_p, scaled_p)
        _multiply(inverse, to_g, scaled_g)
        for r in range(3):
            scaled_r[r] = inverse[r, 0] * right[i, 0] + inverse[r, 1] * right[i, 1] + inverse[r, 2] * right[i, 2]
        if p >= 0:
            _subtract_product(own[p], to_p, scaled_p)
            _subtract_turned(right[p], to_p, scaled_r)
        if g >= 0:
            _subtract_product(own[g], to_g, scaled_g)
            _subtract_turned(right[g], to_g, scaled_r)
            _subtract_product(system.parent[p], to_p, scaled_g)
        own[i], to_p[:], to_g[:], right[i] = inverse, scaled_p, scaled_g, scaled_r


@njit(cache=True)
def _substitute(tree, system):  # type: ignore[no-untyped-def]
    """From the roots: the solution (N, 3) of an eliminated system."""
    x = system.right.copy()
    for i in tree.order:
        p, g = tree.parent[i], tree.grandparent[i]
        for r in range(3):
            for c in range(3):
                if p >= 0:
                    x[i, r] -= system.parent[i, r, c] * x[p, c]
                if g >= 0:
                    x[i, r] -= system.grandparent[i, r, c] * x[g, c]
    return x


@njit(cache=True)
def inverse_blocks(tree, system):  # type: ignore[no-untyped-def]
    """Diagonal blocks (N, 3, 3) of the inverse of H, of a system that was solved."""
    inverse, to_parent = system.own.copy(), np.zeros_like(system.own)
    to_grandparent = np.zeros((3, 3))
    for i in tree.order:
        p, g = tree.parent[i], tree.grandparent[i]
        if p < 0:
            continue
        a, b = system.parent[i], system.grandparent[i]
        for r in range(3):
            for c in range(3):
                value = other = 0.0
                for k in range(3):
                    value -= a[r, k] * inverse[p, k, c]
                    if g >= 0:
                        value -= b[r, k] * to_parent[p, c, k]
                        other -= a[r, k] * to_parent[p, k, c] + b[r, k] * inverse[g, k, c]
                to_parent[i, r, c], to_grandparent[r, c] = value, other
        for r in range(3):
            for c in range(r + 1):  # kept symmetric, or else rounding errors would grow from node to node
                for k in range(3):
                    inverse[i, r, c] -= to_parent[i, r, k] * a[c, k] + to_grandparent[r, k] * b[c, k]
                inverse[i, c, r] = inverse[i, r, c]
    return inverse


@njit(cache=True)
def _invert(a, out):  # type: ignore[no-untyped-def]
    """Inverse of a symmetric (3, 3) matrix."""
    xx = a[1, 1] * a[2, 2] - a[1, 2] ** 2
    xy = a[0, 2] * a[1, 2] - a[0, 1] * a[2, 2]
    xz = a[0, 1] * a[1, 2] - a[0, 2] * a[1, 1]
    scale = 1.0 / (a[0, 0] * xx + a[0, 1] * xy + a[0, 2] * xz)
    out[0, 0], out[0, 1], out[0, 2] = xx * scale, xy * scale, xz * scale
    out[1, 1] = (a[0, 0] * a[2, 2] - a[0, 2] ** 2) * scale
    out[1, 2] = (a[0, 1] * a[0, 2] - a[0, 0] * a[1, 2]) * scale
    out[2, 2] = (a[0, 0] * a[1, 1] - a[0, 1] ** 2) * scale
    out[1, 0], out[2, 0], out[2, 1] = out[0, 1], out[0, 2], out[1, 2]


@njit(cache=True)
def _multiply(a, b, out):  # type: ignore[no-untyped-def]
    for r in range(3):
        for c in range(3):
            out[r, c] = a[r, 0] * b[0, c] + a[r, 1] * b[1, c] + a[r, 2] * b[2, c]


@njit(cache=True)
def _subtract_product(out, a, b):  # type: ignore[no-untyped-def]
    """Subtract a^T b from out."""
    for r in range(3):
        for c in range(3):
            out[r, c] -= a[0, r] * b[0, c] + a[1, r] * b[1, c] + a[2, r] * b[2, c]


@njit(cache=True)
def _subtract_turned(out, a, b):  # type: ignore[no-untyped-def]
    """Subtract a^T b from a vector."""
    for r in range(3):
        out[r] -= a[0, r] * b[0] + a[1, r] * b[1] + a[2, r] * b[2]
