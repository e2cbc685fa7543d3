"""Line integrals through tubes, against answers known by hand."""

import numpy as np
import pytest
from geometry.cases import pose

from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.synthetic.tubes import Tubes


def line(start, stop, count=41) -> np.ndarray:
    return np.linspace(start, stop, count)


def tube(points: np.ndarray, radius: float) -> Tubes:
    n = len(points)
    edges = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)
    return Tubes(points, np.full(n, radius), edges, np.zeros(n, np.int64))


CAMERA = camera_from_pose(pose(rows=128, columns=128))  # AP: rays along y
CENTRE = CAMERA.project(np.zeros((1, 3)))[0][0].round().astype(int)


@pytest.mark.parametrize("radius", [0.5, 1.0, 3.0])
def test_chord_through_the_middle_of_a_straight_tube_is_its_diameter(radius):
    points = line([-10, 0, 0.05], [10, 0, 0.05])  # across the rays, off the grid
    image = tube(points, radius).chords(CAMERA, points, np.ones(len(points)))
    column, row = CENTRE
    assert image[row - 1 : row + 2, column].max() == pytest.approx(2 * radius, rel=0.02)


def test_profile_across_a_tube_is_a_half_ellipse():
    points = line([-10, 0, 0], [10, 0, 0])
    image = tube(points, 3.0).chords(CAMERA, points, np.ones(len(points)))
    rows = np.arange(128)
    rays = CAMERA.rays(np.stack([np.full(128, CENTRE[0]), rows], axis=1).astype(float))
    away = np.linalg.norm(np.cross(rays, CAMERA.source)[:, [0]], axis=1) / np.linalg.norm(rays[:, 1:], axis=1)
    expected = 2 * np.sqrt(np.maximum(9 - away**2, 0)) * np.linalg.norm(rays, axis=1)
    expected /= np.linalg.norm(rays[:, 1:], axis=1)
    np.testing.assert_allclose(image[:, CENTRE[0]], expected, atol=0.02)


def test_a_bent_tube_has_neither_gaps_nor_overlaps():
    """A quarter of a circle in the image plane: along its middle the chord is the diameter everywhere."""
    angle = np.linspace(0, np.pi / 2, 25)
    points = 12 * np.stack([np.cos(angle) - 0.5, 0 * angle, np.sin(angle) - 0.5], axis=1)
    image = tube(points, 2.0).chords(CAMERA, points, np.ones(len(points)))
    fine = np.linspace(0.1, np.pi / 2 - 0.1, 200)
    middle = 12 * np.stack([np.cos(fine) - 0.5, 0 * fine, np.sin(fine) - 0.5], axis=1)
    on = CAMERA.project(middle)[0].round().astype(int)
    assert np.ptp(image[on[:, 1], on[:, 0]]) < 0.15


def test_a_branch_counts_once_where_it_lies_in_its_parent():
    main, side = line([-10, 0, 0], [10, 0, 0], 21), line([0, 0, 0], [0, 0, 10], 11)[1:]
    position = np.concatenate([main, side])
    edges = [[k, k + 1] for k in range(20)] + [[10, 21]] + [[k, k + 1] for k in range(21, 30)]
    branch = np.repeat([0, 1], [21, 10])
    tubes = Tubes(position, np.full(31, 2.0), np.array(edges), branch)
    assert tubes.chords(CAMERA, position, np.ones(31)).max() == pytest.approx(4.0, rel=0.05)


def test_weights_scale_and_empty_pieces_cost_nothing():
    points = line([-10, 0, 0], [10, 0, 0])
    t = tube(points, 1.0)
    once = t.chords(CAMERA, points, np.ones(len(points)))
    np.testing.assert_allclose(t.chords(CAMERA, points, np.full(len(points), 2.5)), 2.5 * once, rtol=1e-5)
    assert not t.chords(CAMERA, points, np.zeros(len(points))).any()
    np.testing.assert_allclose(t.chords(CAMERA, points, np.ones(len(points)), once.copy()), 2 * once, rtol=1e-5)
