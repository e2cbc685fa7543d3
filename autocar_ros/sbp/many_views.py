"""Three views or more to one graph: every two of them reconstructed, and all others asked to confirm.

A point that two views agree on may be a ghost; a third view that shows no vessel there gives it away. What one pair
does not find, because a vessel runs along its epipolar lines or under another, the next pair may; of that only what
no vessel found before explains in every view is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import InvalidInputError, ReconstructionError
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import axes_apart, camera_from_pose
from autocar_ros.sbp.backproject import HULL_VOXEL, hull, make_views
from autocar_ros.sbp.fusion import completed
from autocar_ros.sbp.network import SbpNetwork
from autocar_ros.sbp.observation import observe
from autocar_ros.sbp.prediction import pair_cloud
from autocar_ros.sbp.recorded import paired
from autocar_ros.types import CArmPose, DistanceMap, FloatArray, VesselGraph, Vessels
from autocar_ros.vessels.graph import Cloud, build_skeleton
from autocar_ros.vessels.measure import measure_graph
from autocar_ros.vessels.skeleton import distance_outside


def reconstruct_views(
    shown: Sequence[Vessels], poses: Sequence[CArmPose], config: ReconstructionConfig, network: SbpNetwork | None
) -> VesselGraph:
    """Vessel graph of V views of one heart phase; its first two views are plane A and B.

    Raises
    ------
    InvalidInputError
        With fewer than three views (two are `pipeline.reconstruct`'s).
    ReconstructionError
        When no two views can be reconstructed, or nothing is confirmed by the others.
    """
    if len(shown) < 3:
        raise InvalidInputError(f"need three views or more, got {len(shown)}")
    pairs = _pairs(poses, config)
    seen = {(a, b): observe(paired(shown[a], shown[b], poses[a], poses[b]), config) for a, b in {(0, 1), *pairs}}
    cameras = [camera_from_pose(pose) for pose in poses]
    outside = [distance_outside(vessels.mask) for vessels in shown]
    cloud: Cloud | None = None
    for pair in pairs:
        found, _ = pair_cloud(seen[pair], config, network)
        others = [k for k in range(len(shown)) if k not in pair]
        wrong = np.any([contradicted(found.points, cameras[k], outside[k], config.tolerance) for k in others], axis=0)
        found = Cloud(*(values[~wrong] for values in found))
        cloud = found if cloud is None else completed(cloud, found, cameras)
    assert cloud is not None
    skeleton = build_skeleton(cloud, hull(make_views(cameras, outside), HULL_VOXEL, config), config)
    first = seen[0, 1]
    return measure_graph(skeleton, cloud, first.lines, first.cameras, first.outside)


def _pairs(poses: Sequence[CArmPose], config: ReconstructionConfig) -> list[tuple[int, int]]:
    """Every two views that tell depth, those nearest to a right angle first."""
    angle = {(i, j): axes_apart(poses[i], poses[j]) for i, j in combinations(range(len(poses)), 2)}
    enough = [pair for pair, degrees in angle.items() if degrees >= config.smallest_angle]
    if not enough:
        raise ReconstructionError(
            f"no two views are {config.smallest_angle:g} degrees apart: for depth choose runs from other angles"
        )
    return sorted(enough, key=lambda pair: -angle[pair])


def contradicted(points: FloatArray, camera: Camera, outside: DistanceMap, tolerance: float) -> NDArray[np.bool_]:
    """Whether a view has nothing within `tolerance` mm of points (N, 3) mm in its image; `outside`: px to its mask."""
    pixels, depth = camera.project(points)
    inside = camera.contains(pixels) & (depth > 0)
    column, row = np.rint(pixels[inside]).astype(int).T
    found = np.zeros(len(points), np.bool_)
    found[inside] = outside[row, column] * camera.mm_per_pixel(depth[inside]) > tolerance
    return found
