"""What else is in an angiogram: backgrounds, edges, wires, clips, letters, and the blades of the collimator.

Everything is drawn at random and far more varied than in the simulated patient: a network that has to tell vessels
from all of this learns what a vessel is, not what our simulator looks like.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from autocar_ros.imaging.enhance import BoolArray
from autocar_ros.synthetic.fields import log_uniform, smooth_field
from autocar_ros.synthetic.tubes import Float32Image
from autocar_ros.types import FloatArray, Image, Mask

ZOOM = (0.75, 1.45)  # of a real background
TURN = 20.0  # degrees, the same
GAMMA = (0.7, 1.5)  # of a real background: vendors store different functions of the light
FLOOR = 0.02  # of the range: darkest light of a background
STEPS = 1.5  # mean number of edges such as those of diaphragm, heart and lungs
STEP = (0.03, 0.5)  # attenuation behind one
BONES = 1.0  # mean number of ribs and the like
DEVICES = 0.2  # mean number of pacing wires, other catheters ...: devices that are no part of the angiography
CLIPS = 0.35  # mean number of clips, sternal wires and letters
SUB = 4  # bits of a fraction of a pixel in drawn lines


class Background(NamedTuple):
    """A picture without the simulated vessels."""

    light: Float32Image  # (rows, columns) 0..1
    vessel: Mask  # (rows, columns) how likely it shows a vessel of its own, 255 = sure
    catheter: Mask  # the same of a catheter or wire


@dataclass(frozen=True)
class RealFrame:
    """A real frame, (rows, columns), and what somebody made of it."""

    image: Image
    vessel: Mask  # probability of a vessel, 255 = sure
    catheter: Mask  # probability of a catheter or wire
    trusted: bool = False  # it may be learned from; if not, the marks only tell where nobody knows


def real_background(rng: Generator, frame: RealFrame, size: int) -> Background:
    """Turn, mirror, zoom and re-develop a real frame."""
    rows, columns = frame.image.shape
    scale = log_uniform(rng, *ZOOM) * size / max(rows, columns)
    turn = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), float(rng.uniform(-TURN, TURN)), scale)
    turn[:, 2] += [(size - columns) / 2, (size - rows) / 2]
    if scale * max(rows, columns) > size:
        turn[:, 2] += rng.uniform(-0.5, 0.5, 2) * (scale * max(rows, columns) - size)
    if rng.random() < 0.5:
        turn[0] = np.array([0.0, 0.0, size - 1]) - turn[0]
    top = max(float(np.percentile(frame.image[::8, ::8], 99.5)), 1.0)
    values = (np.asarray(frame.image, np.float32) / np.float32(top), frame.vessel, frame.catheter)
    drawn, vessel, catheter = (cv2.warpAffine(v, turn, (size, size), flags=cv2.INTER_LINEAR) for v in values)
    light = np.clip(drawn, FLOOR, 1.2) ** np.float32(log_uniform(rng, *GAMMA))
    return Background(np.asarray(light, np.float32), np.asarray(vessel, np.uint8), np.asarray(catheter, np.uint8))


def drawn_background(rng: Generator, size: int) -> Float32Image:
    """Attenuation (size, size) of soft organs, edges and bones of no patient in particular."""
    total = _clouds(rng, size, log_uniform(rng, 0.05, 0.5), log_uniform(rng, 30, 200))
    total += _clouds(rng, size, log_uniform(rng, 0.005, 0.05), log_uniform(rng, 6, 30))
    for _ in range(rng.poisson(STEPS)):
        total += _edge(rng, size)
    for _ in range(rng.poisson(BONES)):
        total += _bone(rng, size)
    return np.asarray(total - total.min(), np.float32)


def devices(rng: Generator, size: int) -> tuple[Float32Image, BoolArray]:
    """Attenuation (size, size) of wires and catheters that lie about, and the pixels they cover."""
    total, covered = np.zeros((size, size), np.float32), np.zeros((size, size), bool)
    for _ in range(rng.poisson(DEVICES)):
        width = log_uniform(rng, 1.2, 4.0)
        line = _stroke(size, _curve(rng, size, rng.uniform(0.3, 1.5) * size), width)
        total += line * np.float32(log_uniform(rng, 0.2, 1.2))
        covered |= line > 0.5
    return total, covered


def clips(rng: Generator, size: int) -> Float32Image:
    """Attenuation (size, size) of clips, sternal wires and burnt-in letters: negative where these are bright."""
    total = np.zeros((size, size), np.float32)
    for _ in range(rng.poisson(CLIPS)):
        x, y = (int(v) for v in rng.integers(0, size, 2))
        depth, kind = np.float32(log_uniform(rng, 0.3, 1.5)), rng.integers(3)
        mark = np.zeros((size, size), np.uint8)
        thick = int(rng.integers(1, 4))
        if kind == 0:
            axes = tuple(int(v) for v in rng.integers((8, 2), (26, 9)))
            cv2.ellipse(mark, (x, y), axes, float(rng.uniform(-25, 25)), 0, 360, 255, thick, cv2.LINE_AA)
            cv2.line(
                mark, (x, y), (x + int(rng.integers(-9, 10)), y + int(rng.integers(4, 20))), 255, thick, cv2.LINE_AA
            )
        elif kind == 1:
            length, angle = rng.uniform(4, 14), rng.uniform(0, np.pi)
            end = (int(x + length * np.cos(angle)), int(y + length * np.sin(angle)))
            cv2.line(mark, (x, y), end, 255, thick + 1, cv2.LINE_AA)
        else:
            text = "".join(rng.choice(list("ABLRO0123456789:/"), int(rng.integers(1, 9))))
            cv2.putText(mark, text, (x, y), cv2.FONT_HERSHEY_PLAIN, float(rng.uniform(0.7, 2)), 255, 1, cv2.LINE_AA)
            depth *= rng.choice([-1, 1])
        total += mark * (depth / 255)
    return total


def blades(rng: Generator, size: int) -> Float32Image:
    """Open share 0..1 (size, size) behind a collimator: none, a straight frame, or one with cut corners or round."""
    open_area = np.ones((size, size), np.uint8)
    if rng.random() < 0.4:
        return np.ones((size, size), np.float32)
    border = np.where(rng.random(4) < 0.7, rng.integers(1, max(size // 10, 2), 4), 0)
    if rng.random() < 0.2:
        cv2.circle(open_area, (size // 2, size // 2), int(size * rng.uniform(0.49, 0.68)), 2, cv2.FILLED)
        open_area -= 1
        open_area[open_area > 1] = 0
    top, bottom, left, right = (int(b) for b in border)
    open_area[:top], open_area[size - bottom :], open_area[:, :left], open_area[:, size - right :] = 0, 0, 0, 0
    if rng.random() < 0.3:
        _cut_corners(open_area, border, int(rng.integers(8, 50)))
    soft = cv2.GaussianBlur(open_area.astype(np.float32), (0, 0), log_uniform(rng, 0.5, 4.0))
    return np.asarray(soft, np.float32)


def _cut_corners(open_area: Image, border: FloatArray, cut: int) -> None:
    size = len(open_area)
    top, bottom, left, right = (int(b) for b in border)
    for x, y, dx, dy in ((left, top, 1, 1), (size - right, top, -1, 1), (left, size - bottom, 1, -1),
                         (size - right, size - bottom, -1, -1)):  # fmt: skip
        cv2.fillPoly(open_area, [np.array([[x, y], [x + dx * cut, y], [x, y + dy * cut]], np.int32)], 0)


def _clouds(rng: Generator, size: int, depth: float, length: float) -> Float32Image:
    """Smooth random field (size, size) of a standard deviation and a correlation length in px."""
    knots = max(int(size / length * 2) + 3, 4)
    coarse = cv2.GaussianBlur(rng.normal(size=(knots, knots)).astype(np.float32), (0, 0), 1.0) * 3.5
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC) * np.float32(depth), np.float32)


def _edge(rng: Generator, size: int) -> Float32Image:
    """A large dark round thing with a sharp or soft edge."""
    mark = np.zeros((size, size), np.float32)
    center = tuple(float(v) for v in rng.uniform(-0.3, 1.3, 2) * size)
    axes = tuple(float(v) for v in rng.uniform(0.3, 1.6, 2) * size)
    cv2.ellipse(mark, (center, axes, float(rng.uniform(0, 180))), 1.0, cv2.FILLED)
    soft = cv2.GaussianBlur(mark, (0, 0), log_uniform(rng, 0.6, 8))
    return np.asarray(soft * np.float32(log_uniform(rng, *STEP)), np.float32)


def _bone(rng: Generator, size: int) -> Float32Image:
    """A band, wider than vessels are, with a denser rim."""
    way = _curve(rng, size, rng.uniform(0.5, 1.6) * size)
    width = log_uniform(rng, 22, 70)
    outer = cv2.GaussianBlur(_stroke(size, way, width), (0, 0), log_uniform(rng, 0.8, 3))
    inner = cv2.GaussianBlur(_stroke(size, way, width * rng.uniform(0.7, 0.9)), (0, 0), log_uniform(rng, 0.8, 3))
    depth = log_uniform(rng, 0.03, 0.2)
    return np.asarray(depth * outer - depth * rng.uniform(0.3, 0.9) * inner, np.float32)


def _curve(rng: Generator, size: int, length: float) -> FloatArray:
    """Points (N, 2) px of a smooth curve through the picture."""
    s = np.arange(0.0, length, 4.0)[:, None]
    angle = (
        rng.uniform(0, 2 * np.pi) + s / size * rng.normal() * 2 + rng.uniform(0.1, 0.8) * smooth_field(rng, s, 80, 1)
    )
    way = np.cumsum(np.concatenate([np.cos(angle), np.sin(angle)], axis=1), axis=0) * 4.0
    return np.asarray(way - way[len(way) // 2] + rng.uniform(0, size, 2))


def _stroke(size: int, points: FloatArray, width: float) -> Float32Image:
    """Draw a line (size, size) of 0..1, soft at its border."""
    mark = np.zeros((size, size), np.uint8)
    thick = max(round(width), 1)
    cv2.polylines(mark, [np.round(points * 2**SUB).astype(np.int32)], False, 255, thick, cv2.LINE_AA, shift=SUB)
    return np.asarray(mark * np.float32(min(width / thick, 1.0) / 255), np.float32)
