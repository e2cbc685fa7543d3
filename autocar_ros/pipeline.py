"""The method end to end: masks of a pair to a new graph, and frames to the living graph."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from autocar_ros.config import ReconstructionConfig, SegmentationConfig, SynchronizationConfig, TrackingConfig
from autocar_ros.errors import InvalidInputError, ReconstructionError
from autocar_ros.geometry.carm import angle_between, camera_from_pose
from autocar_ros.imaging.segmentation import segment_vessels
from autocar_ros.sbp.backproject import hull, make_views, tube_volume
from autocar_ros.sbp.fusion import fuse
from autocar_ros.sbp.lifting import lift_both
from autocar_ros.sync.pairing import Pairing
from autocar_ros.tracking.tracker import Tracker
from autocar_ros.types import CArmPose, Frame, FramePair, GraphStatus, Mask, SparseVolume, VesselGraph
from autocar_ros.vessels.graph import build_skeleton
from autocar_ros.vessels.measure import measure_graph
from autocar_ros.vessels.skeleton import MASK_THRESHOLD, Centreline, distance_outside, extract_centreline

FULLEST = 0.4  # a mask with a larger share of vessel shows no vessels
GAP_VOXEL = 2.0  # mm, of the hull through which gaps are closed
POOR_COVERAGE = 0.5  # a new graph that explains less of a mask is DEGRADED


class Reconstruction(NamedTuple):
    """What one key-frame pair gives."""

    volume: SparseVolume
    graph: VesselGraph


class Pipeline:
    """Segmentation, synchronisation, reconstruction and tracking of two planes, without ROS.

    `pose_a`, `pose_b` are the poses of the next frames and may be set anew between steps. `pairing` takes an ECG;
    `problem` says why the last reconstruction failed, or is "".
    """

    def __init__(
        self,
        pose_a: CArmPose,
        pose_b: CArmPose,
        segmentation: SegmentationConfig | None = None,
        synchronization: SynchronizationConfig | None = None,
        reconstruction: ReconstructionConfig | None = None,
        tracking: TrackingConfig | None = None,
    ) -> None:
        self.pose_a, self.pose_b = pose_a, pose_b
        self.segmentation = segmentation or SegmentationConfig()
        self.pairing = Pairing(synchronization or SynchronizationConfig())
        self.reconstruction = reconstruction or ReconstructionConfig()
        self.tracker = Tracker(tracking or TrackingConfig())
        self.graph: VesselGraph | None = None
        self.problem = ""

    def step(self, frame_a: Frame, frame_b: Frame) -> VesselGraph | None:
        """Take an exposure of both planes and return the living graph; None before the first reconstruction."""
        # 1. Where are vessels?
        for plane, frame, pose in (("a", frame_a, self.pose_a), ("b", frame_b, self.pose_b)):
            self.pairing.add_pose(plane, frame.stamp_ns, pose)
            self.pairing.add_mask(plane, frame.stamp_ns, segment_vessels(frame.image, self.segmentation))
        # 2. Which two exposures show the same phase of the heart?
        pair = self.pairing.take()
        if pair is None:
            return self.graph
        # 3. A new graph, at key frames
        new = None
        if pair.key_frame or self.graph is None:
            try:
                new, self.problem = reconstruct(pair, self.reconstruction).graph, ""
            except ReconstructionError as error:
                self.problem = str(error)
        # 4. The living graph follows every pair
        self.graph = self.tracker.update(pair, new)
        return self.graph


def reconstruct(pair: FramePair, config: ReconstructionConfig | None = None) -> Reconstruction:
    """Vessel graph of one pair of masks (the paper's reconstruction and graph initialisation).

    Raises
    ------
    ReconstructionError
        When a mask is empty or full, the views are too close to each other, or have no vessel in common.
    """
    start, config = time.perf_counter(), config or ReconstructionConfig()
    _check_angle(pair, config)
    lines = (_centreline(pair.mask_a, "A"), _centreline(pair.mask_b, "B"))
    cameras = (camera_from_pose(pair.pose_a), camera_from_pose(pair.pose_b))
    outside = (distance_outside(pair.mask_a), distance_outside(pair.mask_b))
    views = make_views(*cameras, *outside)
    # sparse back-projection: both centrelines lifted to 3D, and the voxels that both masks allow
    cloud = fuse(*lift_both(lines[0], cameras[0], lines[1], cameras[1], config), config)
    # graph initialisation: neighbours, spanning tree, gaps closed through the hull, branches from the ostium
    skeleton = build_skeleton(cloud, hull(views, GAP_VOXEL, config), config)
    graph = measure_graph(skeleton, cloud, lines, cameras, outside)
    volume = tube_volume(views, graph.position, graph.radius, config)
    graph = _judged(graph).with_(
        stamp_a_ns=pair.stamp_a_ns,
        stamp_b_ns=pair.stamp_b_ns,
        phase=pair.phase_a,
        processing_time=time.perf_counter() - start,
    )
    return Reconstruction(volume, graph)


def _check_angle(pair: FramePair, config: ReconstructionConfig) -> None:
    angle = np.degrees(angle_between(pair.pose_a, pair.pose_b))
    if min(angle, 180 - angle) < config.smallest_angle:
        raise ReconstructionError(
            f"the views are {angle:.1f} degrees apart: for depth choose angles at least {config.smallest_angle:g} "
            "degrees apart and not opposite"
        )


def _centreline(mask: Mask, plane: str) -> Centreline:
    share = np.mean(mask >= MASK_THRESHOLD)
    if share > FULLEST:
        raise ReconstructionError(f"the mask of plane {plane} is {share:.0%} vessel: its segmentation failed")
    try:
        return extract_centreline(mask)
    except InvalidInputError as error:
        raise ReconstructionError(f"plane {plane}: {error}") from error


def _judged(graph: VesselGraph) -> VesselGraph:
    worst = int(np.argmin(graph.coverage))
    if graph.coverage[worst] >= POOR_COVERAGE:
        return graph
    reason = f"explains only {graph.coverage[worst]:.0%} of the vessels of plane {'AB'[worst]}"
    return graph.with_(status=GraphStatus.DEGRADED, status_reason=reason)
