"""Back-projection loses no voxel that a full grid would keep, and its kernel equals its numpy twin."""

import numpy as np
import pytest
from sbp.tubes import fork, fork_pair

from autocar_ros.config import ReconstructionConfig
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.sbp.backproject import (
    hull,
    keep_voxels,
    keep_voxels_numpy,
    levels,
    make_views,
    mask_distance,
    tube_volume,
)
from autocar_ros.vessels.skeleton import distance_outside


@pytest.fixture(scope="module")
def views():
    pair = fork_pair()
    cameras = camera_from_pose(pair.pose_a), camera_from_pose(pair.pose_b)
    return make_views(*cameras, distance_outside(pair.mask_a), distance_outside(pair.mask_b))


def test_levels_end_at_the_voxel_size():
    assert levels(0.5) == [8.0, 4.0, 2.0, 1.0, 0.5]
    assert levels(3.0) == [6.0, 3.0]
    assert levels(8.0) == [8.0]


@pytest.mark.parametrize("tolerance", [0.0, 2.0])
def test_coarse_to_fine_equals_the_full_grid(views, tolerance):
    config = ReconstructionConfig(box_size=80.0, tolerance=tolerance)
    volume = hull(views, 2.0, config)
    axis = np.arange(40)
    every = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    full = every[keep_voxels_numpy(every, 2.0, np.full(3, -40.0), *views, tolerance, 0.0)]
    assert set(map(tuple, volume.voxels)) == set(map(tuple, full))
    np.testing.assert_array_equal(volume.origin, [-40, -40, -40])


def test_keep_voxels_equals_its_twin(views, rng):
    voxels = rng.integers(-20, 70, (4000, 3))
    for slack in (0.0, 1.7):
        arguments = (voxels, 2.0, np.full(3, -50.0), *views, 2.0, slack)
        np.testing.assert_array_equal(keep_voxels(*arguments), keep_voxels_numpy(*arguments))


def test_voxels_behind_a_source_are_dropped(views):
    far = np.array([[0, 0, 0]])
    for origin in (np.full(3, 5000.0), np.full(3, -5000.0)):
        assert not keep_voxels(far, 1.0, origin, *views, 2.0, 0.9).any()
        assert np.isinf(mask_distance(origin[None], views)).any()


def test_hull_holds_the_vessel(views):
    points, _ = fork()
    volume = hull(views, 1.0, ReconstructionConfig(tolerance=1.0))
    inside = set(map(tuple, volume.voxels))
    voxel = np.floor((points - volume.origin) / volume.voxel_size).astype(int)
    assert all(tuple(v) in inside for v in voxel)


def test_tube_volume_is_the_tube(views):
    points, radius = fork()
    volume = tube_volume(views, points, radius, ReconstructionConfig())
    full = volume.voxels[volume.occupancy >= 0.5]
    lumen = np.pi * (2.2**2 * 36.9 + 1.6**2 * 49.6 + 1.3**2 * 48.5)
    assert len(full) * volume.voxel_size**3 == pytest.approx(lumen, rel=0.15)
    assert ((volume.occupancy >= 0) & (volume.occupancy <= 1)).all()
    assert ((volume.centreness >= 0) & (volume.centreness <= 1)).all()
    assert volume.centreness.max() > 0.7


def test_ghosts_are_not_occupied(views):
    """A curve that the masks do not show has neither occupancy nor centreness."""
    points, radius = fork()
    moved = points + np.array([25.0, 0, 0])
    true, ghost = (tube_volume(views, curve, radius, ReconstructionConfig()) for curve in (points, moved))
    assert np.sum(ghost.occupancy >= 0.5) < 0.1 * np.sum(true.occupancy >= 0.5)


def test_occupancy_lies_between_zero_and_one_and_no_tube_no_voxels(views):
    volume = tube_volume(views, np.array([[90.0, 90, 90]]), np.array([1.0]), ReconstructionConfig())
    assert len(volume.voxels) == 0
