"""The pose of plane B that known matches would give: what any method could reach at best from two views.

Every true point is given as seen in both images, with a small error, and only the pose is unknown. What is wrong then
does not show in two views: above all the size of the tree, as the distance of both X-ray sources is not known.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares

from autocar_ros.geometry.alignment import corrected
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.geometry.epipolar import triangulate
from autocar_ros.sbp.pose_refinement import moved
from autocar_ros.types import CArmPose, FloatArray, FramePair, VesselGraph, ViewAlignment

MATCH_ERROR = 0.5  # px, of each point in each image: about that of a centreline
USUAL = np.array([np.radians(3.0), np.radians(3.0), 15.0, 15.0, 15.0])  # rad and mm, the errors that are expected


def matched_pose(pair: FramePair, truth: VesselGraph, poses: tuple[CArmPose, CArmPose]) -> CArmPose:
    """Pose of plane B by least squares: angles and table, from its pose as believed, under their usual errors.

    Parameters
    ----------
    pair : as believed; its masks are not looked at
    truth : what both views show, its nodes are the matches
    poses : that the images were made with
    """
    rng = np.random.default_rng(len(truth))
    seen = [camera_from_pose(pose).project(truth.position)[0] for pose in poses]
    a, b = (pixels + rng.normal(0.0, MATCH_ERROR, pixels.shape) for pixels in seen)
    first = camera_from_pose(pair.pose_a)

    def pose(x: FloatArray) -> CArmPose:
        return corrected(pair.pose_b, moved(ViewAlignment(), pair.pose_b, x * USUAL))

    def misfit(x: FloatArray) -> FloatArray:
        second = camera_from_pose(pose(x))
        points = triangulate(first.projection, second.projection, a, b).points
        beside = [_beside(first, points, a), _beside(second, points, b)]
        return np.concatenate([*beside, x])

    return pose(least_squares(misfit, np.zeros(len(USUAL))).x)


def _beside(camera: Camera, points: FloatArray, pixels: FloatArray) -> FloatArray:
    """How far (2 N,) projected points lie beside their pixels, in standard deviations."""
    return np.asarray((camera.project(points)[0] - pixels).ravel() / MATCH_ERROR)
