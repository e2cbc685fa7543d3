"""Trees for training from CT masks: centreline, radii, occupancy and centreness (AutoCAR paper, eqs. 1, 3, 4)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree
from skimage.morphology import skeletonize

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import ReconstructionError
from autocar_ros.imaging.ct_mask import MaskVolume
from autocar_ros.types import FloatArray, IntArray, SparseVolume, VesselGraph
from autocar_ros.vessels import tree
from autocar_ros.vessels.export import save_graph
from autocar_ros.vessels.graph import shape_skeleton
from autocar_ros.vessels.surface import LEVEL, Surface, extract_surface, filtered_bricks, subdivision

THINNING_STEP = 0.3  # mm between the samples that are thinned: the smallest vessels are 0.5 mm wide
NEIGHBOURS = 1.0  # mm between thinned samples of one vessel; that bridges a break of a vessel as thin as a voxel
NODE_SPACING = 0.5  # mm
SHORTEST_BRANCH = 3.0  # mm; a shorter twig is a bump of the wall
VOXEL_SIZE = 0.5  # mm, of the labels
DIRECTIONS = 12  # across the vessel, in which the wall is looked for
ROUNDS = 3  # in which a node moves to the middle of its cross-section
SMOOTHING = 2.0  # nodes along the centreline
SMALLEST_RADIUS = 0.1  # mm


class CtTree(NamedTuple):
    """One vessel tree, all in the world of its mask (LPS, mm)."""

    graph: VesselGraph  # rooted at the end from which the vessels taper
    surface: Surface
    labels: SparseVolume  # voxels of 0.5 mm whose centre is in the lumen


def prepare_tree(volume: MaskVolume) -> CtTree:
    """Everything that training needs of a vessel tree in a mask.

    Raises
    ------
    ReconstructionError
        When there is no vessel as long as `SHORTEST_BRANCH`.
    """
    surface = extract_surface(volume)
    graph = extract_graph(volume, surface)
    return CtTree(graph, surface, label_voxels(volume, surface, graph))


def extract_graph(volume: MaskVolume, surface: Surface) -> VesselGraph:
    """Centreline and radii of the lumen in a mask within its surface.

    The filtered mask is thinned, its spanning tree pruned, smoothed and rooted as that of a reconstruction is. The
    nodes then move to the middle of their cross-section: where the signed distance is stationary (equation 1), but
    averaged over all directions, because the ridge of the distance from a wall with stairs is not smooth.
    """
    points = _thinned(volume)
    config = ReconstructionConfig(
        neighbour_distance=NEIGHBOURS, shortest_branch=SHORTEST_BRANCH, node_spacing=NODE_SPACING
    )
    depth = np.maximum(surface.signed_distance(points), SMALLEST_RADIUS)
    try:
        skeleton = shape_skeleton(points, depth, _joined(points, depth), config)
    except ReconstructionError as error:
        raise ReconstructionError(f"the mask has no vessel longer than {SHORTEST_BRANCH:g} mm") from error
    position, radius = _centred(skeleton.points, skeleton.edges, surface)
    return VesselGraph(
        position=position,
        radius=radius,
        edges=skeleton.edges,
        branch=skeleton.branch,
        branch_label=tuple(f"branch_{k}" for k in range(int(skeleton.branch.max()) + 1)),
        sigma=np.zeros(len(position)),
    )


def label_voxels(volume: MaskVolume, surface: Surface, graph: VesselGraph) -> SparseVolume:
    """Occupancy (equation 4; 1 everywhere, voxels outside are left out) and centreness (equation 3) on 0.5 mm voxels.

    Voxels lie on multiples of their size from the origin of the world.
    """
    centres = volume.world(np.argwhere(volume.mask))
    around = int(np.ceil(1.5 * np.linalg.norm(volume.spacing) / VOXEL_SIZE))  # one and a half voxels of the mask
    index = np.floor(centres / VOXEL_SIZE).astype(np.int64)
    low = index.min(0) - around
    box = np.zeros(index.max(0) + around + 1 - low, np.bool_)
    box[tuple((index - low).T)] = True
    candidates = np.argwhere(ndimage.binary_dilation(box, iterations=around)) + low
    depth = surface.signed_distance((candidates + 0.5) * VOXEL_SIZE)
    voxels, depth = candidates[depth > 0], depth[depth > 0]
    away = KDTree(_along(graph)).query((voxels + 0.5) * VOXEL_SIZE)[0]
    origin = low * VOXEL_SIZE
    return SparseVolume(voxels - low, origin, VOXEL_SIZE, np.ones(len(voxels)), depth / (depth + away))


def save_tree(tree: CtTree, stem: Path) -> None:
    """Write STEM.json (the graph, for training) and STEM.npz (mesh and labels).

    Arrays of the .npz: `vertices` (V, 3) mm, `faces` (F, 3), `voxels` (N, 3) with `origin` (3,) mm and `voxel_size` mm
    as in `SparseVolume`, `centreness` (N,).
    """
    save_graph(tree.graph, stem.with_name(f"{stem.name}.json"))
    np.savez_compressed(
        stem.with_name(f"{stem.name}.npz"),
        vertices=tree.surface.vertices.astype(np.float32),
        faces=tree.surface.faces.astype(np.int32),
        voxels=tree.labels.voxels.astype(np.int32),
        origin=tree.labels.origin,
        voxel_size=tree.labels.voxel_size,
        centreness=tree.labels.centreness.astype(np.float32),
    )


def _thinned(volume: MaskVolume) -> FloatArray:
    """Samples (N, 3) mm in the middle of the vessels, `THINNING_STEP` apart."""
    found = [corner + np.argwhere(values[:-1, :-1, :-1] > LEVEL) for corner, values in
             filtered_bricks(volume, THINNING_STEP)]  # fmt: skip
    samples = np.concatenate(found)
    low = samples.min(0)
    box: NDArray[np.bool_] = np.zeros(samples.max(0) + 1 - low, np.bool_)
    box[tuple((samples - low).T)] = True
    middle = np.argwhere(skeletonize(box)) + low
    return volume.world(middle / subdivision(volume, THINNING_STEP))


def _joined(points: FloatArray, depth: FloatArray) -> IntArray:
    """Edges (E, 2) of a forest on thinned samples (N, 3) mm of a depth (N,) mm below the wall.

    Where vessels touch, the mask has loops; each is cut where it is thinnest, which should be where they touch. The
    deepest of a sample's neighbours tells that: the samples themselves may be beside the axis.
    """
    pairs = KDTree(points).query_pairs(NEIGHBOURS, output_type="ndarray").astype(np.int64)
    length = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    steps = np.ceil(length / (2 * THINNING_STEP))  # first neighbours, then what bridges a break
    deepest = depth.copy()
    for here, there in (pairs[steps == 1].T, pairs[steps == 1, ::-1].T):
        np.maximum.at(deepest, here, depth[there])
    return tree.spanning_forest(len(points), pairs, 100 * steps + 1 / deepest[pairs].min(1))


def _centred(points: FloatArray, edges: IntArray, surface: Surface) -> tuple[FloatArray, FloatArray]:
    """Nodes (N, 3) in the middle of their cross-sections, and the mean radius (N,) of these.

    From points on a circle across the vessel, the signed distance tells how far the wall is in every direction: its
    mean is the radius, its first harmonic how far the node is from the middle.
    """
    turn = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    for _ in range(ROUNDS):
        across = _across(points, edges)
        rays = np.einsum("ka,nad->nkd", np.stack([np.cos(turn), np.sin(turn)], 1), across)
        circle = np.maximum(surface.signed_distance(points), SMALLEST_RADIUS)
        rim = points[:, None] + circle[:, None, None] * rays
        wall = circle[:, None] + surface.signed_distance(rim.reshape(-1, 3)).reshape(rim.shape[:2])
        shift = 2 * np.einsum("nk,nkd->nd", wall, rays) / DIRECTIONS
        size = np.linalg.norm(shift, axis=1)
        shift *= np.minimum(1.0, circle / 2 / np.maximum(size, 1e-9))[:, None]  # at a bifurcation, only so far
        points = tree.smooth_chains(points + shift, edges, SMOOTHING)
    radius = tree.smooth_chains(np.maximum(wall.mean(1), SMALLEST_RADIUS), edges, SMOOTHING)
    return points, radius


def _across(points: FloatArray, edges: IntArray) -> FloatArray:
    """Two unit vectors (N, 2, 3) across the vessel at every node."""
    step = points[edges[:, 1]] - points[edges[:, 0]]
    along = np.zeros_like(points)
    np.add.at(along, edges[:, 0], step)
    np.add.at(along, edges[:, 1], step)
    least = np.eye(3)[np.abs(along).argmin(1)]
    u = np.cross(along, least)
    v = np.cross(along, u)
    both = np.stack([u, v], 1)
    return np.asarray(both / np.maximum(np.linalg.norm(both, axis=2, keepdims=True), 1e-12))


def _along(graph: VesselGraph) -> FloatArray:
    """Points (M, 3) mm on all edges of a graph, a fifth of an edge apart."""
    first, last = graph.position[graph.edges[:, 0]], graph.position[graph.edges[:, 1]]
    share = np.linspace(0, 1, 6)[:, None, None]
    return np.asarray((first + share * (last - first)).reshape(-1, 3))
