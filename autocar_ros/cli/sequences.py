"""Simulated sequences for `evaluate dynamic`: what is drawn for each, its masks, and what may happen in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from autocar_ros.config import SimulationConfig
from autocar_ros.evaluation.dynamic import Exposure
from autocar_ros.geometry.carm import mm_per_pixel
from autocar_ros.sync.pairing import Pairing
from autocar_ros.synthetic.contrast import Contrast
from autocar_ros.synthetic.damage import damage_mask, lose_vessels
from autocar_ros.synthetic.ecg import first_sample
from autocar_ros.synthetic.scene import ECG_RATE, Scene
from autocar_ros.types import NANOSECONDS, FloatArray, Mask, VesselGraph

RATE = 15.0  # pairs a second
HEART_RATE = (50.0, 120.0)  # 1/min
BREATHING = (0.0, 10.0)  # mm, caudal way of the heart
POSE_ANGLE = 0.5  # degrees, largest standard deviation of the believed angles of a sequence
POSE_SHIFT = 0.7  # mm, the same of the believed isocentre
DAMAGE = 0.3  # largest strength of the damage of masks (`synthetic.damage`)
INJECTION = (4.0, 6.0)  # s
PAUSE = (3.0, 4.5)  # s from the end of an injection to the next
START = 3.0  # s of the scene at the first exposure: the ECG has run since 0
EVENT_START, EVENT_LENGTH = START + 3.0, 0.6  # s
JUMP = 15.0  # mm


class Event(StrEnum):
    """What may go wrong from `EVENT_START` on."""

    COVERED = "covered"  # plane B shows nothing for `EVENT_LENGTH`
    FROZEN = "frozen"  # plane B repeats its mask with new stamps for `EVENT_LENGTH`
    JUMP = "jump"  # the patient is `JUMP` further, and stays there

    @property
    def stop(self) -> float:
        """End of the trouble in s; its start where it stays."""
        return EVENT_START if self is Event.JUMP else EVENT_START + EVENT_LENGTH


@dataclass(frozen=True)
class Conditions:
    """A sequence: everything follows from these."""

    seed: int
    tree: str
    heart_rate: float  # 1/min
    breathing: float  # mm
    pose_angle: float  # degrees, standard deviation
    pose_shift: float  # mm, standard deviation
    damage: float  # 0..1
    injection: float  # s
    pause: float  # s without contrast


def draw_conditions(seed: int, disturbance: float = 1.0) -> Conditions:
    """Conditions of a sequence, each uniform over its range; errors of poses and masks are scaled by `disturbance`."""
    rng = np.random.default_rng([seed, 2])
    worst = disturbance * np.array([POSE_ANGLE, POSE_SHIFT, DAMAGE])
    angle, shift, damage = (float(v) for v in worst * rng.uniform(size=3))
    tree = str(rng.choice(["left", "right"]))
    rest = (float(rng.uniform(*span)) for span in (HEART_RATE, BREATHING, INJECTION, PAUSE))
    heart_rate, breathing, injection, pause = rest
    return Conditions(seed, tree, heart_rate, breathing, angle, shift, damage, injection, pause)


def exposures(
    conditions: Conditions, seconds: float, event: Event | None = None, dropped: float = 0.0
) -> Iterator[Exposure]:
    """Pairs of a sequence as the synchronization makes them, with an ECG, and their truth; they begin at `START`.

    Vessels that the segmentation loses are the same in all masks of a plane; ragged borders and false vessels are drawn
    anew for every mask. Sequences with an event are filled with contrast all the time. A share of `dropped` of the
    exposures never comes.
    """
    lot = np.random.default_rng([conditions.seed, 6])
    patient, pairing = _Patient(conditions, event), Pairing()
    scene, told = patient.scene, 0.0
    for k in range(round(seconds * RATE)):
        now = START + k / RATE
        stamp = round(now * NANOSECONDS)
        first = first_sample(told, ECG_RATE)
        pairing.add_ecg(round(first * NANOSECONDS), ECG_RATE, scene.ecg(told, now))
        told = now
        if lot.random() < dropped:
            continue
        for plane in "ab":
            pairing.add_pose(plane, stamp, scene.pose(plane))
            pairing.add_mask(plane, stamp, patient.mask(plane, now))
        pair = pairing.take()
        assert pair is not None  # both planes are exposed at once, and have a pose
        yield Exposure(pair, patient.truth(now), (scene.true_pose("a"), scene.true_pose("b")), patient.shown)


class _Patient:
    """A simulated patient as a segmentation shows him, with what goes wrong."""

    def __init__(self, conditions: Conditions, event: Event | None) -> None:
        c = conditions
        self.scene = Scene(SimulationConfig(
            seed=c.seed, tree=c.tree, views="random", heart_rate=c.heart_rate, breathing=c.breathing,
            contrast="full" if event else "injection", pose_angle_error=c.pose_angle, pose_shift_error=c.pose_shift,
        ))  # fmt: skip
        if not event:
            self.scene.contrast = Contrast(start=START + 0.3, duration=c.injection, period=c.injection + c.pause)
        self._damage, self._event = c.damage, event
        self._rng = np.random.default_rng([c.seed, 3])
        self._frozen: Mask | None = None
        way = self._rng.normal(size=3)
        self._jump = JUMP * way / np.linalg.norm(way)
        graph = self.scene.anatomy.graph
        self._kept = {plane: lose_vessels(self._rng, graph.position, graph.radius, c.damage) for plane in "ab"}
        self.shown = (self._kept["a"] * self._kept["b"]) > 0

    def truth(self, now: float) -> VesselGraph:
        truth = self.scene.truth(now)
        return truth.with_(position=truth.position + self._shift(now))

    def mask(self, plane: str, now: float) -> Mask:
        troubled = plane == "b" and self._event is not None and EVENT_START <= now < self._event.stop
        if troubled and self._event is Event.FROZEN and self._frozen is not None:
            return self._frozen
        mask = self.scene.mask(plane, now, self._shift(now), self._kept[plane])
        mask = damage_mask(self._rng, mask, mm_per_pixel(self.scene.pose(plane)), self._damage)
        if plane == "b":
            self._frozen = mask
        return np.zeros_like(mask) if troubled and self._event is Event.COVERED else mask

    def _shift(self, now: float) -> FloatArray:
        return self._jump if self._event is Event.JUMP and now >= EVENT_START else np.zeros(3)
