"""Still cases with known truth: two vessel masks, the poses that are believed, and the tree that both views show.

Training, validation and test draw from the same generator but never from the same stream. Every disturbance has a
stream of its own, so that a case stays the same patient in the same views whatever disturbs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from autocar_ros.config import CaseConfig, SimulationConfig
from autocar_ros.errors import ConfigError
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel
from autocar_ros.synthetic.anatomy import draw_anatomy, graph_of
from autocar_ros.synthetic.catheter import Catheter, lay_catheter
from autocar_ros.synthetic.damage import damage_mask, lose_vessels
from autocar_ros.synthetic.fields import grid, log_uniform, smooth_field
from autocar_ros.synthetic.heart import Heart, draw_heart
from autocar_ros.synthetic.motion import Motion, draw_motion
from autocar_ros.synthetic.pose_history import load_history
from autocar_ros.synthetic.poses import disturbed, draw_pair, draw_uniform_pair
from autocar_ros.synthetic.tube_trees import draw_tubes
from autocar_ros.synthetic.tubes import Tubes
from autocar_ros.types import CArmPose, FloatArray, FramePair, Mask, SeenBy, VesselGraph
from autocar_ros.vessels.export import load_graph
from autocar_ros.vessels.tree import visible_part

SPLITS = ("train", "validation", "test")
MOST_STENOSES = 4
SPAN = 10.0  # s, some breaths and beats, in which the moment of a case is drawn
CORRELATION = 35.0  # mm, of a misalignment that is no heart beat: neighbouring vessels are displaced alike
BENDING = (12.0, 45.0)  # mm, correlation of the deformations of a mask
KNOTS = 33  # of a deformation along an edge of the image
CATHETER = 0.6  # probability that a badly segmented mask shows the catheter


class Case(NamedTuple):
    """Input and truth of one reconstruction."""

    pair: FramePair  # masks 0 or 255; poses as they are believed
    truth: VesselGraph  # what both views show, half way between what A and what B saw


class _Patient(NamedTuple):
    """A tree as each plane saw it."""

    graph: VesselGraph
    position: tuple[FloatArray, FloatArray]  # (N, 3) mm in A and B
    tubes: Tubes
    catheter: Catheter


def case_rng(split: str, seed: int, k: int) -> Generator:
    """Random numbers of case `k` of a split: "train", "validation" or "test"; no two share any.

    Raises
    ------
    ConfigError
        For another split.
    """
    if split not in SPLITS:
        raise ConfigError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    return np.random.default_rng([SPLITS.index(split), seed, k])


def draw_case(rng: Generator, config: CaseConfig | None = None) -> Case:
    """Draw a patient, two views, and what goes wrong between them and the masks.

    Without disturbances the case is exact: masks are the lumens that the rays meet, the poses are the true ones.
    """
    config = config or CaseConfig()
    shape, moment, views, *flaws, pose = rng.spawn(6)
    poses = _draw_poses(views, config)
    patient = _draw_patient(shape, moment, config)
    cameras = [camera_from_pose(p) for p in poses]
    mask_a, mask_b = (
        _mask(r, patient, position, camera, mm_per_pixel(p), config)
        for r, position, camera, p in zip(flaws, patient.position, cameras, poses, strict=True)
    )
    pose_a, pose_b = (disturbed(pose, p, config.pose_angle, config.pose_shift) for p in poses)
    pair = FramePair(0, 0, mask_a, mask_b, pose_a, pose_b, key_frame=True)
    return Case(pair, _truth(patient, cameras))


def misplaced(rng: Generator, motion: Motion, points: FloatArray, misalignment: float) -> tuple[FloatArray, FloatArray]:
    """Move the points of a resting heart to where each of two planes saw them.

    The difference is that of two moments of heart beat and breathing, or a smooth random field (as of a patient who
    moved), at even odds, scaled to the misalignment asked for.

    Parameters
    ----------
    points : (N, 3) mm at end-diastole and end-expiration
    misalignment : mm, root mean square over the points

    Returns
    -------
    (N, 3) mm in plane A and (N, 3) mm in plane B
    """
    first, second = rng.uniform(0, SPAN, 2)
    position = motion.displace(points, first)
    if misalignment == 0:
        return position, position
    if rng.random() < 0.5:
        difference = motion.displace(points, second) - position
    else:
        difference = smooth_field(rng, points, CORRELATION, 3)
    half = difference * (misalignment / 2 / _rms(difference))
    return position + half, position - half


def bend(rng: Generator, mask: Mask, pixel: float, amount: float) -> Mask:
    """Deform a square mask smoothly by `amount` mm root mean square, its pixels being `pixel` mm."""
    size = len(mask)
    field = smooth_field(rng, grid(KNOTS, size * pixel), log_uniform(rng, *BENDING), 2)
    knots = (field * (amount / pixel / _rms(field))).reshape(KNOTS, KNOTS, 2).astype(np.float32)
    shift = cv2.resize(knots, (size, size), interpolation=cv2.INTER_CUBIC)
    line = np.arange(size, dtype=np.float32)
    bent = cv2.remap(mask, shift[..., 0] + line, shift[..., 1] + line[:, None], cv2.INTER_LINEAR)
    return np.where(bent > 127, np.uint8(255), np.uint8(0))


def _rms(vectors: FloatArray) -> float:
    """Root mean square length of (N, D) vectors."""
    return float(np.sqrt(np.mean(np.sum(vectors**2, axis=1))))


def _draw_poses(rng: Generator, config: CaseConfig) -> tuple[CArmPose, CArmPose]:
    draw = draw_uniform_pair if config.views == "uniform" else draw_pair
    least, largest = config.separation
    return draw(rng, config.image_size, (least, largest), load_history(config.poses))


def _draw_patient(shape: Generator, moment: Generator, config: CaseConfig) -> _Patient:
    heart, graph = _draw_tree(shape, config)
    graph = graph.with_(radius=graph.radius * config.calibre)
    usual = SimulationConfig()
    motion = draw_motion(shape, heart, usual.heart_rate, usual.heart_rate_variability, usual.breathing)
    position = misplaced(moment, motion, graph.position, config.misalignment)
    tubes = Tubes(graph.position, graph.radius, graph.edges, graph.branch)
    return _Patient(graph, position, tubes, lay_catheter(graph))


def _draw_tree(rng: Generator, config: CaseConfig) -> tuple[Heart, VesselGraph]:
    """A simulated tree on its heart; tubes, or a tree of the user's, at the isocentre, and a heart of usual shape."""
    if config.tree == "tubes":
        return draw_heart(rng), graph_of(draw_tubes(rng))[0]
    if not config.trees:
        tree = str(rng.choice(["left", "right"])) if config.tree == "both" else config.tree
        anatomy = draw_anatomy(rng, tree, stenoses=int(rng.integers(MOST_STENOSES + 1)))
        return anatomy.heart, anatomy.graph
    files = sorted(Path(config.trees).glob("*.json"))
    if not files:
        raise ConfigError(f"{config.trees} holds no vessel graphs (*.json): make them with `autocar prepare`")
    graph = load_graph(files[int(rng.integers(len(files)))])
    middle = (graph.position.min(0) + graph.position.max(0)) / 2
    return draw_heart(rng), graph.with_(position=graph.position - middle)


def _mask(
    rng: Generator, patient: _Patient, position: FloatArray, camera: Camera, pixel: float, config: CaseConfig
) -> Mask:
    """What a segmentation makes of one view."""
    shown = lose_vessels(rng, position, patient.graph.radius, config.damage)
    chords = patient.tubes.chords(camera, position, shown)
    if rng.random() < CATHETER * config.damage:
        catheter = patient.catheter.position(position[0])
        patient.catheter.wall.chords(camera, catheter, np.ones(len(catheter)), chords)
    mask = np.where(chords > 0, np.uint8(255), np.uint8(0))
    if config.elastic > 0:
        mask = bend(rng, mask, pixel, config.elastic)
    return damage_mask(rng, mask, pixel, config.damage)


def _truth(patient: _Patient, cameras: list[Camera]) -> VesselGraph:
    seen = np.full(len(patient.graph), SeenBy.BOTH, np.uint8)
    for camera, position in zip(cameras, patient.position, strict=True):
        seen[~camera.contains(camera.project(position)[0])] = SeenBy.NEITHER
    middle = (patient.position[0] + patient.position[1]) / 2
    return visible_part(patient.graph.with_(position=middle, seen_by=seen))
