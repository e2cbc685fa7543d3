"""Graphs and sparse volumes on a grid, against shapes counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.graph_metrics import graph_score
from autocar_ros.evaluation.metrics import volume_score
from autocar_ros.evaluation.voxels import Grid, dense, grid_around, lumen, skeleton_graph
from autocar_ros.types import SparseVolume


def sparse(voxels, occupancy, origin=(0.0, 0.0, 0.0), size=0.5):
    values = np.asarray(occupancy, float)
    return SparseVolume(np.asarray(voxels), np.asarray(origin), size, values, values)


def test_grid_holds_all_points_on_whole_voxels():
    grid = grid_around(np.array([[0.1, 0, 0]]), np.array([[9.9, 0, 0]]), voxel_size=0.5, margin=1.0)
    assert grid.origin.tolist() == [-1.0, -1.0, -1.0]
    assert grid.shape == (24, 4, 4)


def test_lumen_has_the_volume_of_a_capsule(line):
    thick = line.with_(radius=np.full(11, 2.0))
    grid = grid_around(thick.position, voxel_size=0.25)
    capsule = np.pi * 4 * 10 + 4 / 3 * np.pi * 8
    assert lumen(thick, grid).sum() * 0.25**3 == pytest.approx(capsule, rel=0.03)


def test_lumen_follows_the_radius(build):
    cone = build([[0, 0, 0], [20, 0, 0]], [[0, 1]]).with_(radius=np.array([1.0, 3.0]))
    volume = lumen(cone, grid_around(cone.position))
    area = volume.sum((1, 2)) * 0.25
    middle = len(area) // 2
    assert area[middle] == pytest.approx(np.pi * 4, rel=0.1)
    assert area[middle - 16] < area[middle] < area[middle + 16]


def test_lumen_outside_the_grid_is_cut_off(line):
    assert lumen(line, Grid(np.full(3, 50.0), (4, 4, 4), 0.5)).sum() == 0


def test_dense_puts_voxels_where_their_centres_are():
    volume = sparse([[0, 0, 0], [3, 2, 1], [1, 1, 1], [9, 9, 9]], [1.0, 0.5, 0.4, 1.0], origin=(1.0, 1.0, 1.0))
    mask = dense(volume, Grid(np.zeros(3), (8, 8, 8), 0.5))
    assert np.argwhere(mask).tolist() == [[2, 2, 2], [5, 4, 3]]


def test_dense_wants_one_voxel_size():
    with pytest.raises(InvalidInputError, match=r"1\.0 mm"):
        dense(sparse([[0, 0, 0]], [1.0], size=1.0), Grid(np.zeros(3), (2, 2, 2), 0.5))


def test_sparse_and_graph_meet_on_the_same_voxels(line):
    grid = grid_around(line.position)
    truth = lumen(line, grid)
    voxels = np.argwhere(truth)
    volume = sparse(voxels, np.ones(len(voxels)), origin=grid.origin)
    assert volume_score(dense(volume, grid), truth).dice == 1.0


def test_skeleton_of_a_fork_is_its_centreline(fork):
    tilt = Rotation.from_euler("xyz", [20, 30, 40], degrees=True)
    thick = fork.with_(radius=np.full(4, 1.5), position=tilt.apply(fork.position))
    grid = grid_around(thick.position)
    score = graph_score(skeleton_graph(lumen(thick, grid), grid), thick)
    assert score.precision_1mm == 1.0
    assert score.recall_2mm > 0.95  # thinning takes the rounded ends
    assert score.components == 1
    assert score.bifurcations_found == 1


def test_skeleton_of_nothing_is_empty():
    grid = Grid(np.zeros(3), (4, 4, 4), 0.5)
    assert len(skeleton_graph(np.zeros(grid.shape, bool), grid)) == 0
