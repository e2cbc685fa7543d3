"""Reconstructions of patients from two of their runs, judged in a third one (protocol 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from autocar_ros.errors import ReconstructionError
from autocar_ros.evaluation.picture_runs import PictureRun
from autocar_ros.evaluation.third_view import Shot, ThirdView, by_chance, third_view
from autocar_ros.geometry.alignment import How
from autocar_ros.geometry.carm import angle_between, axes_apart, mm_per_pixel
from autocar_ros.imaging.segmentation import Segmenter
from autocar_ros.pipeline import Reconstruction
from autocar_ros.sbp.recorded import MOMENTS, SegmentedRun, aligned, more_moments, most_agreeing, paired
from autocar_ros.sync.beats import apart
from autocar_ros.sync.runs import ObservedRun, RunPair, close_pairs, known_frames, observe_run, vessels_of
from autocar_ros.types import VesselGraph, ViewAlignment

LEAST_ANGLE = 25.0  # degrees between the two runs of a reconstruction
LEAST_THIRD = 15.0  # degrees between the third run and each of them: nearer, it tells nothing about depth

Name = tuple[str, str]  # of a run: patient and run


class Pairing(StrEnum):
    """Which frames of the runs belong together."""

    PHASE = "phase"
    FULLEST = "fullest"


class Trial(NamedTuple):
    """Runs that are reconstructed, and the one that judges."""

    first: Name
    second: Name
    third: Name


class Recorded(NamedTuple):
    """A run in memory: its frames, and what is known of their heart phase and contrast."""

    views: SegmentedRun
    frames: ObservedRun

    def shot(self, frame: int) -> Shot:
        """One of its frames with its vessels and pose."""
        return Shot(self.views.images[frame], self.views.vessels(frame).mask, self.views.poses[frame])


class Moment(NamedTuple):
    """One frame of each run of a trial."""

    frames: tuple[int, int, int]
    differ: float  # largest difference of heart phase of the second and third to the first, 0..0.5; NaN unknown


class Outcome(NamedTuple):
    """What a trial gave."""

    trial: Trial
    moment: Moment
    shots: tuple[Shot, Shot, Shot]
    alignment: ViewAlignment  # of the second view to the first
    graph: VesselGraph | None  # None: no reconstruction was possible
    seen: ThirdView | None
    chance: ThirdView | None

    @property
    def worth(self) -> float:
        """Harmonic mean of coverage and precision."""
        if self.seen is None or self.seen.coverage + self.seen.precision == 0:
            return 0.0
        return 2 * self.seen.coverage * self.seen.precision / (self.seen.coverage + self.seen.precision)


def find_trials(runs: Mapping[Name, PictureRun], right: set[Name]) -> Iterator[Trial]:
    """All pairs of runs that can be reconstructed, with all third runs of the same artery of the same patient."""

    def angle(a: Name, b: Name) -> float:
        return axes_apart(runs[a].pose, runs[b].pose)

    for a, b in combinations(sorted(runs), 2):
        for c in sorted(runs):
            of_one_artery = len({(name[0], name in right) for name in (a, b, c)}) == 1
            far = angle(a, b) >= LEAST_ANGLE and min(angle(a, c), angle(b, c)) >= LEAST_THIRD
            if c not in (a, b) and of_one_artery and far:
                yield Trial(a, b, c)


def record(run: PictureRun, segmenter: Segmenter) -> Recorded:
    """Read a run, and observe heart phase and contrast of its frames."""
    images = run.images()
    views = SegmentedRun(images, [run.pose] * len(images), segmenter)
    return Recorded(views, observe_run(vessels_of(images), run.stamps_ns))


def choose(
    first: ObservedRun,
    second: ObservedRun,
    third: ObservedRun,
    pairing: Pairing,
    preferred: Callable[[Sequence[RunPair]], RunPair] = itemgetter(0),
) -> Moment:
    """Frames of a pair of the first two runs, and that of the third whose phase is nearest to the first's.

    `preferred` takes one of several pairs of nearly one phase, best first.
    """
    fullest = Moment((first.fullest, second.fullest, third.fullest), np.nan)
    if pairing is Pairing.FULLEST:
        return fullest
    pair, frames = preferred(close_pairs(first, second)), known_frames(third)
    if np.isnan(pair.phase_a) or len(frames) == 0:
        return fullest
    differ = apart(third.phase[frames], pair.phase_a)
    best = int(differ.argmin())
    worst = max(float(differ[best]), float(apart(np.array(pair.phase_a), pair.phase_b)))
    return Moment((pair.frame_a, pair.frame_b, int(frames[best])), worst)


def judge(
    trial: Trial,
    recorded: Mapping[Name, Recorded],
    pairing: Pairing,
    rebuild: Callable[..., Reconstruction],
    how: How | None = "shift",
    moments: int = MOMENTS,
) -> Outcome:
    """Choose frames, align them (not with `how` None), reconstruct, and look at the graph in the third view.

    Aligned are those frames of nearly one phase whose views agree most; without alignment the phase alone chooses.
    `rebuild` is `pipeline.reconstruct` of a pair and `more` of them, up to `moments` in all.
    """
    a, b, c = runs = [recorded[name] for name in trial]

    def preferred(pairs: Sequence[RunPair]) -> RunPair:
        return pairs[most_agreeing(a.views, b.views, [(p.frame_a, p.frame_b) for p in pairs]) if how else 0]

    moment = choose(a.frames, b.frames, c.frames, pairing, preferred)
    first, second, third = (run.shot(frame) for run, frame in zip(runs, moment.frames, strict=True))
    seen_a, seen_b = (run.views.moments(k, moments) for run, k in zip((a, b), moment.frames, strict=False))
    pair = aligned(paired(seen_a[0], seen_b[0], first.pose, second.pose), how)
    start = (trial, moment, (first, second, third), pair.alignment or ViewAlignment())
    try:
        graph = rebuild(pair, more=more_moments(pair, seen_a, seen_b, moments)).graph
    except ReconstructionError:
        return Outcome(*start, None, None, None)
    return Outcome(*start, graph, third_view(graph, third), by_chance(graph, third))


def figures_of(outcome: Outcome) -> dict[str, Any]:
    """Names and figures of an outcome, for the table."""
    a, b, c = (shot.pose for shot in outcome.shots)
    seen, chance, graph = outcome.seen, outcome.chance, outcome.graph
    return {
        "patient": outcome.trial.first[0],
        **{role: name[1] for role, name in outcome.trial._asdict().items()},
        "frames": list(outcome.moment.frames),
        "phase_difference": outcome.moment.differ,
        "angle_deg": float(np.degrees(angle_between(a, b))),
        "third_angle_deg": float(np.degrees(min(angle_between(a, c), angle_between(b, c)))),
        "shift_mm": float(np.hypot(*outcome.alignment.shift)) * mm_per_pixel(b),
        "depth_mm": outcome.alignment.sod,
        "correlation": 1 - outcome.alignment.residual_after,
        "correlation_before": 1 - outcome.alignment.residual_before,
        "confidence": outcome.alignment.confidence,
        "coverage": seen.coverage if seen else 0.0,
        "precision": seen.precision if seen else 0.0,
        "third_shift_px": list(seen.shift) if seen else None,
        "chance_coverage": chance.coverage if chance else 0.0,
        "chance_precision": chance.precision if chance else 0.0,
        "own_coverage": float(min(graph.coverage)) if graph else 0.0,
        "failed": float(graph is None),
    }
