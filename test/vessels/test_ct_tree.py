"""Trees from CT masks against the shapes that were put in."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import KDTree
from vessels.ct_cases import arc, fork, touching, volume_of

from autocar_ros.errors import ReconstructionError
from autocar_ros.imaging.ct_mask import MaskVolume
from autocar_ros.vessels.ct_tree import extract_graph, prepare_tree, save_tree
from autocar_ros.vessels.export import load_graph
from autocar_ros.vessels.surface import extract_surface
from autocar_ros.vessels.tree import degree


@pytest.fixture(scope="module")
def tube():
    return prepare_tree(volume_of(arc(1.5), (0.4, 0.4, 0.5)))


@pytest.fixture(scope="module")
def divided():
    return prepare_tree(volume_of(fork(), (0.5, 0.6, 0.9)))


@pytest.mark.parametrize(("radius", "spacing"), [(0.6, (0.4, 0.4, 0.4)), (1.5, (0.5, 0.6, 0.9))])
def test_centreline_and_radius(radius, spacing):
    line = arc(radius)
    volume = volume_of(line, spacing)
    graph = extract_graph(volume, extract_surface(volume))
    distance, index = KDTree(line.points).query(graph.position)
    body = (index > 15) & (index < len(line.points) - 16)
    assert distance[body].max() < 0.25
    assert graph.radius[body] == pytest.approx(radius, rel=0.1)
    assert np.ptp(index) > 0.9 * len(line.points)
    assert len(graph.branch_label) == 1


def test_fork_is_a_tree_from_its_thick_end(divided):
    graph, line = divided.graph, fork()
    deg = degree(len(graph), graph.edges)
    assert sorted(deg[deg != 2].tolist()) == [1, 1, 1, 3]
    assert np.linalg.norm(graph.position[0]) < 2  # the ostium
    assert np.linalg.norm(graph.position[deg == 3][0] - [0, 0, 18]) < 1.5
    distance, index = KDTree(line.points).query(graph.position)
    away = np.linalg.norm(graph.position - [0, 0, 18], axis=1) > 4
    away &= np.linalg.norm(graph.position[:, None] - line.points[[0, 399, 599]], axis=2).min(1) > 1.5
    assert distance[away].max() < 0.25
    assert graph.radius[away] == pytest.approx(line.radius[index[away]], rel=0.12)


def test_vessels_that_touch_are_parted_there():
    volume = volume_of(touching(), (0.4, 0.4, 0.5), np.eye(3))
    graph = extract_graph(volume, extract_surface(volume))
    deg = degree(len(graph), graph.edges)
    assert len(graph.edges) == len(graph) - 1  # one tree
    assert (deg == 1).sum() == 3
    middle = (np.abs(graph.position[:, 0]) < 0.5) & (graph.position[:, 2] > 6)
    assert not middle.any()


def test_labels_are_the_lumen_on_the_grid_of_the_world(tube):
    labels, line = tube.labels, arc(1.5)
    assert labels.voxel_size == 0.5
    assert labels.origin / 0.5 == pytest.approx(np.rint(labels.origin / 0.5))
    index = np.stack(np.meshgrid(*[np.arange(-10, 60)] * 3, indexing="ij"), -1).reshape(-1, 3)
    distance = KDTree(line.points).query((index + 0.5) * 0.5)[0]
    wanted = {tuple(voxel) for voxel in index[distance < 1.5]}
    found = {tuple(voxel) for voxel in (labels.voxels + np.rint(labels.origin / 0.5).astype(int)).tolist()}
    assert 2 * len(wanted & found) / (len(wanted) + len(found)) > 0.95
    assert (labels.occupancy == 1).all()


def test_centreness_is_one_on_the_axis_and_nothing_at_the_wall(tube):
    distance, index = KDTree(arc(1.5).points).query(tube.labels.points)
    body = (index > 30) & (index < 269)
    centreness = tube.labels.centreness
    assert (centreness > 0).all()
    assert (centreness <= 1).all()
    # phi / (phi + d) with phi = 1.5 - d
    assert centreness[body] == pytest.approx(1 - distance[body] / 1.5, abs=0.15)
    assert centreness[body & (distance < 0.4)].min() > 0.65
    assert centreness[body & (distance > 1.4)].max() < 0.2


def test_files_give_the_tree_back(tube, tmp_path):
    save_tree(tube, tmp_path / "case.1_2")
    graph = load_graph(tmp_path / "case.1_2.json")
    assert graph.position == pytest.approx(tube.graph.position)
    assert graph.radius == pytest.approx(tube.graph.radius)
    with np.load(tmp_path / "case.1_2.npz") as data:
        assert data["voxels"].tolist() == tube.labels.voxels.tolist()
        assert data["centreness"] == pytest.approx(tube.labels.centreness, abs=1e-6)
        assert data["origin"] == pytest.approx(tube.labels.origin)
        assert float(data["voxel_size"]) == 0.5
        assert data["vertices"][data["faces"]].shape == (len(tube.surface.faces), 3, 3)


@pytest.mark.parametrize("size", [1, 3])
def test_what_is_no_vessel_is_told(size):
    block = MaskVolume(np.ones((size, size, size), bool), np.diag([0.5, 0.5, 0.5, 1.0]))
    with pytest.raises(ReconstructionError, match="no vessel longer than 3 mm"):
        prepare_tree(block)
