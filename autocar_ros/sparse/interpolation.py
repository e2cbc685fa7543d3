"""Values at any point from those of sparse voxels: the paper's sparse interpolation."""

from __future__ import annotations

import torch
from torch import Tensor

from autocar_ros.sparse.voxels import Voxels


def interpolate(
    values: Tensor, voxels: Voxels, points: Tensor, batch: Tensor | None = None, normalize: bool = False
) -> Tensor:
    """Trilinear interpolation; differentiable in the values and the points.

    Parameters
    ----------
    values : (N, C) of the voxels
    points : (P, 3) in voxels, the centre of voxel (i, j, k) at (i, j, k) + 0.5
    batch : (P,) item of every point; all 0 unless given
    normalize : take the mean over the voxels that are there; otherwise absent voxels count as 0

    Returns
    -------
    (P, C); 0 where no voxel is near
    """
    corner = torch.floor(points - 0.5)
    fraction = points - 0.5 - corner
    total = values.new_zeros(len(points), values.shape[1])
    present = values.new_zeros(len(points), 1)
    padded = torch.cat([values, values.new_zeros(1, values.shape[1])])
    for octant in range(8):
        step = torch.tensor([octant >> 2, octant >> 1 & 1, octant & 1], device=points.device)
        row = voxels.find((corner + step).long(), batch)
        there = row >= 0
        weight = torch.where(step == 1, fraction, 1 - fraction).prod(1).to(values.dtype)
        weight = torch.where(there, weight, 0)  # also of points that are not a number
        total = total + weight[:, None] * padded.index_select(0, torch.where(there, row, len(values)))
        present = present + weight[:, None]
    return total / present.clamp_min(torch.finfo(values.dtype).tiny) if normalize else total
