"""Visual hull (Laurentini 1994): every voxel that both masks allow. The ghosts of two views are all in it."""

from __future__ import annotations

from autocar_ros.config import ReconstructionConfig
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.sbp.backproject import hull, make_views
from autocar_ros.types import FramePair, SparseVolume
from autocar_ros.vessels.skeleton import distance_outside


def visual_hull(pair: FramePair, voxel_size: float = 0.5, box_size: float = 200.0) -> SparseVolume:
    """Voxels [mm] of a cube around the isocentre whose centre projects into both masks."""
    views = make_views(
        (camera_from_pose(pair.pose_a), camera_from_pose(pair.pose_b)),
        (distance_outside(pair.mask_a), distance_outside(pair.mask_b)),
    )
    return hull(views, voxel_size, ReconstructionConfig(tolerance=0.0, box_size=box_size))
