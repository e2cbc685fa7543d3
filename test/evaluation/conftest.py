"""Tiny graphs whose metrics are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from autocar_ros.types import VesselGraph


def build_graph(position, edges, radius=1.0, **fields) -> VesselGraph:
    position = np.asarray(position, float).reshape(-1, 3)
    n = len(position)
    return VesselGraph(
        position=position,
        radius=np.full(n, radius, float),
        edges=np.asarray(edges, np.int64).reshape(-1, 2),
        branch=np.zeros(n, np.int64),
        **{"seen_by": np.full(n, 3, np.uint8), **fields},
    )


def move_graph(graph, *offset):
    return graph.with_(position=graph.position + np.array(offset))


@pytest.fixture(scope="session")
def build():
    return build_graph


@pytest.fixture(scope="session")
def move():
    """Shift a graph by x, y, z mm."""
    return move_graph


@pytest.fixture
def line():
    """Ten pieces of 1 mm along x."""
    return build_graph([[x, 0, 0] for x in range(11)], [[i, i + 1] for i in range(10)])


@pytest.fixture
def fork():
    """A stem of 10 mm that forks into two arms of 10 mm; one bifurcation, at the origin."""
    return build_graph([[-10, 0, 0], [0, 0, 0], [6, 8, 0], [6, -8, 0]], [[0, 1], [1, 2], [1, 3]])
