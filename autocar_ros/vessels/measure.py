"""What the views say about every node of a skeleton: radius, confidence, 1-sigma position, visibility."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from autocar_ros.geometry.camera import Camera
from autocar_ros.types import DistanceMap, FloatArray, IntArray, Mask, SeenBy, VesselGraph
from autocar_ros.vessels import reprojection, tree
from autocar_ros.vessels.graph import Cloud, Skeleton
from autocar_ros.vessels.radius import branch_radius, fuse_radius, lumen_radius
from autocar_ros.vessels.skeleton import Centreline

PIXEL_SIGMA = 0.7  # px, 1-sigma of a centreline point across the vessel
SUPPORT = 1.5  # mm; a node further from every lifted point was made by closing a gap
UNSEEN = 0.5  # factor of the confidence for every mask that does not show a node
GAP_CONFIDENCE = 0.1


def measure_graph(
    skeleton: Skeleton,
    cloud: Cloud,
    lines: tuple[Centreline, Centreline],
    cameras: tuple[Camera, Camera],
    outside: tuple[DistanceMap, DistanceMap],
) -> VesselGraph:
    """Vessel graph of a skeleton; `outside` holds the distance maps of both masks (`skeleton.distance_outside`)."""
    points = skeleton.points
    distance, nearest = (np.asarray(found) for found in KDTree(cloud.points).query(points))
    seen = reprojection.seen_by(points, cameras, outside)
    both = ((seen & SeenBy.A) > 0).astype(float) + ((seen & SeenBy.B) > 0)
    supported = distance <= SUPPORT
    confidence = np.where(supported, cloud.confidence[nearest], GAP_CONFIDENCE) * UNSEEN ** (2 - both)
    apart = np.where(supported, cloud.disagreement[nearest], distance)
    graph = VesselGraph(
        position=points,
        radius=node_radius(points, skeleton.edges, skeleton.branch, cameras, _inside(outside)),
        edges=skeleton.edges,
        branch=skeleton.branch,
        branch_label=tuple(f"branch_{k}" for k in range(int(skeleton.branch.max(initial=-1)) + 1)),
        confidence=np.clip(confidence, 0.0, 1.0),
        sigma=np.hypot(ray_sigma(points, cameras), apart / 2),
        seen_by=seen,
    )
    return reprojection.explain(graph, lines, cameras)


def node_radius(
    points: FloatArray, edges: IntArray, branch: IntArray, cameras: tuple[Camera, Camera], masks: tuple[Mask, Mask]
) -> FloatArray:
    """Radius (N,) mm of nodes (N, 3) with edges (E, 2) and branch (N,) from both masks (rows, columns) 0..255."""
    tangent = tree.chain_tangents(points, edges)
    of_a, of_b = (lumen_radius(points, tangent, c, m) for c, m in zip(cameras, masks, strict=True))
    return branch_radius(fuse_radius(of_a, of_b), branch)


def _inside(outside: tuple[DistanceMap, DistanceMap]) -> tuple[Mask, Mask]:
    """Masks of distance maps."""
    a, b = (np.where(distance > 0, np.uint8(0), np.uint8(255)) for distance in outside)
    return a, b


def ray_sigma(points: FloatArray, cameras: tuple[Camera, Camera]) -> FloatArray:
    """1-sigma (N,) mm per axis of points (N, 3) triangulated from two rays with `PIXEL_SIGMA` px each.

    Across the plane of both rays the two views average; within it two lines cross at the angle between the rays, and
    the variance of the crossing grows with 1 / sin^2.
    """
    rays, size = [], []
    for camera in cameras:
        vector = points - camera.source
        rays.append(vector / np.linalg.norm(vector, axis=1, keepdims=True))
        size.append(camera.mm_per_pixel(camera.project(points)[1]))
    variance = (PIXEL_SIGMA * np.mean(size, axis=0)) ** 2
    sine = np.linalg.norm(np.cross(rays[0], rays[1]), axis=1)
    return np.asarray(np.sqrt(variance * (0.5 + 2.0 / np.maximum(sine, 0.05) ** 2) / 3.0))
