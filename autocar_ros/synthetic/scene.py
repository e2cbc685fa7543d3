"""A simulated patient on a biplane C-arm: everything is a function of time and seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autocar_ros.config import SimulationConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.synthetic.anatomy import Anatomy, draw_anatomy
from autocar_ros.synthetic.catheter import ATTENUATION, lay_catheter
from autocar_ros.synthetic.contrast import Contrast
from autocar_ros.synthetic.ecg import ecg_samples
from autocar_ros.synthetic.motion import Motion, draw_motion
from autocar_ros.synthetic.pose_history import load_history
from autocar_ros.synthetic.poses import disturbed, draw_pair, mistaken, standard_pair
from autocar_ros.synthetic.render import Detector, make_detector
from autocar_ros.synthetic.tissue import Tissue
from autocar_ros.synthetic.tubes import Tubes
from autocar_ros.types import NANOSECONDS, CArmPose, FloatArray, Image, Mask, SeenBy, VesselGraph

IODINE = 0.17  # 1/mm of undiluted contrast agent, after scatter
VISIBLE = 0.3  # concentration from which a vessel counts as seen
ECG_RATE = 500.0  # Hz
# Independent streams of random numbers, so that one option does not change what another one draws.
_ANATOMY, _MOTION, _POSES, _ERRORS, _DETECTOR, _EXPOSURE, _PLANE_B, _TABLE = range(8)


@dataclass(frozen=True)
class _Plane:
    """One plane of the C-arm."""

    number: int
    true_pose: CArmPose
    pose: CArmPose
    camera: Camera
    tissue: Tissue | None
    detector: Detector


class Scene:
    """Images, poses, ECG and truth of one simulated patient at any time in s, in any order of calls."""

    def __init__(self, config: SimulationConfig | None = None) -> None:
        self.config = config = config or SimulationConfig()
        self.anatomy: Anatomy = draw_anatomy(self._random(_ANATOMY), config.tree, stenoses=config.stenoses)
        self.motion: Motion = draw_motion(
            self._random(_MOTION),
            self.anatomy.heart,
            config.heart_rate,
            config.heart_rate_variability,
            config.breathing,
        )
        self.contrast = Contrast(config.contrast)
        graph = self.anatomy.graph
        self._tubes = Tubes(graph.position, graph.radius, graph.edges, graph.branch)
        self._catheter = lay_catheter(graph) if config.catheter else None
        size = config.image_size
        if config.views == "standard":
            poses = standard_pair(config.tree, size)
        else:
            poses = draw_pair(self._random(_POSES), size, history=load_history(config.poses))
        errors = self._random(_ERRORS)
        reported = [disturbed(errors, true, config.pose_angle_error, config.pose_shift_error) for true in poses]
        reported[1] = mistaken(self._random(_PLANE_B), reported[1], config.plane_b_turn, config.plane_b_shift)
        self._planes = {
            name: self._plane(k, *both) for k, (name, *both) in enumerate(zip("ab", poses, reported, strict=True))
        }
        self._moved = mistaken(self._random(_TABLE), reported[1], 0.0, config.table_move)

    def pose(self, plane: str, time: float = 0.0) -> CArmPose:
        """Pose of plane "a" or "b" as the C-arm reports it at a time in s, with its error.

        It is the report that a table move changes, not the images: they and the truth stay in the world of plane A.
        """
        moved = plane == "b" and self.config.table_move > 0 and time >= self.config.table_move_time
        return self._moved if moved else self._of(plane).pose

    def true_pose(self, plane: str) -> CArmPose:
        """Pose of plane "a" or "b" that the images are made with."""
        return self._of(plane).true_pose

    def truth(self, time: float) -> VesselGraph:
        """The true tree at a time in s: always the same nodes; `seen_by` = filled and inside the image."""
        graph = self.anatomy.graph
        position = self.motion.displace(graph.position, time)
        filled = self.contrast.concentration(self.anatomy.distance, time) >= VISIBLE
        seen = np.zeros(len(graph), np.uint8)
        for plane, bit in zip(self._planes.values(), (SeenBy.A, SeenBy.B), strict=True):
            pixels, _ = plane.camera.project(position)
            seen |= np.where(filled & plane.camera.contains(pixels, self.config.collimator), np.uint8(bit), np.uint8(0))
        stamp = round(time * NANOSECONDS)
        return graph.with_(
            position=position,
            seen_by=seen,
            phase=float(self.motion.phase(time)),
            stamp_a_ns=stamp,
            stamp_b_ns=stamp,
        )

    def image(self, plane: str, time: float) -> Image:
        """X-ray image (rows, columns) of plane "a" or "b" at a time in s: uint8 or uint16 (12 bits)."""
        p = self._of(plane)
        position = self.motion.displace(self.anatomy.graph.position, time)
        total = self._background(p, time)
        concentration = self.contrast.concentration(self.anatomy.distance, time)
        self._tubes.chords(p.camera, position, IODINE * concentration, total)
        if self._catheter is not None:
            nodes = self._catheter.position(position[0])
            self._catheter.wall.chords(p.camera, nodes, np.full(len(nodes), ATTENUATION), total)
            filling = IODINE * float(self.contrast.concentration(np.zeros(1), time)[0])
            self._catheter.lumen.chords(p.camera, nodes, np.full(len(nodes), filling - ATTENUATION / 2), total)
        return p.detector.image(total, self._random(_EXPOSURE, p.number, round(time * NANOSECONDS)))

    def mask(self, plane: str, time: float, shift: FloatArray | None = None, shown: FloatArray | None = None) -> Mask:
        """True lumen (rows, columns) of plane "a" or "b" at a time in s: 255 where a ray meets a filled vessel.

        `shift` (3,) mm moves the patient; where `shown` (N,) of the nodes is 0 the segmentation lost the vessel.
        """
        p = self._of(plane)
        position = self.motion.displace(self.anatomy.graph.position, time) + (0.0 if shift is None else shift)
        filled = self.contrast.concentration(self.anatomy.distance, time) >= VISIBLE
        weight = np.where(filled, 1.0 if shown is None else shown, 0.0)
        chords = self._tubes.chords(p.camera, position, weight)
        return np.where((chords > 0) & (p.detector.open_area > 0), np.uint8(255), np.uint8(0))

    def catheter_mask(self, plane: str, time: float) -> Mask:
        """True catheter (rows, columns) of plane "a" or "b" at a time in s, 255 or 0; without a catheter all 0."""
        p = self._of(plane)
        if self._catheter is None:
            return np.zeros((p.true_pose.rows, p.true_pose.columns), np.uint8)
        nodes = self._catheter.position(self.motion.displace(self.anatomy.graph.position[:1], time)[0])
        chords = self._catheter.wall.chords(p.camera, nodes, np.ones(len(nodes)))
        return np.where((chords > 0) & (p.detector.open_area > 0), np.uint8(255), np.uint8(0))

    def ecg(self, start: float, stop: float) -> FloatArray:
        """Samples in mV at k / ECG_RATE in [start, stop) s."""
        return ecg_samples(self.motion, start, stop, ECG_RATE, self.config.ecg_noise, self.config.seed)

    def _random(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng((self.config.seed, *stream))

    def _of(self, plane: str) -> _Plane:
        if plane not in self._planes:
            raise InvalidInputError(f"plane must be 'a' or 'b', got {plane!r}")
        return self._planes[plane]

    def _plane(self, number: int, true: CArmPose, reported: CArmPose) -> _Plane:
        camera, c = camera_from_pose(true), self.config
        tissue = Tissue(camera, self.anatomy.heart) if c.background else None
        still = np.zeros((true.rows, true.columns), np.float32) if tissue is None else tissue.attenuation(np.zeros(3))
        rng = self._random(_DETECTOR, number)
        detector = make_detector(rng, still, c.collimator, c.photons, c.blur, c.encoding == "mono16")
        return _Plane(number, true, reported, camera, tissue, detector)

    def _background(self, plane: _Plane, time: float) -> np.ndarray:
        if plane.tissue is None:
            return np.zeros((plane.true_pose.rows, plane.true_pose.columns), np.float32)
        return plane.tissue.attenuation(self.motion.breathing_offset(time))
