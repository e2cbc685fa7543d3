"""The trained network's answer for one observation, and the centreline points in it."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np
import torch

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import ReconstructionError
from autocar_ros.geometry.camera import Camera
from autocar_ros.sbp.fusion import fuse, mean_in_cells
from autocar_ros.sbp.lifting import HALF_SURE
from autocar_ros.sbp.network import KIND, Architecture, SbpNetwork, Stage
from autocar_ros.sbp.observation import Evidence, Observation, evidence
from autocar_ros.sparse.backends import choose_backend
from autocar_ros.sparse.layers import use_backend
from autocar_ros.sparse.voxels import Voxels
from autocar_ros.types import SparseVolume
from autocar_ros.vessels.graph import NOTHING_IN_COMMON, Cloud
from autocar_ros.vessels.radius import fill_unknown, fuse_radius, view_radius
from autocar_ros.vessels.skeleton import Centreline
from autocar_ros.weights import bundled_weights, check_device, load_model

POSSIBLE = 0.2  # occupancy from which a voxel takes part in the graph, which carries its confidence
GUIDANCE = 0.4  # of the predicted centreness, added to what leads a path through a gap
RIDGE = 0.8  # of the largest centreness around: below it a voxel is off the centreline
EPSILON = 1e-6  # keeps logits finite
LEAST_SHOWN = 0.05  # occupancy; voxels below are left out
_log = logging.getLogger(__name__)


def network_for(config: ReconstructionConfig) -> SbpNetwork | None:
    """Network that a configuration asks for; None where the lifted centrelines are to do.

    Raises
    ------
    WeightsError
        When its weights are missing or damaged, or there is no such device.
    """
    if config.method == "lifting":
        return None
    check_device(config.device)
    network = load_network(config.weights, config.device)
    choice = choose_backend(config.device)
    refused = config.device == "cuda" and choice.backend.name == "torch"
    _log.log(logging.WARNING if refused else logging.INFO, "sparse convolutions by %s", choice.reason)
    use_backend(network, choice.backend)
    return network


def load_network(weights: str = "", device: str = "cpu") -> SbpNetwork:
    """Network with the weights of a file, or with those that come with the package.

    Raises
    ------
    WeightsError
        When the file is missing, damaged, or holds another network.
    """
    path = Path(weights) if weights else bundled_weights(KIND, "reconstruct with method lifting")
    return load_model(path, KIND, lambda text: SbpNetwork(Architecture.from_json(text))).to(device)


def predict(network: SbpNetwork, seen: Evidence, config: ReconstructionConfig) -> SparseVolume:
    """Occupancy (0.5 = the threshold that was best in validation) and centreness at 0.5 mm."""
    with torch.inference_mode():
        device = next(network.parameters()).device
        return volume_of(network(seen.to(device), config)[-1], network.threshold)


def volume_of(stage: Stage, threshold: float) -> SparseVolume:
    """Return the voxels of the last stage, their chances shifted as logits so that `threshold` becomes 0.5."""
    shift = np.log(threshold / (1 - threshold))
    occupancy = torch.sigmoid(torch.logit(stage.chance, EPSILON) - shift).double()
    keep = occupancy > LEAST_SHOWN
    assert stage.centreness is not None
    return SparseVolume(
        stage.voxels.index[keep].cpu().numpy(),
        stage.origin.cpu().double().numpy(),
        stage.size,
        occupancy[keep].cpu().numpy(),
        torch.sigmoid(stage.centreness[keep]).double().cpu().numpy(),
    )


def pair_cloud(
    seen: Observation, config: ReconstructionConfig, network: SbpNetwork | None
) -> tuple[Cloud, SparseVolume | None]:
    """Centreline points of what two views show, and what the network predicts; without one, the lifted centrelines.

    Raises
    ------
    ReconstructionError
        When the views have no vessel in common.
    """
    if network is None:
        return fuse(*seen.lifted, config), None
    volume = predict(network, evidence(seen), config)
    return ridge_cloud(volume, seen.lines, seen.cameras), volume


def ridge_cloud(volume: SparseVolume, lines: tuple[Centreline, Centreline], cameras: tuple[Camera, Camera]) -> Cloud:
    """Centreline points of a predicted volume: where centreness is as large as anywhere around.

    Raises
    ------
    ReconstructionError
        When no voxel may be occupied.
    """
    possible = volume.occupancy >= POSSIBLE
    index = volume.voxels[possible]
    if len(index) == 0:
        raise ReconstructionError(NOTHING_IN_COMMON)
    occupied, order = Voxels.from_indices(torch.from_numpy(index))
    index = index[order.numpy()]
    weight, chance = (v[possible][order.numpy()] for v in (volume.centreness, volume.occupancy))
    around = occupied.neighbours.numpy()
    padded = np.append(weight, 0.0)
    # neighbour by neighbour: numpy is slow with the maxima of short rows
    ridge = weight >= RIDGE * reduce(np.maximum, (padded[row] for row in around.T))
    near = padded[around[ridge]]  # (R, 27)
    near = near**2 + 1e-9 * (near > 0)
    places = np.vstack([index, np.zeros(3)])[around[ridge]] + 0.5
    mean = np.einsum("rk,rkd->rd", near, places) / near.sum(1, keepdims=True)
    points = volume.origin + volume.voxel_size * mean
    points, (chance,) = mean_in_cells(np.column_stack([points, chance[ridge]]))
    of_views = [view_radius(points, line, camera) for line, camera in zip(lines, cameras, strict=True)]
    radius = fuse_radius(*of_views)
    radius = fill_unknown(radius, np.arange(len(radius), dtype=float), 1.0)
    # the distance at which two liftings would be as sure (`lifting.confidence`)
    return Cloud(points, radius, chance, HALF_SURE * np.sqrt(1 / np.maximum(chance, LEAST_SHOWN) - 1))


def guided(hull: SparseVolume, predicted: SparseVolume) -> SparseVolume:
    """Visual hull in which gaps are closed, led by the predicted centreness where there is any.

    To the agreement of the masks the largest predicted centreness in a voxel is added, times `GUIDANCE`: the network
    leads the way where it saw the vessel, and what it pruned can still be crossed.
    """
    size, shift = hull.voxel_size, (predicted.origin - hull.origin) / hull.voxel_size
    inside = np.floor((predicted.voxels + 0.5) * (predicted.voxel_size / size) + shift).astype(np.int64)
    low = np.minimum(hull.voxels.min(0), inside.min(0, initial=0))
    shape = tuple(np.maximum(hull.voxels.max(0), inside.max(0, initial=0)) - low + 1)
    largest = np.zeros(shape)
    np.maximum.at(largest, tuple((inside - low).T), predicted.centreness)
    led = largest[tuple((hull.voxels - low).T)]
    return replace(hull, centreness=hull.centreness + GUIDANCE * led)
