"""The method end to end: masks of a pair to a new graph, and frames to the living graph."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import InvalidInputError, ReconstructionError
from autocar_ros.geometry.carm import angle_between, camera_from_pose
from autocar_ros.sbp.backproject import hull, make_views, tube_volume
from autocar_ros.sbp.fusion import fuse
from autocar_ros.sbp.lifting import lift_both
from autocar_ros.types import FramePair, Mask, SparseVolume, VesselGraph
from autocar_ros.vessels.graph import build_skeleton
from autocar_ros.vessels.measure import measure_graph
from autocar_ros.vessels.skeleton import MASK_THRESHOLD, Centreline, distance_outside, extract_centreline

FULLEST = 0.5  # a mask with a larger share of vessel is no mask of vessels
GAP_VOXEL = 2.0  # mm, of the hull through which gaps are closed


class Reconstruction(NamedTuple):
    """What one key-frame pair gives."""

    volume: SparseVolume
    graph: VesselGraph


def reconstruct(pair: FramePair, config: ReconstructionConfig) -> Reconstruction:
    """Vessel graph of one pair of masks (the paper's reconstruction and graph initialisation).

    Raises
    ------
    ReconstructionError
        When a mask is empty or full, the views are too close to each other, or have no vessel in common.
    """
    start = time.perf_counter()
    _check_angle(pair, config)
    lines = (_centreline(pair.mask_a, "A"), _centreline(pair.mask_b, "B"))
    cameras = (camera_from_pose(pair.pose_a), camera_from_pose(pair.pose_b))
    outside = (distance_outside(pair.mask_a), distance_outside(pair.mask_b))
    views = make_views(*cameras, *outside)
    # sparse back-projection: both centrelines lifted to 3D, and the voxels that both masks allow
    cloud = fuse(*lift_both(lines[0], cameras[0], lines[1], cameras[1], config), config)
    # graph initialisation: neighbours, spanning tree, gaps closed through the hull, branches from the ostium
    skeleton = build_skeleton(cloud.points, cloud.radius, hull(views, GAP_VOXEL, config), config)
    graph = measure_graph(skeleton, cloud, lines, cameras, outside)
    volume = tube_volume(views, graph.position, graph.radius, config)
    return Reconstruction(volume, graph.with_(
        stamp_a_ns=pair.stamp_a_ns, stamp_b_ns=pair.stamp_b_ns, phase=pair.phase_a,
        processing_time=time.perf_counter() - start,
    ))  # fmt: skip


def _check_angle(pair: FramePair, config: ReconstructionConfig) -> None:
    angle = np.degrees(angle_between(pair.pose_a, pair.pose_b))
    if min(angle, 180 - angle) < config.smallest_angle:
        raise ReconstructionError(
            f"the views are {angle:.1f} degrees apart, depth needs at least {config.smallest_angle:g} (and not opposite): "
            "choose another pair of angles"
        )


def _centreline(mask: Mask, plane: str) -> Centreline:
    share = np.mean(mask >= MASK_THRESHOLD)
    if share > FULLEST:
        raise ReconstructionError(f"mask of plane {plane} is {share:.0%} vessel: the segmentation failed, look at the image")
    try:
        return extract_centreline(mask)
    except InvalidInputError as error:
        raise ReconstructionError(f"plane {plane}: {error}") from error
