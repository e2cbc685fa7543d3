"""The method end to end: masks of a pair to a new graph, and frames to the living graph."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from autocar_ros.config import (
    AlignmentConfig,
    ReconstructionConfig,
    SegmentationConfig,
    SynchronizationConfig,
    TrackingConfig,
)
from autocar_ros.errors import ReconstructionError
from autocar_ros.geometry.carm import angle_between, axes_apart
from autocar_ros.imaging.segmentation import find_vessels, segmenter_for
from autocar_ros.sbp.backproject import tube_volume
from autocar_ros.sbp.moments import confirmed, other_looks
from autocar_ros.sbp.network import SbpNetwork
from autocar_ros.sbp.observation import observe
from autocar_ros.sbp.prediction import guided, network_for, pair_cloud
from autocar_ros.sbp.refiner import Refiner
from autocar_ros.sync.alignment import Aligner
from autocar_ros.sync.pairing import Pairing
from autocar_ros.tracking.tracker import Tracker
from autocar_ros.types import CArmPose, Frame, FramePair, GraphStatus, SparseVolume, VesselGraph
from autocar_ros.vessels.graph import build_skeleton
from autocar_ros.vessels.measure import measure_graph

POOR_COVERAGE = 0.5  # a new graph that explains less of a mask is DEGRADED


class Reconstruction(NamedTuple):
    """What one key-frame pair gives."""

    volume: SparseVolume
    graph: VesselGraph


class Pipeline:
    """Segmentation, synchronisation, alignment, reconstruction and tracking of two planes, without ROS.

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
        alignment: AlignmentConfig | None = None,
    ) -> None:
        self.pose_a, self.pose_b = pose_a, pose_b
        self.segmenter = segmenter_for(segmentation)
        self.pairing = Pairing(synchronization or SynchronizationConfig())
        self.aligner = Aligner(alignment)
        self.reconstruction = reconstruction or ReconstructionConfig()
        self.refiner = Refiner(self.reconstruction, alignment or AlignmentConfig())
        self.network = network_for(self.reconstruction)
        self.tracker = Tracker(tracking or TrackingConfig())
        self.graph: VesselGraph | None = None
        self.problem = ""

    def step(self, frame_a: Frame, frame_b: Frame) -> VesselGraph | None:
        """Take an exposure of both planes and return the living graph; None before the first reconstruction."""
        # 1. Where are vessels?
        for plane, frame, pose in (("a", frame_a, self.pose_a), ("b", frame_b, self.pose_b)):
            self.pairing.add_pose(plane, frame.stamp_ns, pose)
            self.pairing.add_mask(plane, frame.stamp_ns, *find_vessels(self.segmenter, frame.image))
        # 2. Which two exposures show the same phase of the heart?
        pair = self.pairing.take()
        if pair is None:
            return self.graph
        # 3. Where does plane B really look from?
        pair = self.aligner.correct(pair)
        # 4. A new graph, at key frames
        new = None
        if pair.key_frame or self.graph is None:
            try:
                new, self.problem = reconstruct(pair, self.reconstruction, self.network).graph, ""
                # ... which show better where plane B looks from: for the next pairs
                refined = self.refiner.offer(pair) if pair.key_frame else None
                if refined is not None:
                    self.aligner.adopt(refined)
            except ReconstructionError as error:
                self.problem = str(error)
        # 5. The living graph follows every pair
        self.graph = self.tracker.update(pair, new)
        return self.graph


def reconstruct(
    pair: FramePair,
    config: ReconstructionConfig | None = None,
    network: SbpNetwork | None = None,
    more: Iterable[FramePair] = (),
) -> Reconstruction:
    """Vessel graph of one pair of masks (the paper's reconstruction and graph initialisation).

    Without a `network` (`sbp.prediction.network_for`) the lifted centrelines alone are the reconstruction. With `more`
    pairs, in which the vessels lie in the same place (`sbp.recorded`), what few of them confirm is left out, and what
    the first one lacks is added; each is asked for when the one before is done.

    Raises
    ------
    ReconstructionError
        When a mask is empty or full, the views are too close to each other, or have no vessel in common.
    """
    start, config = time.perf_counter(), config or ReconstructionConfig()
    _check_angle(pair, config)
    seen = observe(pair, config)
    # sparse back-projection: the voxels that both masks allow, and what the network makes of them
    cloud, volume = pair_cloud(seen, config, network)
    if more:
        cloud = confirmed([cloud, *other_looks(pair, more, config, network)], seen.cameras)
    between = seen.hull if volume is None else guided(seen.hull, volume)
    # graph initialisation: neighbours, spanning tree, gaps closed through the hull, branches from the ostium
    skeleton = build_skeleton(cloud, between, config)
    graph = measure_graph(skeleton, cloud, seen.lines, seen.cameras, seen.outside)
    graph = _judged(graph, pair).with_(
        stamp_a_ns=pair.stamp_a_ns,
        stamp_b_ns=pair.stamp_b_ns,
        phase=pair.phase_a,
        processing_time=time.perf_counter() - start,
    )
    return Reconstruction(volume or tube_volume(seen.views, graph.position, graph.radius, config), graph)


def _check_angle(pair: FramePair, config: ReconstructionConfig) -> None:
    if axes_apart(pair.pose_a, pair.pose_b) < config.smallest_angle:
        angle = np.degrees(angle_between(pair.pose_a, pair.pose_b))
        raise ReconstructionError(
            f"the views are {angle:.1f} degrees apart: for depth choose angles at least {config.smallest_angle:g} "
            "degrees apart and not opposite"
        )


def _judged(graph: VesselGraph, pair: FramePair) -> VesselGraph:
    worst = int(np.argmin(graph.coverage))
    reasons = [pair.doubt] if pair.doubt else []
    if graph.coverage[worst] < POOR_COVERAGE:
        reasons.append(f"the graph explains only {graph.coverage[worst]:.0%} of the vessels of plane {'AB'[worst]}")
    return graph.with_(status=GraphStatus.DEGRADED, status_reason="; ".join(reasons)) if reasons else graph
