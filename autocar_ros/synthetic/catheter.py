"""The guiding catheter of a radial access: from the right shoulder down the ascending aorta into the ostium."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from autocar_ros.synthetic.tubes import Tubes
from autocar_ros.types import FloatArray, IntArray, VesselGraph

RADIUS = 1.0  # mm, 6 French
LUMEN = 0.85  # mm
SPACING = 3.0  # mm between nodes
ATTENUATION = 0.05  # 1/mm of the wall, braided with metal
YIELD = 35.0  # mm behind the tip, over which the heart's motion fades


class Catheter:
    """A catheter that is held by the ostium and follows it with its tip."""

    def __init__(self, ostium: FloatArray, direction: FloatArray) -> None:
        """Lay a catheter into an `ostium` (3,) mm whose vessel leaves along the unit `direction` (3,)."""
        back = -direction
        way = np.array(
            [
                ostium,
                ostium + 8 * back + [0.0, 0.0, 1.0],
                ostium + 18 * back + [-3.0, 2.0, 12.0],
                ostium + 22 * back + [-7.0, 5.0, 38.0],
                ostium + 22 * back + [-12.0, 8.0, 75.0],
                ostium + 22 * back + [-35.0, 6.0, 115.0],
                ostium + 22 * back + [-110.0, 5.0, 170.0],
            ]
        )
        s = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
        self._along = np.arange(0.0, s[-1], SPACING)
        self._rest = CubicSpline(s, way)(self._along)
        n = len(self._along)
        self.edges: IntArray = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)
        branch = np.zeros(n, np.int64)
        self.wall = Tubes(self._rest, np.full(n, RADIUS), self.edges, branch)
        self.lumen = Tubes(self._rest, np.full(n, LUMEN), self.edges, branch)

    def __len__(self) -> int:
        return len(self._along)

    def position(self, ostium: FloatArray) -> FloatArray:
        """Nodes (N, 3) mm, tip first, when the ostium is at (3,) mm."""
        return np.asarray(self._rest + np.exp(-self._along / YIELD)[:, None] * (ostium - self._rest[0]))


def lay_catheter(graph: VesselGraph) -> Catheter:
    """Catheter in the root of a tree, whose node 0 is the ostium."""
    direction = graph.position[3] - graph.position[0]
    return Catheter(graph.position[0], direction / np.linalg.norm(direction))
