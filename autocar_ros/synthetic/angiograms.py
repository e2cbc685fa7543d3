"""Single angiograms with known vessels and catheters, to train and to test a segmentation with.

The lumen of a simulated tree absorbs in front of a real frame or of a simulated or invented background
(Beer-Lambert), with everything at random that differs from one laboratory, patient and moment to the next: contrast,
dose, blur, motion, catheter, wires, collimator, development of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from autocar_ros.config import SimulationConfig
from autocar_ros.geometry.camera import Camera
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.imaging.enhance import BoolArray
from autocar_ros.synthetic.anatomy import Anatomy, draw_anatomy
from autocar_ros.synthetic.bench_phantoms import draw_phantom
from autocar_ros.synthetic.catheter import ATTENUATION, Catheter, lay_catheter
from autocar_ros.synthetic.clutter import (
    Background,
    RealFrame,
    blades,
    clips,
    devices,
    drawn_background,
    real_background,
)
from autocar_ros.synthetic.contrast import Contrast
from autocar_ros.synthetic.fields import log_uniform
from autocar_ros.synthetic.motion import Motion, draw_motion
from autocar_ros.synthetic.pose_history import load_history
from autocar_ros.synthetic.scene import IODINE, VISIBLE
from autocar_ros.synthetic.tissue import Tissue
from autocar_ros.synthetic.tubes import Float32Image, Tubes
from autocar_ros.types import FloatArray, Image, Mask, VesselGraph

ITSELF = 0.12  # of the pictures that are a trusted real frame as it is, with the vessels that were found in it
SURE, DOUBTFUL = 179, 64  # of 255: from here on a mark of a real frame is believed, down to there it may be true
NEAR = 9  # px around what may be a vessel of a real frame, of which nothing is known
PHANTOM = 0.4  # show a phantom of tubes
REAL = 0.7  # of the pictures that have a real background, where there are any
PATIENT = 0.5  # of the others: the simulated patient; else an invented background
EMPTY = 0.06  # of the pictures, without contrast
FLOWING = 0.25  # contrast arrives or leaves
CATHETER = 0.85  # shows the guiding catheter
EVEN = 0.3  # vessels hardly taper
WIRE = 0.12  # a guidewire in one of the vessels
TORTUOUS = 0.6  # vessels wind more than the simulator's
WAVE = (25.0, 90.0)  # px, length of their waves
STEEP = 0.1  # of the length, standard deviation of the steepest
STRENGTH = (0.3, 1.5)  # of the contrast agent, against the simulator's
OFF_CENTRE = 20.0  # mm, standard deviation of the heart's place
WIRE_RADIUS, WIRE_ATTENUATION = 0.18, (0.4, 1.6)  # mm (0.014 inch) and 1/mm
WIRE_WIDTH = 3  # px that a guidewire is marked
EXPOSURE_TIME = 0.01  # s, longest: the vessels move in it
PHOTONS = (40.0, 3000.0)  # per pixel at mid-grey
BLUR = (0.4, 1.5)  # px, of focal spot and detector
SHARPENING = (0.3, 2.0)  # of the picture by the system
DARKEST = 0.06  # of the range: behind a real collimator nothing can be seen
MOST_STENOSES = 4


class Angiogram(NamedTuple):
    """A picture and its truth, all (rows, columns)."""

    image: Image  # uint8 or uint16
    vessel: Mask  # 0 or 255, the filled lumen
    catheter: Mask  # 0 or 255, guiding catheter, guidewire and other wires
    known: BoolArray  # false where nobody knows what a real background shows


def draw_angiogram(rng: Generator, size: int = 512, frames: Sequence[RealFrame] = ()) -> Angiogram:
    """Draw a picture of `size` x `size` px in front of one of `frames`, or of a drawn background if there are none."""
    patient, place, view, look = rng.spawn(4)
    trusted = [frame for frame in frames if frame.trusted]
    if trusted and place.random() < ITSELF:
        return _as_it_is(look, real_background(place, trusted[int(place.integers(len(trusted)))], size))
    if place.random() < PHANTOM:
        return _of_phantom(look, place, size)
    anatomy = draw_anatomy(
        patient, str(patient.choice(["left", "right"])), stenoses=int(patient.integers(MOST_STENOSES + 1))
    )
    usual = SimulationConfig()
    motion = draw_motion(
        patient, anatomy.heart, patient.uniform(50, 120), usual.heart_rate_variability, usual.breathing
    )
    history = load_history()
    pose = history.draw_pose(view, history.draw_clusters(view)[0], size)
    camera = camera_from_pose(pose)
    offset = view.normal(size=3) * OFF_CENTRE
    behind = _background(place, camera, anatomy, size, frames)
    absorbed, vessel, catheter = _patient(patient, anatomy, motion, camera, offset)
    other, covered = devices(place, size)
    absorbed += other + clips(place, size)
    opening = blades(view, size)
    image = develop(look, behind.light * cv2.exp(-absorbed), opening)
    seen = (opening > 0.5) & (behind.light > DARKEST)
    vessel, catheter = vessel & seen, (catheter | covered) & seen
    vessel_mask, catheter_mask = (np.where(mark, np.uint8(255), np.uint8(0)) for mark in (vessel, catheter))
    doubtful = (np.maximum(behind.vessel, behind.catheter) >= DOUBTFUL).astype(np.uint8)
    known = cv2.dilate(doubtful, np.ones((NEAR, NEAR), np.uint8)) == 0
    return Angiogram(image, vessel_mask, catheter_mask, known)


def _as_it_is(rng: Generator, behind: Background) -> Angiogram:
    """Angiogram of a real frame, true being the vessels that are sure; smooth ones are easily taken for catheters."""
    image = develop(rng, behind.light, np.ones_like(behind.light))
    vessel = np.where(behind.vessel >= SURE, np.uint8(255), np.uint8(0))
    known = ((behind.vessel >= SURE) | (behind.vessel < DOUBTFUL)) & (behind.catheter < DOUBTFUL)
    return Angiogram(image, vessel, np.zeros_like(vessel), known)


def develop(rng: Generator, light: Float32Image, opening: Float32Image) -> Image:
    """Stored frame of the light that meets the detector: blur, quanta, blades, sharpening, development, bits."""
    blur = log_uniform(rng, *BLUR)
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), blur), np.float32)
    light *= np.float32(rng.uniform(0.35, 0.75) / max(float(np.median(light)), 1e-3))
    grain = rng.standard_normal(light.shape, np.float32)
    if rng.random() < 0.7:
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), blur * rng.uniform(0.4, 1.2)), np.float32)
        grain /= grain.std()
    light += np.sqrt(np.maximum(light, 0)) * grain * np.float32(np.sqrt(0.55 / log_uniform(rng, *PHOTONS)))
    shade = np.float32(rng.uniform(0.0, 0.3) ** 2)
    light = shade + (light - shade) * opening
    if rng.random() < 0.4:
        soft = cv2.GaussianBlur(light, (0, 0), log_uniform(rng, 1.0, 6.0))
        light += (light - soft) * np.float32(log_uniform(rng, *SHARPENING))
    light = np.clip(light, 0, 1.3) ** np.float32(log_uniform(rng, 0.6, 1.6))
    return _stored(rng, light)


def _stored(rng: Generator, light: Float32Image) -> Image:
    """Quantise to 8 bits or 12 of 16, with any gain; some pictures went through JPEG."""
    gain = rng.uniform(0.5, 1.1)
    if rng.random() < 0.2:
        return np.asarray(np.clip(light * (4095 * gain) + 0.5, 0, 4095), np.uint16)
    image = np.asarray(np.clip(light * (255 * gain) + 0.5, 0, 255), np.uint8)
    if rng.random() < 0.25:
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 96))])
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)
    return image


def _background(rng: Generator, camera: Camera, anatomy: Anatomy, size: int, frames: Sequence[RealFrame]) -> Background:
    if frames and rng.random() < REAL:
        return real_background(rng, frames[int(rng.integers(len(frames)))], size)
    total = drawn_background(rng, size)
    if rng.random() < PATIENT:
        tissue = Tissue(camera, anatomy.heart).attenuation(np.zeros(3))
        total = total * np.float32(0.3) + tissue * np.float32(log_uniform(rng, 0.5, 1.8))
    nothing = np.zeros((size, size), np.uint8)
    return Background(np.asarray(cv2.exp(-total), np.float32), nothing, nothing)


def _patient(
    rng: Generator, anatomy: Anatomy, motion: Motion, camera: Camera, offset: FloatArray
) -> tuple[Float32Image, BoolArray, BoolArray]:
    """Attenuation of vessels and catheter, and the pixels of either."""
    graph, time = anatomy.graph, float(rng.uniform(0, 10))
    tubes = Tubes(graph.position, _calibre(rng, graph), graph.edges, graph.branch)
    position = motion.displace(graph.position, time) + offset
    later = motion.displace(graph.position, time + float(rng.uniform(0, EXPOSURE_TIME))) + offset
    concentration = _concentration(rng, anatomy.distance)
    strength = IODINE * log_uniform(rng, *STRENGTH) * concentration
    total = tubes.chords(camera, later, strength / 2, tubes.chords(camera, position, strength / 2))
    vessel = tubes.chords(camera, position, np.where(concentration >= VISIBLE, 1.0, 0.0)) > 0
    wire = np.zeros(total.shape, bool)
    if rng.random() < WIRE:
        wire = _add_wire(rng, anatomy, camera, position, total)
    if rng.random() < TORTUOUS:
        total, vessel, wire = _winding(rng, total, vessel, wire)
    catheter = np.zeros(total.shape, bool)
    if rng.random() < CATHETER:
        catheter = _add_catheter(rng, lay_catheter(graph), camera, position[0], float(strength[0]), total)
    return total, vessel, catheter | wire


def _winding(
    rng: Generator, total: Float32Image, vessel: BoolArray, wire: BoolArray
) -> tuple[Float32Image, BoolArray, BoolArray]:
    """Bend vessels to and fro in the picture, as tortuous ones are."""
    size = len(total)
    wave = log_uniform(rng, *WAVE)
    knots = int(2 * size / wave) + 4
    field = rng.normal(size=(knots, knots, 2)).astype(np.float32) * np.float32(rng.uniform(0, STEEP) * wave)
    line = np.arange(size, dtype=np.float32)
    shift = np.asarray(cv2.resize(field, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)
    x, y = shift[..., 0] + line, shift[..., 1] + line[:, None]
    bent = cv2.remap(total, x, y, cv2.INTER_LINEAR)
    marks = (cv2.remap(m.astype(np.uint8) * 255, x, y, cv2.INTER_LINEAR) > 127 for m in (vessel, wire))
    first, second = marks
    return np.asarray(bent, np.float32), first, second


def _of_phantom(rng: Generator, place: Generator, size: int) -> Angiogram:
    """Angiogram of tubes on a table."""
    absorbed, vessel = draw_phantom(place, size)
    behind = drawn_background(place, size) * np.float32(place.uniform(0, 0.3))
    opening = blades(place, size)
    image = develop(rng, np.asarray(cv2.exp(-absorbed - behind - clips(place, size)), np.float32), opening)
    mask = np.where(vessel & (opening > 0.5), np.uint8(255), np.uint8(0))
    return Angiogram(image, mask, np.zeros_like(mask), np.ones_like(vessel))


def _calibre(rng: Generator, graph: VesselGraph) -> FloatArray:
    """Radius (N,) mm, in some pictures more even along each branch than the simulator's."""
    even = float(rng.uniform() * (rng.random() < EVEN))
    mean = np.bincount(graph.branch, graph.radius) / np.maximum(np.bincount(graph.branch), 1)
    return np.asarray((1 - even) * graph.radius + even * mean[graph.branch])


