"""Simulated angiograms for `evaluate segmentation`: frames full of contrast, their true masks, what makes them hard.

`evaluate phase` makes its frames hard by the same.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from autocar_ros.config import SimulationConfig
from autocar_ros.evaluation.segmentation import Picture
from autocar_ros.geometry.carm import mm_per_pixel
from autocar_ros.synthetic.angiograms import draw_angiogram
from autocar_ros.synthetic.cases import case_rng
from autocar_ros.synthetic.contrast import Contrast
from autocar_ros.synthetic.scene import Scene
from autocar_ros.types import MASK_THRESHOLD, Image, Mask

SHOTS = 5  # exposures that together make one long one
SPAN = 4.0  # s of a scene that moments are drawn from


class Shot(NamedTuple):
    """One frame of one simulated patient."""

    config: SimulationConfig
    plane: str
    time: float  # s


def _same(config: SimulationConfig, _: float) -> SimulationConfig:
    return config


def _exposed(scene: Scene, plane: str, time: float, _: float) -> Image:
    return scene.image(plane, time)


def _unmoved(picture: Image, _: float) -> Image:
    return picture


class Factor(NamedTuple):
    """Something that makes a frame harder, in levels; a frame is exposed by the changed simulator, then moved."""

    label: str  # what the levels are, with their unit
    levels: tuple[float, ...]
    config: Callable[[SimulationConfig, float], SimulationConfig] = _same
    expose: Callable[[Scene, str, float, float], Image] = _exposed  # of a plane at a time in s
    moved: Callable[[Image, float], Image] = _unmoved  # the frame's pixels, and those of its true masks

    def image(self, scene: Scene, plane: str, time: float, level: float) -> Image:
        """Frame of plane "a" or "b" at a time in s, of a scene made with `config` of the same level."""
        return self.moved(self.expose(scene, plane, time, level), level)

    def picture(self, shot: Shot, level: float) -> Picture:
        """A shot at a level, and its true masks; widths are in mm at the isocentre."""
        scene = Scene(self.config(shot.config, level))
        image, vessel, catheter, scale = _picture(scene, shot, self.image(scene, shot.plane, shot.time, level))
        assert catheter is not None  # a scene tells it
        return Picture(image, *(_binary(self.moved(mask, level)) for mask in (vessel, catheter)), scale)


def segmentation_shot(seed: int) -> Shot:
    """Left or right tree in a random clinical view at a random moment, full of contrast: the shot is its seed."""
    rng = np.random.default_rng((seed, 0))
    config = SimulationConfig(
        seed=seed,
        tree=str(rng.choice(["left", "right"])),
        views="random",
        contrast="full",
        stenoses=int(rng.integers(3)),
        heart_rate=float(rng.uniform(50, 110)),
    )
    return Shot(config, str(rng.choice(["a", "b"])), float(rng.uniform(0, SPAN)))


def expose(shot: Shot) -> Picture:
    """Frame of a shot and its true masks; widths are in mm at the isocentre."""
    scene = Scene(shot.config)
    return _picture(scene, shot, scene.image(shot.plane, shot.time))


def varied(seed: int) -> Picture:
    """Picture drawn as those for training, from the test split; widths are in px."""
    image, vessel, catheter, _ = draw_angiogram(case_rng("test", seed, 0))
    return Picture(image, vessel, catheter, 1.0)


def _long_exposed(scene: Scene, plane: str, time: float, milliseconds: float) -> Image:
    """Mean of `SHOTS` exposures; the vessels are at their true places at its middle."""
    times = np.maximum(time + np.linspace(-0.5, 0.5, SHOTS) * milliseconds / 1e3, 0.0)  # a scene begins at 0
    frames = [scene.image(plane, float(at)) for at in times]
    return np.asarray(np.rint(np.mean(frames, axis=0)), frames[0].dtype)


def _diluted(scene: Scene, plane: str, time: float, share: float) -> Image:
    """Share of the contrast agent: its attenuation lies between that of full and that of empty vessels.

    Both frames have the noise of one stream, so that their mean has as much of it.
    """
    empty = copy(scene)
    empty.contrast = Contrast("none")
    logs = [np.log(of.image(plane, time) + 1.0) for of in (scene, empty)]
    return np.rint(np.exp(share * logs[0] + (1 - share) * logs[1]) - 1).astype(np.uint8)


def _rotated(picture: Image, degrees: float) -> Image:
    """Turned about the centre; what comes in at the corners is black, as under a shutter."""
    rows, columns = picture.shape
    turn = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(picture, turn, (columns, rows), flags=cv2.INTER_LINEAR), picture.dtype)


FACTORS = {
    "noise": Factor(
        "quanta per pixel", (25.0, 50.0, 100.0, 200.0, 400.0, 1600.0),
        config=lambda config, photons: replace(config, photons=photons),
    ),
    "motion_blur": Factor(
        "exposure time [ms]", (1.0, 10.0, 20.0, 40.0, 80.0),
        config=lambda config, _: replace(config, photons=config.photons / SHOTS), expose=_long_exposed,
    ),
    "contrast": Factor("share of the contrast agent", (0.1, 0.2, 0.35, 0.5, 0.75, 1.0), expose=_diluted),
    "catheter": Factor(
        "catheter (0 none, 1 present)", (0.0, 1.0), config=lambda config, there: replace(config, catheter=bool(there))
    ),
    "rotation": Factor("rotation [degrees]", (0.0, 15.0, 45.0, 90.0, 180.0), moved=_rotated),
    "resolution": Factor(
        "rows and columns [px]", (256.0, 384.0, 512.0, 768.0, 1024.0),
        config=lambda config, size: replace(config, image_size=int(size)),
    ),
}  # fmt: skip


def _picture(scene: Scene, shot: Shot, image: Image) -> Picture:
    vessel, catheter = (mask(shot.plane, shot.time) for mask in (scene.mask, scene.catheter_mask))
    return Picture(image, vessel, catheter, mm_per_pixel(scene.true_pose(shot.plane)))


def _binary(mask: Image) -> Mask:
    return np.where(mask >= MASK_THRESHOLD, np.uint8(255), np.uint8(0))
