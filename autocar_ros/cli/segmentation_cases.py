"""Simulated angiograms for `evaluate segmentation`: frames full of contrast, their true masks, what makes them hard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from autocar_ros.config import SimulationConfig
from autocar_ros.evaluation.segmentation import Picture
from autocar_ros.geometry.carm import mm_per_pixel
from autocar_ros.synthetic.angiograms import draw_angiogram
from autocar_ros.synthetic.cases import case_rng
from autocar_ros.synthetic.scene import Scene
from autocar_ros.types import Image, Mask

SHOTS = 5  # exposures that together make one long one
SPAN = 4.0  # s of a scene that moments are drawn from


class Shot(NamedTuple):
    """One frame of one simulated patient."""

    config: SimulationConfig
    plane: str
    time: float  # s


class Factor(NamedTuple):
    """Something that makes a frame harder to segment."""

    label: str  # what the levels are, with their unit
    levels: tuple[float, ...]
    picture: Callable[[Shot, float], Picture]


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


def noisy(shot: Shot, photons: float) -> Picture:
    """A shot with another dose."""
    return expose(_changed(shot, photons=photons))


def long_exposed(shot: Shot, milliseconds: float) -> Picture:
    """A shot that takes time, with the quanta of a short one; true is where the vessels are at its middle."""
    scene = Scene(_changed(shot, photons=shot.config.photons / SHOTS).config)
    times = shot.time + np.linspace(-0.5, 0.5, SHOTS) * milliseconds / 1e3
    frames = [scene.image(shot.plane, time) for time in times]
    return _picture(scene, shot, np.rint(np.mean(frames, axis=0)).astype(frames[0].dtype))


def diluted(shot: Shot, share: float) -> Picture:
    """A shot with a share of the contrast agent: its attenuation lies between that of full and that of empty vessels.

    Both frames have the noise of one stream, so that their mean has as much of it.
    """
    full, empty = Scene(shot.config), Scene(_changed(shot, contrast="none").config)
    logs = [np.log(scene.image(shot.plane, shot.time) + 1.0) for scene in (full, empty)]
    image = np.rint(np.exp(share * logs[0] + (1 - share) * logs[1]) - 1)
    return _picture(full, shot, image.astype(np.uint8))


def with_catheter(shot: Shot, present: float) -> Picture:
    """A shot with (1) or without (0) the guiding catheter."""
    return expose(_changed(shot, catheter=bool(present)))


def rotated(shot: Shot, degrees: float) -> Picture:
    """A shot turned about its centre; what comes in at the corners is black, as under a shutter."""
    image, vessel, catheter, scale = expose(shot)
    shape = image.shape[::-1]
    turn = cv2.getRotationMatrix2D(((shape[0] - 1) / 2, (shape[1] - 1) / 2), degrees, 1.0)

    def moved(mask: Mask, flags: int = cv2.INTER_NEAREST) -> Mask:
        return np.asarray(cv2.warpAffine(mask, turn, shape, flags=flags), np.uint8)

    around = moved(image.astype(np.uint8), cv2.INTER_LINEAR)
    return Picture(around, moved(vessel), None if catheter is None else moved(catheter), scale)


def resolved(shot: Shot, size: float) -> Picture:
    """A shot with as many rows and columns for the same field of view."""
    return expose(_changed(shot, image_size=int(size)))


FACTORS = {
    "noise": Factor("quanta per pixel", (25.0, 50.0, 100.0, 200.0, 400.0, 1600.0), noisy),
    "motion_blur": Factor("exposure time [ms]", (1.0, 10.0, 20.0, 40.0, 80.0), long_exposed),
    "contrast": Factor("share of the contrast agent", (0.1, 0.2, 0.35, 0.5, 0.75, 1.0), diluted),
    "catheter": Factor("catheter (0 none, 1 present)", (0.0, 1.0), with_catheter),
    "rotation": Factor("rotation [degrees]", (0.0, 15.0, 45.0, 90.0, 180.0), rotated),
    "resolution": Factor("rows and columns [px]", (256.0, 384.0, 512.0, 768.0, 1024.0), resolved),
}


def _changed(shot: Shot, **changes: object) -> Shot:
    return shot._replace(config=replace(shot.config, **changes))  # type: ignore[arg-type]


def _picture(scene: Scene, shot: Shot, image: Image) -> Picture:
    vessel, catheter = (mask(shot.plane, shot.time) for mask in (scene.mask, scene.catheter_mask))
    return Picture(image, vessel, catheter, mm_per_pixel(scene.true_pose(shot.plane)))
