"""Vessels of known shape in CT masks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from autocar_ros.imaging.ct_mask import MaskVolume

OBLIQUE = Rotation.from_rotvec([0.3, 0.5, -0.4]).as_matrix()


class Line(NamedTuple):
    points: np.ndarray  # (N, 3) mm
    radius: np.ndarray  # (N,) mm


def arc(radius, length=20.0, bend=25.0):
    """Piece of a circle of radius `bend` mm."""
    s = np.linspace(0, length / bend, 300)
    return Line(np.stack([bend * np.sin(s), bend * (1 - np.cos(s)), 0 * s], 1), np.full(300, radius))


def fork():
    """A vessel of 18 mm, radius 1.8, that divides into two of 18 mm, radius 1.2, at 70 degrees."""
    s = np.linspace(0, 18, 200)[:, None]
    side = np.sin(np.deg2rad(35)), np.cos(np.deg2rad(35))
    parts = [s * [0, 0, 1], [0, 0, 18] + s * [side[0], 0, side[1]], [0, 0, 18] + s * [-side[0], 0, side[1]]]
    return Line(np.concatenate(parts), np.repeat([1.8, 1.2, 1.2], 200))


def touching():
    """A fork whose branches, radius 1.15, bow out, touch 24 mm further on, and part again for 12 mm."""
    z = np.linspace(0, 36, 400)
    x = 4 * np.sin(np.pi * z / 24) ** 2 + 1.05 * np.minimum(z / 6, 1)
    trunk = np.linspace(-14, 0, 150)[:, None] * [0, 0, 1]
    sides = [np.stack([side * x, 0 * z, z], 1) for side in (-1, 1)]
    return Line(np.concatenate([trunk, *sides]), np.repeat([1.8, 1.15], [150, 800]))


def volume_of(line, spacing, rotation=OBLIQUE, margin=3):
    """Mask of the union of spheres along a line."""
    matrix = rotation @ np.diag(spacing)
    inverse = np.linalg.inv(matrix)
    reach = line.radius.max() / min(spacing) + margin
    index = line.points @ inverse.T
    low, high = np.floor(index.min(0) - reach).astype(int), np.ceil(index.max(0) + reach).astype(int)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = matrix, matrix @ low
    shape = tuple(high - low)
    blank = MaskVolume(np.zeros(shape, bool), affine)
    places = blank.world(np.argwhere(~blank.mask))
    mask = np.zeros(len(places), bool)
    for radius in np.unique(line.radius):
        mask |= KDTree(line.points[line.radius == radius]).query(places, distance_upper_bound=radius)[0] < radius
    return MaskVolume(mask.reshape(shape), affine)
