"""Overlay and 3D view of a small graph."""

import numpy as np
import pytest

from autocar_ros.figures.graph3d import draw_graph
from autocar_ros.figures.overlay import branch_color, overlay
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.types import CArmPose, VesselGraph


@pytest.fixture
def graph():
    x, index = np.arange(-20.0, 21.0), np.arange(40)
    edges = np.stack([index, index + 1], 1)
    return VesselGraph(np.stack([x, 0 * x, 0 * x], 1), np.ones(41), edges, np.zeros(41, np.int64))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_overlay_colours_the_vessel_and_leaves_the_rest(graph, dtype):
    camera = camera_from_pose(CArmPose(0.0, 0.0, 1200.0, 800.0, (0.3, 0.3), 256, 320))
    image = np.linspace(0, np.iinfo(dtype).max, 256 * 320).reshape(256, 320).astype(dtype)
    picture = overlay(image, graph, camera)
    assert picture.shape == (256, 320, 3)
    assert picture.dtype == np.uint8
    pixels = np.rint(camera.project(graph.position[5:])[0]).astype(int)
    grey = np.ptp(picture.astype(int), axis=2) == 0
    assert not grey[pixels[:, 1], pixels[:, 0]].any()
    assert grey.mean() > 0.97


def test_overlay_of_a_graph_outside_or_behind_is_the_image(graph):
    camera = camera_from_pose(CArmPose(0.0, 0.0, 1200.0, 800.0, (0.3, 0.3), 64, 64))
    image = np.full((64, 64), 90, np.uint8)
    away = graph.with_(position=graph.position + np.array([1e7, 0, 0]))
    behind = graph.with_(position=graph.position + np.array([0, 5000, 0]))
    for moved in (away, behind):
        assert (np.ptp(overlay(image, moved, camera).astype(int), axis=2) == 0).all()


def test_neighbouring_branches_differ():
    colors = np.array([branch_color(k) for k in range(12)])
    assert np.linalg.norm(np.diff(colors, axis=0), axis=1).min() > 0.3


@pytest.mark.parametrize("reference", [None, "points", "graph"])
def test_draw_graph_writes_a_picture(graph, tmp_path, reference):
    known = {"points": graph.position + 1, "graph": graph, None: None}[reference]
    figure = draw_graph(graph, known, tmp_path / "graph.png")
    assert (tmp_path / "graph.png").stat().st_size > 5000
    assert len(figure.axes) == 3
