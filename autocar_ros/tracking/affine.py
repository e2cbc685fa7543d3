"""What all vessels of a tree do together, told by what each of them shows of it.

In its images a vessel moves across itself only; how far a point of it went along cannot be seen. Vessels that run
another way show that part, since the heart deforms as a whole.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SIZE = 40.0  # mm, half the size of a heart
RIDGE = 1e-3  # of the weight of all nodes, for each coefficient: what no vessel shows stays as it was


@njit(cache=True)
def affinely_moved(shape, position, tangent, weight):  # type: ignore[no-untyped-def]
    """Move a shape (N, 3) mm affinely to where its nodes (N, 3) mm are, as seen across their unit tangents (N, 3).

    Least squares of the distances across the tangents, weighted (N,) 0..1.
    """
    count = len(shape)
    if count == 0:
        return shape.copy()
    middle, normal, right = np.zeros(3), np.zeros((4, 3, 4, 3)), np.zeros((4, 3))
    for i in range(count):
        for axis in range(3):
            middle[axis] += shape[i, axis] / count
    features = np.ones((count, 4))
    for i in range(count):
        for axis in range(3):
            features[i, 1 + axis] = (shape[i, axis] - middle[axis]) / SIZE
        _add_node(normal, right, features[i], position[i] - shape[i], tangent[i], weight[i])
    matrix = normal.reshape(12, 12)
    for k in range(12):
        matrix[k, k] += RIDGE * count
        for lower in range(k):
            matrix[lower, k] = matrix[k, lower]
    return shape + features @ np.linalg.solve(matrix, right.reshape(12)).reshape(4, 3)


@njit(cache=True)
def _add_node(normal, right, feature, moved, tangent, weight):  # type: ignore[no-untyped-def]
    """Add the distance across its tangent of a node that moved by (3,) mm to the normal equations: their lower half."""
    along = (moved * tangent).sum()
    for a in range(4):
        for r in range(3):
            right[a, r] += weight * feature[a] * (moved[r] - along * tangent[r])
            for b in range(a + 1):
                both = weight * feature[a] * feature[b]
                for c in range(3):
                    normal[a, r, b, c] += both * ((r == c) - tangent[r] * tangent[c])
