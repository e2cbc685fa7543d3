"""Tiny trees whose answers are known by hand."""

import numpy as np

from autocar_ros.types import VesselGraph


def y_tree(angle_deg: float = 45.0, stem: int = 20, arm: int = 30, radius: float = 1.5) -> VesselGraph:
    """A stem of `stem` mm from the origin along +y (posterior), then two straight arms at +-angle towards +-x.

    Nodes are 1 mm apart: 0..stem is the stem, then the left arm (+x), then the right arm (-x).
    """
    turn = np.radians(angle_deg)
    out = np.arange(1, arm + 1)[:, None]
    trunk = np.arange(stem + 1)[:, None] * np.array([0.0, 1.0, 0.0])
    left = trunk[-1] + out * np.array([np.sin(turn), np.cos(turn), 0.0])
    right = trunk[-1] + out * np.array([-np.sin(turn), np.cos(turn), 0.0])
    position = np.vstack([trunk, left, right])
    n = len(position)
    parent = np.arange(-1, n - 1)
    parent[stem + 1 + arm] = stem
    return VesselGraph(
        position=position,
        radius=np.full(n, radius),
        edges=np.column_stack([parent[1:], np.arange(1, n)]),
        branch=np.repeat([0, 1, 2], [stem + 1, arm, arm]),
        branch_label=("stem", "left", "right"),
        graph_id=7,
    )
