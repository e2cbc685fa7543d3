"""What a pair of masks says before anything is learned: centrelines, distances, and both centrelines lifted to 3D."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import InvalidInputError, ReconstructionError
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.sbp.backproject import HULL_VOXEL, Views, hull, make_views
from autocar_ros.sbp.densitometry import absorbed_across
from autocar_ros.sbp.lifting import Lifted, confidence, lift_both
from autocar_ros.types import MASK_THRESHOLD, AbsorptionMap, DistanceMap, FramePair, Mask, SparseVolume
from autocar_ros.vessels import tree
from autocar_ros.vessels.skeleton import Centreline, bounding_box, distance_outside, extract_centreline

FULLEST = 0.4  # a mask with a larger share of vessel shows no vessels
PICTURE = 128  # rows and columns of what the 2D encoder sees
SMOOTHING = 3.0  # points along a lifted curve: takes the steps of the depth search away


class Observation(NamedTuple):
    """Both views of one moment."""

    lines: tuple[Centreline, Centreline]
    cameras: tuple[Camera, Camera]
    outside: tuple[DistanceMap, DistanceMap]  # px from a pixel to the mask, 0 inside
    lifted: tuple[Lifted, Lifted]
    views: Views
    hull: SparseVolume  # of both masks, voxels of `HULL_VOXEL`


class Evidence(NamedTuple):
    """An observation as tensors, what the network looks at; one entry of the tuples is one view."""

    views: Views
    signed: tuple[Tensor, ...]  # (1, rows, columns) px to the border of the mask, negative inside
    nearest: tuple[Tensor, ...]  # (rows * columns,) row of `curves` nearest to a pixel
    curves: tuple[Tensor, ...]  # (M, 14) a centreline and where it was lifted to, see `_curve`
    regret: tuple[Tensor, ...]  # (M, D) mm, of these points, see `Lifted`
    first_depth: Tensor  # (V,) mm, of `regret`
    pictures: Tensor  # (V, 3, PICTURE, PICTURE) input of the 2D encoder
    allowed: Tensor  # (N, 3) voxels of `HULL_VOXEL` that all masks allow
    origin: Tensor  # (3,) mm, corner of their box

    def to(self, device: torch.device | str) -> Evidence:
        """Return a copy on a device."""
        of_views = (self.signed, self.nearest, self.curves, self.regret)
        signed, nearest, curves, regret = (tuple(t.to(device) for t in field) for field in of_views)
        rest = (t.to(device) for t in (self.first_depth, self.pictures, self.allowed, self.origin))
        return Evidence(self.views.to(device), signed, nearest, curves, regret, *rest)


def observe(pair: FramePair, config: ReconstructionConfig) -> Observation:
    """Centrelines of both masks, lifted.

    Raises
    ------
    ReconstructionError
        When a mask is empty or full.
    """
    lines = centrelines(pair)
    cameras = (camera_from_pose(pair.pose_a), camera_from_pose(pair.pose_b))
    outside = (distance_outside(pair.mask_a), distance_outside(pair.mask_b))
    lifted = lift_both(lines[0], cameras[0], lines[1], cameras[1], config)
    views = make_views(cameras, outside)
    return Observation(lines, cameras, outside, lifted, views, hull(views, HULL_VOXEL, config))


def centrelines(pair: FramePair) -> tuple[Centreline, Centreline]:
    """Centrelines of both masks; raises `ReconstructionError` when one is empty or full."""
    return _centreline(pair.mask_a, pair.absorption_a, "A"), _centreline(pair.mask_b, pair.absorption_b, "B")


def evidence(seen: Observation) -> Evidence:
    """Return the tensors the network looks at."""
    signed = [signed_distance(outside) for outside in seen.outside]
    other = [seen.lifted[1], seen.lifted[0]]
    curves = [_curve(*parts) for parts in zip(seen.lines, seen.lifted, other, seen.cameras, strict=True)]
    return Evidence(
        seen.views,
        tuple(torch.from_numpy(s[None]) for s in signed),
        tuple(torch.from_numpy(line.nearest.reshape(-1)) for line in seen.lines),
        tuple(torch.from_numpy(c) for c in curves),
        tuple(torch.from_numpy(lifted.regret[lifted.of_point].astype(np.float32)) for lifted in seen.lifted),
        torch.tensor([lifted.first_depth for lifted in seen.lifted]),
        torch.from_numpy(np.stack([mask_picture(s) for s in signed])),
        torch.from_numpy(seen.hull.voxels),
        torch.from_numpy(seen.hull.origin).float(),
    )


def _centreline(mask: Mask, absorption: AbsorptionMap | None, plane: str) -> Centreline:
    share = np.mean(mask >= MASK_THRESHOLD)
    if share > FULLEST:
        raise ReconstructionError(f"the mask of plane {plane} is {share:.0%} vessel: its segmentation failed")
    try:
        line = extract_centreline(mask)
    except InvalidInputError as error:
        raise ReconstructionError(f"plane {plane}: {error}") from error
    return line if absorption is None else replace(line, absorbed=absorbed_across(line, absorption))


def signed_distance(outside: DistanceMap) -> np.ndarray:
    """Signed distance (rows, columns) px to the border of a mask, negative inside; of `distance_outside`."""
    vessel = (outside <= 0).astype(np.uint8)
    box = bounding_box(vessel)  # with some background around it
    signed = outside - np.float32(0.5)  # the border lies between the last pixel inside and the first outside
    inside = cv2.distanceTransform(vessel[box], cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    signed[box] = np.where(vessel[box] > 0, 0.5 - inside, signed[box])
    return signed


def mask_picture(signed: np.ndarray) -> np.ndarray:
    """Share of vessel, signed distance in tens of px, closeness: (3, PICTURE, PICTURE) of a signed distance."""
    channels = ((signed < 0).astype(np.float32), np.clip(signed / 10, -1.5, 1.5), np.exp(-np.maximum(signed, 0) / 4))
    return np.stack([cv2.resize(c, (PICTURE, PICTURE), interpolation=cv2.INTER_AREA) for c in channels])


def _curve(line: Centreline, lifted: Lifted, other: Lifted, camera: Camera) -> np.ndarray:
    """Table (M, 14) float32 of a centreline.

    Columns: point (2) px, normal (2), radius px, then where it was lifted to: point (3) mm, tangent (3), radius mm,
    agreement 0..1 of both liftings, 1 if matched.
    """
    points = tree.smooth_chains(lifted.points, lifted.edges, SMOOTHING)
    sure = confidence(lifted.distance_to(other))
    three = np.column_stack(
        [points, tree.chain_tangents(points, lifted.edges), lifted.radius, sure, lifted.matched.astype(float)]
    )
    near = lifted.of_point
    two = tree.chain_tangents(line.points, line.edges)
    normal = np.stack([-two[:, 1], two[:, 0]], 1)
    return np.column_stack([line.points, normal, line.radius, three[near]]).astype(np.float32)
