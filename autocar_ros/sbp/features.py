"""What both views say about points in space, as the network's input: computed in torch, on any device.

Next to what the paper gathers (distance to the mask, equation 6), every voxel is told how far it lies from the
centreline of each view and from where that centreline was lifted to, how much worse everything would be explained if
it were at the voxel's depth instead, and where the axis of a vessel would lie that both views see there.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from autocar_ros.sbp.backproject import Views, gather, project
from autocar_ros.sbp.lifting import DEPTH_STEP
from autocar_ros.sbp.observation import PICTURE, Evidence

VIEW_FEATURES = 15
JOINT_FEATURES = 7
REACH = 4.0  # mm; distances beyond tell no more
MOST_REGRET = 12.0  # mm; what costs more tells no more
COMMON_REGRET = 3.0  # mm, of the true depth where lifting found another: 0.5 to 13, 4 in the median
PARALLEL = 0.02  # keeps the crossing of two lines finite where the vessel runs in the plane of both rays


class Features(NamedTuple):
    """Input of the network at N points."""

    of_views: list[Tensor]  # V of (VIEW_FEATURES, N): a row of N numbers at a time is what a core does best
    joint: Tensor  # (JOINT_FEATURES, N)
    pixels: Tensor  # (V, N, 2)


def features(points: Tensor, seen: Evidence) -> Features:
    """Features of points (N, 3) mm."""
    pixels, depth = project(points, seen.views)
    size = seen.views.pixel_size[:, None] * depth  # (V, N) mm per px
    signed = gather(seen.signed, pixels)[..., 0] * size
    across = points.t().contiguous()
    of_views, lateral, normal, radius = [], [], [], []
    for v in range(len(depth)):
        column, row = pixels[v].t().contiguous()
        nearest = _nearest(column, row, seen.nearest[v], seen.signed[v].shape[1:])
        curve = seen.curves[v].t().contiguous().index_select(1, nearest)
        offset = ((column - curve[0]) * curve[2] + (row - curve[1]) * curve[3]) * size[v]
        r = curve[4] * size[v]
        lateral.append(offset)
        radius.append(r)
        normal.append(_image_axes(seen.views, v).t() @ curve[2:4])
        regret = _regret(depth[v], nearest, seen.regret[v], seen.first_depth[v])
        of_views.append(_of_view(across, signed[v], offset.abs(), r, curve, regret))
    return Features(of_views, _joint(lateral, normal, radius, signed), pixels)


def picture_pixels(pixels: Tensor, seen: Evidence) -> Tensor:
    """Pixels (V, N, 2) of the images as pixels of the encoder's maps."""
    shape = [[s.shape[2], s.shape[1]] for s in seen.signed]
    scale = PICTURE / torch.tensor(shape, dtype=pixels.dtype, device=pixels.device)[:, None]
    return (pixels + 0.5) * scale - 0.5


def _nearest(column: Tensor, row: Tensor, nearest: Tensor, shape: torch.Size) -> Tensor:
    rows, columns = shape
    pixel = row.round().clamp(0, rows - 1).long() * columns + column.round().clamp(0, columns - 1).long()
    return nearest.index_select(0, pixel).long()


def _image_axes(views: Views, view: int) -> Tensor:
    """(2, 3) unit vectors in the world along the columns and rows of an image."""
    u, v, w = views.projection[view, :, :3]
    axes = torch.stack([u - (u @ w) * w, v - (v @ w) * w])
    unit: Tensor = axes / torch.linalg.vector_norm(axes, dim=1, keepdim=True)
    return unit


def _regret(depth: Tensor, row: Tensor, regret: Tensor, first: Tensor) -> Tensor:
    """(N,) mm that everything costs more if points of a centreline, rows of `regret`, lie at depths (N,) mm."""
    label = ((depth - first) / DEPTH_STEP).round().clamp(0, regret.shape[1] - 1)
    return regret.reshape(-1).index_select(0, row * regret.shape[1] + label.long())


def _of_view(points: Tensor, signed: Tensor, offset: Tensor, radius: Tensor, curve: Tensor, regret: Tensor) -> Tensor:
    """(VIEW_FEATURES, N) of one view at points (3, N), with the row of `Evidence.curves` (14, N) nearest to each."""
    away = points - curve[5:8]
    along = (away * curve[8:11]).sum(0)
    from_curve = (away.square().sum(0) - along.square()).clamp_min(0).sqrt()
    lifted_radius = curve[11]
    return torch.stack(
        [
            signed.clamp(-3, 3),
            torch.exp(-2 * signed.clamp_min(0).square()),
            radius.clamp_max(3),
            offset.clamp_max(REACH),
            (radius - offset).clamp(-3, 3),
            from_curve.clamp_max(2 * REACH) / 2,
            torch.exp(-0.5 * from_curve.square()),
            (lifted_radius - from_curve).clamp(-3, 3),
            torch.exp(-0.5 * (from_curve / lifted_radius.clamp_min(0.3)).square()),
            along.abs().clamp_max(2 * REACH) / 2,
            curve[12],
            curve[13],
            (radius - lifted_radius).clamp(-2, 2),
            regret.clamp_max(MOST_REGRET) / 6,
            torch.exp(-regret / COMMON_REGRET),
        ]
    )


def _joint(lateral: list[Tensor], normal: list[Tensor], radius: list[Tensor], signed: Tensor) -> Tensor:
    """(JOINT_FEATURES, N) of all views; of more than two views their pairs are averaged.

    Offsets s_1, s_2 (mm) across the vessel along unit normals n_1, n_2 put its axis at the shortest vector o with
    o . n_k = s_k.
    """
    found = []
    for i in range(len(lateral)):
        for j in range(i):
            cosine = (normal[i] * normal[j]).sum(0)
            sine = 1 - cosine.square()
            square = lateral[i].square() + lateral[j].square() - 2 * lateral[i] * lateral[j] * cosine
            axis = (square.clamp_min(0) / (sine + PARALLEL)).sqrt()
            least = torch.minimum(radius[i], radius[j])
            found.append(
                torch.stack(
                    [
                        axis.clamp_max(REACH),
                        (least - axis).clamp(-3, 3),
                        torch.exp(-0.5 * (axis / least.clamp_min(0.3)).square()),
                        (radius[i] - radius[j]).abs().clamp_max(2),
                        sine,
                        torch.maximum(signed[i], signed[j]).clamp(-3, 3),
                        least.clamp_max(3),
                    ]
                )
            )
    return found[0] if len(found) == 1 else torch.stack(found).mean(0)
