"""The viewer without open3d says what to install; with it, it gets the graph."""

from __future__ import annotations

import builtins
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from autocar_ros.types import VesselGraph
from autocar_ros.vessels.export import save_graph


@pytest.fixture
def file(tmp_path):
    points = np.array([[0.0, 0, 0], [1.0, 2, 3]])
    graph = VesselGraph(points, np.ones(2), np.array([[0, 1]]), np.zeros(2, np.int64))
    path = tmp_path / "vessel_graph.json"
    save_graph(graph, path)
    return path


@pytest.mark.parametrize(
    ("cause", "remedy"),
    [("No module named 'open3d'", "Python package open3d"), ("libusb-1.0.so.0: cannot open", "library libusb-1.0")],
)
def test_missing_viewer_names_the_remedy(autocar, file, monkeypatch, cause, remedy):
    real = builtins.__import__

    def refuse(name, *rest, **more):
        if name == "open3d":
            raise ImportError(cause)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    result = autocar("view", file)
    assert result.exit_code == 1
    assert remedy in result.stderr
    assert "pip install open3d" in result.stderr


def test_graph_reaches_the_viewer(autocar, file, monkeypatch):
    open3d = MagicMock()
    monkeypatch.setitem(sys.modules, "open3d", open3d)
    assert autocar("view", file).exit_code == 0
    shapes = open3d.visualization.draw_geometries.call_args.args[0]
    assert len(shapes) == 3  # two nodes and the centreline
    assert open3d.utility.Vector3dVector.call_args.args[0][1] == pytest.approx([1, 2, 3], abs=1e-4)


def test_no_graph(autocar, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", SimpleNamespace())
    result = autocar("view", tmp_path / "none.json")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
