"""Three DICOM runs or more to one vessel graph: frames of one heart phase, tables that agree, what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.joint_alignment import JointAlignment, align_runs
from autocar_ros.imaging.dicom import XrayRun
from autocar_ros.pipeline import reconstruct as reconstruct_pair
from autocar_ros.sbp.many_views import reconstruct_views
from autocar_ros.sbp.network import SbpNetwork
from autocar_ros.sbp.recorded import SegmentedRun, most_agreeing, paired, sighting_of
from autocar_ros.sync.runs import CLOSE, ObservedRun, RunPair, close_pairs, observe_dicom
from autocar_ros.types import CArmPose, Frame, VesselGraph, Vessels


@dataclass(frozen=True)
class Shot:
    """The frame of a run that is reconstructed from."""

    path: Path
    index: int
    frame: Frame
    vessels: Vessels
    pose: CArmPose  # as reported, then corrected
    reason: str  # why this frame, in words


@dataclass(frozen=True)
class ManyRuns:
    """What became of several runs."""

    graph: VesselGraph
    shots: tuple[Shot, ...]
    told: tuple[dict[str, Any], ...]  # of every run that was used: its file, frame, table shift and pose
    left_out: tuple[str, ...]  # runs that do not fit, and why


def agreeing_pair(run_a: SegmentedRun, run_b: SegmentedRun, pairs: Sequence[RunPair]) -> RunPair:
    """That of several pairs of frames of nearly one phase whose views agree most."""
    chosen = pairs[most_agreeing(run_a, run_b, [(p.frame_a, p.frame_b) for p in pairs])]
    if len(pairs) == 1:
        return chosen
    return replace(chosen, reason=f"{chosen.reason}; of {len(pairs)} such pairs the one whose views agree most")


def choose_shots(
    paths: Sequence[Path],
    runs: Sequence[XrayRun],
    views: Sequence[SegmentedRun],
    frame_a: int | None = None,
    frame_b: int | None = None,
    agree: bool = True,
) -> tuple[list[Shot], list[str]]:
    """A frame of every run that has one of the heart phase of the first run's, and why the others have none.

    Frames of the first two runs may be given. Of frames of nearly one phase those are taken whose views agree most with
    the first run's, unless `agree` is false. Runs that lie still, and those without a known phase beside a first run
    without one, give their fullest frames.
    """
    seen = [observe_dicom(run) for run in runs]

    def chosen_with(k: int, frame_a: int | None, frame_b: int | None = None) -> RunPair:
        pairs = close_pairs(seen[0], seen[k], frame_a, frame_b)
        return agreeing_pair(views[0], views[k], pairs) if agree else pairs[0]

    chosen = [chosen_with(1, frame_a, frame_b)]
    chosen += [chosen_with(k, chosen[0].frame_a) for k in range(2, len(runs))]
    shots, left_out = [_shot(paths[0], runs[0], views[0], chosen[0].frame_a, chosen[0].reason)], []
    for path, run, view, observed, pair in zip(paths[1:], runs[1:], views[1:], seen[1:], chosen, strict=True):
        trouble = _misfit(seen[0], observed, pair)
        if trouble:
            left_out.append(f"{path}: {trouble}")
        else:
            shots.append(_shot(path, run, view, pair.frame_b, pair.reason))
    return shots, left_out


def reconstruct_shots(
    shots: Sequence[Shot],
    left_out: Sequence[str],
    config: ReconstructionConfig,
    network: SbpNetwork | None,
    align: bool = True,
) -> ManyRuns:
    """Graph of all shots that agree with another one.

    Raises
    ------
    InvalidInputError
        When fewer than two runs fit each other; tells why each does not.
    """
    out, kept = list(left_out), list(range(len(shots)))
    shifts = np.zeros((len(shots), 3))
    if align and len(shots) > 1:
        joint = _joint(shots)
        doubts = [joint.doubt(k) for k in kept]
        out += [f"{shots[k].path}: {doubts[k]}" for k in kept if doubts[k]]
        kept, shifts = [k for k in kept if not doubts[k]], joint.shift
        poses = joint.corrected([shot.pose for shot in shots])
        shots = [replace(shot, pose=pose) for shot, pose in zip(shots, poses, strict=True)]
    if len(kept) < 2:
        raise InvalidInputError("no two runs fit each other: " + "; ".join(out))
    used = tuple(shots[k] for k in kept)
    told = tuple(
        {"run": str(shots[k].path), "frame": shots[k].index, "table_shift_mm": shifts[k].tolist(),
         "pose": asdict(shots[k].pose)} for k in kept
    )  # fmt: skip
    return ManyRuns(_graph(used, config, network), used, told, tuple(out))


def _graph(shots: Sequence[Shot], config: ReconstructionConfig, network: SbpNetwork | None) -> VesselGraph:
    if len(shots) > 2:
        return reconstruct_views([shot.vessels for shot in shots], [shot.pose for shot in shots], config, network)
    a, b = shots
    pair = paired(a.vessels, b.vessels, a.pose, b.pose)
    pair = replace(pair, stamp_a_ns=a.frame.stamp_ns, stamp_b_ns=b.frame.stamp_ns)
    return reconstruct_pair(pair, config, network).graph


def _joint(shots: Sequence[Shot]) -> JointAlignment:
    return align_runs([sighting_of(shot.vessels, shot.pose) for shot in shots])


def _shot(path: Path, run: XrayRun, view: SegmentedRun, index: int, reason: str) -> Shot:
    frame = Frame(int(run.frame_times_ns[index]), run.images[index])
    return Shot(path, index, frame, view.vessels(index), run.poses[index], reason)


def _misfit(first: ObservedRun, other: ObservedRun, pair: RunPair) -> str:
    """Why a run has no frame of the first run's phase; "" when it has one."""
    if not np.isfinite(first.phase).any():
        return ""
    if not np.isfinite(pair.residual_skew):
        return f"its heart phase is not known ({other.beats.reason or 'that of its frame'}), that of the first run is"
    beat = float(np.nanmean([first.beat_seconds, other.beat_seconds]))
    if abs(pair.residual_skew) > CLOSE * beat:
        return f"its nearest frame is {1000 * pair.residual_skew:+.0f} ms off the first run's heart phase"
    return ""
