"""Mesh of the wall: place, closedness, signed distance, and that only the surroundings of vessels are sampled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation
from vessels.ct_cases import arc, fork, volume_of

from autocar_ros.imaging.ct_mask import MaskVolume
from autocar_ros.vessels.surface import BRICK, Surface, extract_surface, filtered_bricks, subdivision

FINE, COARSE = (0.4, 0.4, 0.4), (0.5, 0.6, 0.9)


def errors(surface, line):
    """Distance of the vertices from the true wall, away from the ends."""
    distance, index = KDTree(line.points).query(surface.vertices)
    body = (index > 20) & (index < len(line.points) - 21)
    return distance[body] - line.radius[index[body]]


def edge_uses(surface):
    """How many triangles have each edge in this direction, and how many edges have no partner in the other."""
    sides = np.concatenate([surface.faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    number = len(surface.vertices)
    there, uses = np.unique(sides[:, 0] * number + sides[:, 1], return_counts=True)
    back = np.unique(sides[:, 1] * number + sides[:, 0])
    return uses, len(np.setxor1d(there, back))


@pytest.fixture(scope="module")
def tube():
    return extract_surface(volume_of(arc(1.5), FINE))


@pytest.mark.parametrize(("radius", "spacing"), [(0.8, FINE), (1.5, COARSE)])
def test_wall_is_where_it_is(radius, spacing):
    line = arc(radius)
    error = errors(extract_surface(volume_of(line, spacing)), line)
    assert abs(error.mean()) < 0.03
    assert np.sqrt((error**2).mean()) < 0.15


def test_wall_of_fine_voxels_is_within_015_mm(tube):
    error = np.abs(errors(tube, arc(1.5)))
    assert np.quantile(error, 0.95) < 0.15
    # ends are half spheres
    assert tube.volume == pytest.approx(np.pi * 1.5**2 * (20 + 4 / 3 * 1.5), rel=0.02)


@pytest.mark.parametrize("line", [arc(1.5, length=12), fork()], ids=["arc", "fork"])
def test_mesh_is_closed_and_without_handles(line):
    surface = extract_surface(volume_of(line, COARSE))
    uses, alone = edge_uses(surface)
    assert uses.max() == 1
    assert alone == 0
    assert len(surface.vertices) - len(uses) // 2 + len(surface.faces) == 2  # Euler: a sphere
    assert surface.volume > 0


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_mesh_of_anything_is_closed(seed):
    mask = np.random.default_rng(seed).random((5, 4, 6)) < 0.4
    mask[1, 1, 1:3] = True
    uses, alone = edge_uses(extract_surface(MaskVolume(mask, np.diag([0.6, 0.9, 0.5, 1.0]))))
    assert uses.max() == 1
    assert alone == 0


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_mesh_follows_the_orientation_of_the_volume(seed, mirrored):
    rng = np.random.default_rng(seed)
    mask = np.zeros((8, 5, 5), bool)
    mask[1:7, 1:4, 1:4] = True
    spacing = np.diag([0.4, 0.5, -0.6 if mirrored else 0.6])
    turned = np.eye(4)
    turned[:3, :3] = Rotation.random(rng=rng).as_matrix() @ spacing
    turned[:3, 3] = rng.uniform(-100, 100, 3)
    plain = np.eye(4)
    plain[:3, :3] = spacing
    one, other = extract_surface(MaskVolume(mask, plain)), extract_surface(MaskVolume(mask, turned))
    where = one.vertices @ np.linalg.inv(spacing).T @ turned[:3, :3].T + turned[:3, 3]
    assert other.vertices == pytest.approx(where, abs=1e-6)
    assert other.volume == pytest.approx(one.volume, rel=1e-6)
    assert one.volume > 0


def test_signed_distance(tube):
    line = arc(1.5)
    assert np.median(tube.signed_distance(line.points)) == pytest.approx(1.4, abs=0.1)  # to the nearest stair
    up = np.array([0.0, 0.0, 1.0])
    for away in (0.5, 1.0, 1.4, 1.6, 2.0, 4.0):
        distance = tube.signed_distance(line.points[50:250] + away * up)
        assert np.median(distance) == pytest.approx(1.5 - away, abs=0.1)
    assert (tube.signed_distance(line.points + 40 * up) < -38).all()


def test_normals_point_outwards():
    corner = Surface(np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
                     np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]))  # fmt: skip
    assert corner.volume == pytest.approx(1 / 6)
    assert np.linalg.norm(corner.normals, axis=1) == pytest.approx(1)
    assert corner.normals[0] == pytest.approx(-np.ones(3) / np.sqrt(3))


def test_neighbouring_bricks_agree_to_the_last_bit():
    volume = volume_of(arc(1.5), (0.45, 0.6, 0.85))
    bricks = {tuple(corner): values for corner, values in filtered_bricks(volume, 0.1)}
    shared = 0
    for corner, values in bricks.items():
        for axis in range(3):
            after = bricks.get(tuple(np.array(corner) + BRICK * np.eye(3, dtype=int)[axis]))
            if after is not None:
                shared += 1
                assert np.array_equal(np.take(values, -1, axis), np.take(after, 0, axis))
    assert shared > 5


def test_only_the_surroundings_of_vessels_are_sampled():
    line = arc(0.8, length=90.0, bend=60.0)
    volume = volume_of(line, COARSE, Rotation.from_rotvec([0.6, 0.7, 0.3]).as_matrix())
    samples = sum(values.size for _, values in filtered_bricks(volume, 0.1))
    assert samples < 0.1 * volume.mask.size * np.prod(subdivision(volume, 0.1))


@pytest.mark.parametrize("length", [1, 10])
def test_vessel_as_thin_as_a_voxel_stays(length):
    volume = MaskVolume(np.ones((length, 1, 1), bool), np.diag([0.5, 0.5, 0.5, 1.0]))
    surface = extract_surface(volume)
    assert (surface.signed_distance(volume.world(np.argwhere(volume.mask))) > 0).all()
