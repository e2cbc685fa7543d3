"""Mesh of the vessel wall from a CT mask (AutoCAR paper, 'Mesh and sparse volume preparation', equation 2).

Voxels of 0.4 to 0.9 mm are coarse for vessels of 0.5 to 3 mm. So the mask is sampled at 0.1 mm, low-pass filtered, and
its surface taken by marching cubes. All that is done in bricks around the vessels, one at a time: the whole volume at
0.1 mm would have 10^9 voxels and more. Neighbouring bricks compute their common samples alike to the last bit, so
that the pieces of the mesh fit together without a seam.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from scipy.special import ndtr
from skimage.measure import marching_cubes

from autocar_ros.imaging.ct_mask import MaskVolume
from autocar_ros.types import FloatArray, IntArray

STEP = 0.1  # mm between the samples that the surface is made from
SIGMA = 0.5  # voxels: width of the filter, just enough to take the stairs away
BRICK = 48  # samples along an edge of a brick
LEVEL = 0.5  # the wall is where the filtered mask has this value
CLEARANCE = 1e-4  # no sample is nearer to LEVEL: so a vertex lies within an edge of the grid, never on its end
INDEX_BITS = 16  # of a sample's index along an axis


class Brick(NamedTuple):
    """A cube of samples of the filtered mask."""

    corner: IntArray  # (3,) index of the first sample; sample 0 is at the centre of voxel 0
    values: NDArray[np.float32]  # (BRICK + 1,) * 3; the last samples of an axis are the next brick's first


@dataclass(frozen=True)
class Surface:
    """A closed mesh of triangles around the lumen."""

    vertices: FloatArray  # (V, 3) mm
    faces: IntArray  # (F, 3) vertices of a triangle, counterclockwise as seen from outside

    @property
    def volume(self) -> float:
        """What the mesh holds, mm^3."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)

    @cached_property
    def normals(self) -> FloatArray:
        """(V, 3) unit normals of the vertices, outwards."""
        a, b, c = (self.vertices[self.faces[:, k]] for k in range(3))
        face = np.repeat(np.cross(b - a, c - a), 3, axis=0)
        total = np.stack([np.bincount(self.faces.ravel(), n, len(self.vertices)) for n in face.T], 1)
        return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12))

    @cached_property
    def nearest(self) -> KDTree:
        """Search tree of the vertices."""
        return KDTree(self.vertices)

    def signed_distance(self, points: FloatArray) -> FloatArray:
        """Distance (N,) mm of points (N, 3) from the wall, positive inside (equation 2).

        It is measured to the tangent plane at the nearest vertex; vertices are about 0.1 mm apart.
        """
        index = self.nearest.query(points)[1]
        return np.asarray(np.einsum("ij,ij->i", self.vertices[index] - points, self.normals[index]))


def subdivision(volume: MaskVolume, step: float) -> IntArray:
    """(3,) samples a voxel along every axis, so that they are about `step` mm apart."""
    return np.maximum(np.rint(volume.spacing / step), 1).astype(np.int64)


def filtered_bricks(volume: MaskVolume, step: float) -> Iterator[Brick]:
    """Samples of the low-pass filtered mask, about `step` mm apart, in bricks that cover the vessels and their wall.

    The mask is a function that is constant in every voxel; a Gaussian filter of it separates into one weight a voxel
    and axis, in closed form. A Gaussian alone makes thin vessels thinner (by sigma^2 / 2r); so twice one minus a wider
    one is taken, of twice the variance, which keeps the place of a wall that is bent.
    """
    factor = subdivision(volume, step)
    narrow, wide = SIGMA, float(np.sqrt(2 * SIGMA**2 + 1 / 12))  # the voxel itself has a variance of 1 / 12
    reach = int(np.ceil(3.5 * wide + 0.5))
    tables = [[_weights(int(n), sigma, reach) for n in factor] for sigma in (narrow, wide)]
    for corner in _corners(volume, factor):
        sample = corner[:, None] + np.arange(BRICK + 1)
        voxel = (sample + factor[:, None] // 2) // factor[:, None]  # that a sample is in
        block = _cut(volume.mask, voxel[:, 0] - reach, voxel[:, -1] + reach + 1)
        first, phase = voxel - voxel[:, :1], sample - voxel * factor[:, None] + factor[:, None] // 2
        sharp, blurred = (_filter(block, first, [t[p] for t, p in zip(table, phase, strict=True)]) for table in tables)
        yield Brick(corner, 2 * sharp - blurred)


def extract_surface(volume: MaskVolume) -> Surface:
    """Mesh of the wall of the vessels in a mask; even a single voxel is kept, so no thin vessel is lost."""
    shift = 1 << INDEX_BITS - 1
    points, keys, faces, count = [], [], [], 0
    for corner, values in filtered_bricks(volume, STEP):
        if not values.min() < LEVEL < values.max():
            continue
        near = np.abs(values - LEVEL) < CLEARANCE
        vertices, triangles, _, _ = marching_cubes(np.where(near, LEVEL + CLEARANCE, values), LEVEL)
        cell = np.floor(vertices).astype(np.int64)
        inside = (vertices != cell) @ np.array([1, 2, 4])  # which axis the edge of the grid is along
        i, j, k = (cell + corner + shift).T
        keys.append(((i << INDEX_BITS | j) << INDEX_BITS | k) << 3 | inside)
        points.append(vertices + corner)
        faces.append(triangles + count)
        count += len(vertices)
    _, index, inverse = np.unique(np.concatenate(keys), return_index=True, return_inverse=True)
    vertices = volume.world(np.concatenate(points)[index] / subdivision(volume, STEP))
    surface = Surface(vertices, inverse[np.concatenate(faces)].astype(np.int64))
    return surface if surface.volume > 0 else Surface(vertices, surface.faces[:, ::-1])


def _corners(volume: MaskVolume, factor: IntArray) -> IntArray:
    """First samples (B, 3) of the bricks that reach within a voxel and a half of the vessels."""
    voxels = np.argwhere(volume.mask)
    sides = np.array([(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]) * 1.5
    bricks = np.floor((voxels[:, None] + sides) * factor / BRICK).astype(np.int64)
    return np.unique(bricks.reshape(-1, 3), axis=0) * BRICK


def _weights(count: int, sigma: float, reach: int) -> NDArray[np.float32]:
    """Share (count, 2 reach + 1) of the voxels around in a sample: one row for each of the `count` samples a voxel."""
    place = (np.arange(count) - count // 2) / count
    away = place[:, None] - np.arange(-reach, reach + 1)
    return np.asarray(ndtr((away + 0.5) / sigma) - ndtr((away - 0.5) / sigma), np.float32)


def _cut(mask: NDArray[np.bool_], start: IntArray, stop: IntArray) -> NDArray[np.float32]:
    """Block of a mask; beyond its ends there is nothing."""
    block = np.zeros(stop - start, np.float32)
    low, high = np.maximum(start, 0), np.minimum(stop, mask.shape)
    if (low < high).all():
        inner = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
        block[inner] = mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return block


def _filter(block: NDArray[np.float32], first: IntArray, weights: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Samples of a block: along axis a, sample s is the sum of weights[a][s, t] x voxel first[a][s] + t.

    The terms are added in the same order wherever the sample is in its brick.
    """
    for axis in range(3):
        lines = np.moveaxis(block, axis, 0)
        total = np.zeros((len(first[axis]), *lines.shape[1:]), np.float32)
        for t, weight in enumerate(weights[axis].T):
            total += weight[:, None, None] * lines[first[axis] + t]
        block = np.moveaxis(total, 0, axis)
    return block