def _concentration(rng: Generator, distance: FloatArray) -> FloatArray:
    """Contrast agent (N,) 0..1 at a random moment."""
    kind = rng.random()
    if kind < EMPTY:
        return np.zeros(len(distance))
    if kind < EMPTY + FLOWING:
        flow = Contrast("injection", flow_speed=float(rng.uniform(60, 200)))
        moment = flow.start + (rng.uniform(0.1, 1.2) if rng.random() < 0.6 else flow.duration + rng.uniform(0.2, 1.3))
        return flow.concentration(distance, float(moment))
    return np.ones(len(distance))


def _add_catheter(
    rng: Generator, catheter: Catheter, camera: Camera, ostium: FloatArray, filling: float, out: Float32Image
) -> BoolArray:
    """Draw the guiding catheter, of 4 to 7 French, filled with contrast or not; return its pixels."""
    nodes, radius = catheter.position(ostium), float(rng.uniform(0.66, 1.17))
    n = len(nodes)
    wall, bore = (Tubes(nodes, np.full(n, r), catheter.edges, np.zeros(n, np.int64)) for r in (radius, 0.85 * radius))
    dense = ATTENUATION * log_uniform(rng, 0.6, 6.0)
    chord = wall.chords(camera, nodes, np.ones(n))
    out += chord * np.float32(dense)
    bore.chords(camera, nodes, np.full(n, (filling if rng.random() < 0.8 else 0.0) + 1e-6), out)
    out -= bore.chords(camera, nodes, np.ones(n)) * np.float32(dense * rng.uniform(0.3, 0.9))
    return np.asarray(chord > 0)


def _add_wire(rng: Generator, anatomy: Anatomy, camera: Camera, position: FloatArray, out: Float32Image) -> BoolArray:
    """Draw a guidewire from the ostium to somewhere in the tree; return its pixels."""
    parent = np.full(len(position), -1)
    parent[anatomy.graph.edges[:, 1]] = anatomy.graph.edges[:, 0]
    way = [int(rng.integers(len(position)))]
    while parent[way[-1]] >= 0:
        way.append(int(parent[way[-1]]))
    nodes = position[way]
    n = len(nodes)
    if n < 3:
        return np.zeros(out.shape, bool)
    edges = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)
    wire = Tubes(nodes, np.full(n, WIRE_RADIUS), edges, np.zeros(n, np.int64))
    wire.chords(camera, nodes, np.full(n, log_uniform(rng, *WIRE_ATTENUATION)), out)
    pixels, _ = camera.project(nodes)
    mark = np.zeros(out.shape, np.uint8)
    cv2.polylines(mark, [np.round(pixels).astype(np.int32)], False, 1, WIRE_WIDTH)
    return mark > 0
