"""The paper's own graph optimisation (its equations 12, 13, 15, 16 and Algorithm 1): the yardstick of the tracking.

Nodes are matched to the points of both masks, and of a reconstruction where there is one, curve segment by curve
segment; a deformation graph of rigid motions then takes the nodes to their matches, by L-BFGS on an L1 loss. What the
paper leaves open (number of rounds, neighbours, widths, weights) is an option here, chosen for the smallest error on
simulated sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from scipy.spatial import KDTree
from torch import Tensor

from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.camera import Camera
from autocar_ros.types import FloatArray, IntArray, VesselGraph
from autocar_ros.vessels.tree import chains


class MaskLine(NamedTuple):
    """Centreline of a mask."""

    camera: Camera
    points: FloatArray  # (M, 2) px


@dataclass(frozen=True)
class LbfgsOptions:
    """What the paper does not give, but for `grid`, which is 10 times its eps_v."""

    grid: float = 30.0  # mm, spacing of the deformation graph (eq. 15)
    neighbours: int = 6  # of each of its nodes (eq. 16)
    sigma: float = 5.0  # of the weights (eq. 12), root of mm as printed
    rigidity: float = 0.1  # weight of the regularisation (eq. 13)
    rounds: int = 5  # of matching and fitting
    steps: int = 15  # of L-BFGS in a round


class LbfgsRefit:
    """Moves the nodes of one graph to what two masks show, as the paper does."""

    def __init__(self, graph: VesselGraph, options: LbfgsOptions | None = None) -> None:
        self.options = options or LbfgsOptions()
        self._curves = chains(len(graph), graph.edges)

    def __call__(self, start: FloatArray, views: Sequence[MaskLine], points: FloatArray | None = None) -> FloatArray:
        """Nodes (N, 3) mm fitted from where they are at `start` (N, 3) mm.

        Parameters
        ----------
        views : centrelines of the masks
        points : (M, 3) mm, centreline points of a new reconstruction; None between key frames
        """
        deformation = Deformation(start, self.options)
        position = start
        for _ in range(self.options.rounds):
            targets = [_Target(self._matched(view.camera.project(position)[0], view.points), view) for view in views]
            in_space = None if points is None else torch.from_numpy(self._matched(position, points))
            position = deformation.fit(targets, in_space)
        return position

    def _matched(self, nodes: FloatArray, points: FloatArray) -> FloatArray:
        """Matched points (N, D) of nodes (N, D); where curves meet the mean of theirs."""
        total, count = np.zeros_like(nodes), np.zeros((len(nodes), 1))
        for curve in self._curves:
            total[curve] += points[match_curve(nodes[curve], points)]
            count[curve] += 1
        return np.where(count > 0, total / np.maximum(count, 1), nodes)


class _Target:
    """Matched points of one view, and how nodes come there."""

    def __init__(self, pixels: FloatArray, view: MaskLine) -> None:
        self._pixels = torch.from_numpy(pixels)
        self._projection = torch.from_numpy(view.camera.projection)
        self._focal = float(view.camera.mm_per_pixel(1.0))  # mm of a pixel, per mm of depth

    def loss(self, position: Tensor) -> Tensor:
        """L1 distance in mm, sum over the nodes."""
        h = position @ self._projection[:, :3].T + self._projection[:, 3]
        gap = (h[:, :2] / h[:, 2:] - self._pixels) * h[:, 2:].detach() * self._focal
        return gap.abs().sum()


class Deformation:
    """Deformation graph (eqs. 12, 15, 16) about points (N, 3) mm: one rigid motion for each of its nodes."""

    def __init__(self, points: FloatArray, options: LbfgsOptions) -> None:
        self._options = options
        node = np.unique(options.grid * np.ceil(points / options.grid), axis=0)
        count = min(options.neighbours + 1, len(node))
        near = np.asarray(KDTree(node).query(node, k=list(range(1, count + 1)))[1])[:, 1:]
        self._u = torch.from_numpy(np.repeat(np.arange(len(node)), near.shape[1]))
        self._v = torch.from_numpy(near.ravel())
        self._node = torch.from_numpy(node)
        self._points = torch.from_numpy(points)
        distance = torch.cdist(self._points, self._node)
        self._weight = torch.softmax(-distance / (2 * options.sigma**2), 1)
        self._motion = torch.zeros((len(node), 6), dtype=torch.float64, requires_grad=True)

    def warp(self) -> Tensor:
        """Warped points (N, 3) mm (eq. 12)."""
        turn, shift = _rigid(self._motion)
        local = self._points[:, None] - self._node
        moved = torch.einsum("kij,nkj->nki", turn, local) + shift + self._node
        return (self._weight[..., None] * moved).sum(1)

    def stiffness(self) -> Tensor:
        """How far the motions of neighbours disagree on each other's place, mm, summed (eq. 13)."""
        turn, shift = _rigid(self._motion)
        way = self._node[self._u] - self._node[self._v]
        gap = torch.einsum("eij,ej->ei", turn[self._v], way) + shift[self._v] - way - shift[self._u]
        return torch.sqrt((gap**2).sum(1) + 1e-12).sum()

    def fit(self, targets: Sequence[_Target], in_space: Tensor | None) -> FloatArray:
        """Bring the points to their matches by L-BFGS; goes on from the last fit."""
        options = self._options
        solver = torch.optim.LBFGS([self._motion], max_iter=options.steps, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            solver.zero_grad()
            position = self.warp()
            loss = torch.stack([target.loss(position) for target in targets]).sum() if targets else position.sum() * 0
            if in_space is not None:
                loss = loss + (position - in_space).abs().sum()
            loss = loss + options.rigidity * self.stiffness()
            loss.backward()
            return loss

        solver.step(closure)
        with torch.no_grad():
            return self.warp().numpy()


def match_curve(curve: FloatArray, points: FloatArray) -> IntArray:
    """Point of a scatter that every point of a curve corresponds to (Algorithm 1), by full dynamic programming.

    Minimises the sum of the distances and of the differences between the steps along the curve and along its matches;
    takes time N * M^2.

    Parameters
    ----------
    curve : (N, D)
    points : (M, D)

    Returns
    -------
    (N,) index into points
    """
    if len(points) == 0:
        raise InvalidInputError("there are no points to match a curve to")
    deep = ((0, 0), (0, 3 - curve.shape[1]))
    rows = (np.ascontiguousarray(np.pad(of, deep).T, np.float64) for of in (curve, points))
    return np.asarray(_match_curve(*rows))


@njit(cache=True, fastmath=True)
def _match_curve(p, q):  # type: ignore[no-untyped-def]
    """Algorithm 1 on coordinates (3, N) and (3, M): sums in rows, so that the compiler takes several at once."""
    n, m = p.shape[1], q.shape[1]
    cost, new, value = np.empty(m), np.empty(m), np.empty(m)
    before = np.zeros((n, m), np.int32)
    for i in range(n):
        for j in range(m):
            near = np.sqrt((p[0, i] - q[0, j]) ** 2 + (p[1, i] - q[1, j]) ** 2 + (p[2, i] - q[2, j]) ** 2)
            if i == 0:
                new[j] = near
                continue
            x = p[0, i] - p[0, i - 1] - q[0, j]
            y = p[1, i] - p[1, i - 1] - q[1, j]
            z = p[2, i] - p[2, i - 1] - q[2, j]
            for k in range(m):
                value[k] = cost[k] + np.sqrt((x + q[0, k]) ** 2 + (y + q[1, k]) ** 2 + (z + q[2, k]) ** 2)
            best = np.argmin(value)
            new[j], before[i, j] = value[best] + near, best
        cost, new = new, cost
    found = np.empty(n, np.int64)
    found[n - 1] = np.argmin(cost)
    for i in range(n - 1, 0, -1):
        found[i - 1] = before[i, found[i]]
    return found


def _rigid(motion: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations (K, 3, 3) and translations (K, 3) of motions (K, 6): rotation vectors, then translations."""
    x, y, z = motion[:, :3].unbind(1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    return torch.linalg.matrix_exp(skew), motion[:, 3:]
