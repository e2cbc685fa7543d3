"""C-arm angles to axes and cameras, and back.

Conventions (DICOM PS3.3 C.8.7.5, checked against the phantom's X-ray runs). World: LPS, mm, origin at the isocentre.
With primary angle p (+ = LAO) and secondary angle s (+ = cranial):

    d = ( sin p cos s, -cos p cos s,  sin s)    isocentre -> detector
    u = ( cos p,        sin p,        0    )    image column increases
    w = ( sin p sin s, -cos p sin s, -cos s)    image row increases
    source = offset - SOD d

An angiogram is displayed as seen from the detector, so (u, w, d) is LEFT-handed: u x w = -d. A ROS frame must be
right-handed, hence the optical frame of a plane has x = -u, y = w, z = d (as seen from the source), and the mirror
stands in the camera matrix, whose first focal length is negative. Projections are the same as with (u, w, d).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import array_api_compat
import numpy as np

from autocar_ros.errors import PoseError
from autocar_ros.geometry.camera import Camera
from autocar_ros.types import CArmPose, FloatArray


def carm_axes(primary: Any, secondary: Any) -> tuple[Any, Any, Any]:
    """Unit axes (u, w, d) of C-arm angles.

    Parameters
    ----------
    primary, secondary : (...) array of numpy or torch, rad

    Returns
    -------
    u, w, d : (..., 3) arrays of the same library
    """
    xp = array_api_compat.array_namespace(primary, secondary)
    sp, cp, ss, cs = xp.sin(primary), xp.cos(primary), xp.sin(secondary), xp.cos(secondary)
    u = xp.stack([cp, sp, xp.zeros_like(sp)], axis=-1)
    w = xp.stack([sp * ss, -cp * ss, -cs], axis=-1)
    d = xp.stack([sp * cs, -cp * cs, ss], axis=-1)
    return u, w, d


def projection_from_angles(
    primary: Any, secondary: Any, sid: Any, sod: Any, spacing: Any, center: Any, offset: Any
) -> Any:
    """World mm -> pixel projection matrices, differentiable in every argument under torch.

    Parameters
    ----------
    primary, secondary : (...) rad
    sid, sod : (...) mm
    spacing : (..., 2) (row, column) mm at the detector
    center : (..., 2) principal point (column, row) px
    offset : (..., 3) isocentre of this plane in the world, mm

    Returns
    -------
    (..., 3, 4) array, scaled so that the third row gives the depth in mm
    """
    xp = array_api_compat.array_namespace(primary, secondary)
    u, w, d = carm_axes(primary, secondary)
    rows = [
        (sid / spacing[..., 1])[..., None] * u + center[..., 0, None] * d,
        (sid / spacing[..., 0])[..., None] * w + center[..., 1, None] * d,
        d,
    ]
    linear = xp.stack(rows, axis=-2)
    source = offset - sod[..., None] * d
    return xp.concat([linear, -(linear @ source[..., None])], axis=-1)


def camera_from_pose(pose: CArmPose) -> Camera:
    """Camera of a C-arm pose; raises `PoseError` when the pose is not usable."""
    pose.check()
    u, w, d = carm_axes(np.float64(pose.primary_angle), np.float64(pose.secondary_angle))
    fx = pose.source_to_detector / pose.pixel_spacing[1]
    fy = pose.source_to_detector / pose.pixel_spacing[0]
    cx, cy = pose.center
    return Camera(
        matrix=np.array([[-fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]),
        rotation=np.stack([-u, w, d]),
        source=np.asarray(pose.isocenter_offset, float) - pose.source_to_isocenter * d,
        rows=pose.rows,
        columns=pose.columns,
    )


def pose_from_camera(camera: Camera, sid: float, sod: float, calibrated: bool = True) -> CArmPose:
    """C-arm pose of a camera: the inverse of `camera_from_pose`.

    A camera matrix holds only SID / spacing, and a source position only the sum of offset and SOD: `sid` and `sod`
    [mm] tell them apart. Raises `PoseError` for a mirrored image, skew, or a camera rolled about its axis, none of
    which a C-arm pose can express.
    """
    k = camera.matrix
    if k[0, 0] * k[1, 1] > 0:
        raise PoseError(
            "the image is mirrored against the DICOM display convention: CameraInfo needs one negative focal length "
            "(fx < 0 with the optical x axis against the columns); flip the image columns or the sign of K[0]"
        )
    if abs(k[0, 1]) > 1e-6 * abs(k[0, 0]):
        raise PoseError(f"a skewed camera matrix (K[1] = {k[0, 1]:g}) is not a C-arm")
    flip = np.sign(k[1, 1])
    d, w = camera.rotation[2], flip * camera.rotation[1]
    primary = float(np.arctan2(d[0], -d[1])) if np.hypot(d[0], d[1]) > 1e-9 else 0.0
    secondary = float(np.arcsin(np.clip(d[2], -1.0, 1.0)))
    _, w_expected, _ = carm_axes(np.float64(primary), np.float64(secondary))
    roll = float(np.degrees(np.arccos(np.clip(w @ w_expected, -1.0, 1.0))))
    if roll > 0.5:
        raise PoseError(f"the camera is rolled by {roll:.1f} degrees about its axis, which a C-arm pose cannot express")
    offset = camera.source + sod * d
    return CArmPose(
        primary_angle=primary,
        secondary_angle=secondary,
        source_to_detector=sid,
        source_to_isocenter=sod,
        pixel_spacing=(sid / abs(float(k[1, 1])), sid / abs(float(k[0, 0]))),
        rows=camera.rows,
        columns=camera.columns,
        principal_point=(float(k[0, 2]), float(k[1, 2])),
        isocenter_offset=(float(offset[0]), float(offset[1]), float(offset[2])),
        calibrated=calibrated,
    ).check()


def shift_image(pose: CArmPose, columns: float, rows: float) -> CArmPose:
    """Pose whose image is displaced by (columns, rows) px, as an in-plane table shift does."""
    cx, cy = pose.center
    return replace(pose, principal_point=(cx + columns, cy + rows))


def angle_between(a: CArmPose, b: CArmPose) -> float:
    """Angle between two viewing directions in rad, 0..pi."""
    da, db = (carm_axes(np.float64(p.primary_angle), np.float64(p.secondary_angle))[2] for p in (a, b))
    return float(np.arctan2(np.linalg.norm(np.cross(da, db)), da @ db))


def axes_apart(a: CArmPose, b: CArmPose) -> float:
    """Angle between two viewing axes in degrees, 0..90: at 0, views alike or opposite, there is no depth."""
    degrees = float(np.degrees(angle_between(a, b)))
    return min(degrees, 180 - degrees)


def mm_per_pixel(pose: CArmPose) -> float:
    """Size of a pixel at the isocentre, mm: spacing x SOD / SID (mean of both directions)."""
    return float(np.mean(pose.pixel_spacing)) * pose.source_to_isocenter / pose.source_to_detector


def viewing_direction(pose: CArmPose) -> FloatArray:
    """Unit vector from the isocentre to the detector, (3,)."""
    return np.asarray(carm_axes(np.float64(pose.primary_angle), np.float64(pose.secondary_angle))[2])
