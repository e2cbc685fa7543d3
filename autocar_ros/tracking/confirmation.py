"""What a new reconstruction says of nodes that are there already: where they should be, and which it does not find."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from autocar_ros.tracking.growth import KNOWN, PARALLEL, directions
from autocar_ros.types import FloatArray, VesselGraph
from autocar_ros.vessels import tree
from autocar_ros.vessels.reprojection import sample_edges

SMOOTHING = 3.0  # nodes along a branch: what a reconstruction has wrong from node to node is no displacement
STEP = 0.25  # mm between the points of the new graph


class Confirmation(NamedTuple):
    """What a new graph says of the nodes of another."""

    found: NDArray[np.bool_]  # (N,) a vessel of the new graph runs there, the same way
    offset: FloatArray  # (N, 3) mm from the node across to it, smoothed along the branches; 0 where none is near
    confidence: FloatArray  # (N,) 0..1 of the new graph there, 0 where none is near


def confirm(graph: VesselGraph, new: VesselGraph) -> Confirmation:
    """Compare a graph with a new one of the same moment."""
    points = sample_edges(new.position, new.edges, STEP)
    distance, nearest = (np.asarray(of) for of in KDTree(points).query(graph.position))
    mate = np.asarray(KDTree(new.position).query(points[nearest])[1])
    ours, theirs = directions(graph), directions(new)[mate]
    found = (distance <= KNOWN) & (np.abs(np.einsum("nc,nc->n", ours, theirs)) >= PARALLEL)
    away = points[nearest] - graph.position
    across = away - np.einsum("nc,nc->n", away, ours)[:, None] * ours
    weighted = np.column_stack([np.where(found[:, None], across, 0.0), found])
    smooth = tree.smooth_chains(weighted, graph.edges, SMOOTHING)
    offset = smooth[:, :3] / np.maximum(smooth[:, 3:], 1e-9)
    confidence = np.clip(np.nan_to_num(new.confidence), 0.0, 1.0)[mate]
    return Confirmation(found, np.where(found[:, None], offset, 0.0), np.where(found, confidence, 0.0))
