"""Heart phase told by images against the true one: end-diastolic frames, phase of every frame, pairs of two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from autocar_ros.sync.beats import apart
from autocar_ros.types import FloatArray, IntArray

NEAR = 1  # frames, between a found and a true end-diastolic frame
EQUAL = 0.05  # of the cycle, between two frames of equal phase
RATES = (50.0, 65.0, 80.0, 100.0, 120.0)  # 1/min, between which scores are told

Scored = Mapping[str, Any]  # of one sequence: rate, and the scores below by what was scored


def end_diastolic_frames(beats: FloatArray) -> IntArray:
    """Frames nearest to the R waves, given the heart beats (F,) since some time at the frames: whole at R waves."""
    whole = np.arange(np.ceil(beats[0]), np.floor(beats[-1]) + 1)
    return np.asarray(np.abs(beats[None] - whole[:, None]).argmin(1))


def wrapping_frames(phase: FloatArray) -> IntArray:
    """Frames nearest to where a phase (F,), told frame by frame, passes 1 and starts at 0 again."""
    before, after = phase[:-1], phase[1:]
    wraps = np.flatnonzero(after < before - 0.5)
    return wraps + ((1 - before[wraps]) > after[wraps])


def frame_score(found: IntArray, true: IntArray, first: int) -> dict[str, int]:
    """How many true end-diastolic frames from `first` on are found, and how many found ones are none."""
    true = true[true >= first]
    found_there = found[found >= first]
    near = np.abs(true[:, None] - found[None]) <= NEAR
    false = ~(np.abs(found_there[:, None] - true[None]) <= NEAR).any(1)
    if len(true):  # beyond the ends nothing is known
        false &= (found_there > true[0]) & (found_there < true[-1])
    return {"true": len(true), "found": int(near.any(1).sum()), "false": int(false.sum())}


def phase_score(told: FloatArray, beats: FloatArray, first: int) -> dict[str, int]:
    """How many frames from `first` on have a phase (F,), and how many of them within 5 % of the true one."""
    away = apart(told[first:], beats[first:] % 1.0)
    known = np.isfinite(away)
    return {"frames": len(away), "known": int(known.sum()), "equal": int((away[known] <= EQUAL).sum())}


def pair_score(beats_a: FloatArray, beats_b: FloatArray) -> dict[str, int]:
    """How many pairs of frames, of true heart beats (P,) each, are of equal phase."""
    return {"pairs": len(beats_a), "equal": int((apart(beats_a % 1.0, beats_b % 1.0) <= EQUAL).sum())}


def summary(sequences: Sequence[Scored]) -> dict[str, float | int | None]:
    """Shares over sequences; None where there was nothing to find."""

    def share(part: str, of: str, among: str) -> float | None:
        hits, all_ = (sum(s[part][key] for s in sequences) for key in (of, among))
        return hits / all_ if all_ else None

    return {
        "sequences": len(sequences),
        "end_diastolic_frames": sum(s["offline"]["true"] for s in sequences),
        "found_offline": share("offline", "found", "true"),
        "false_offline": share("offline", "false", "true"),
        "found_online": share("online", "found", "true"),
        "false_online": share("online", "false", "true"),
        "phase_equal_offline": share("phase_offline", "equal", "frames"),
        "phase_equal_online": share("phase_online", "equal", "frames"),
        "best_pair_equal": share("best_pair", "equal", "pairs"),
        "pairs_equal": share("pairs", "equal", "pairs"),
        "pairs_equal_online": share("pairs_online", "equal", "pairs"),
        "pairs_online": sum(s["pairs_online"]["pairs"] for s in sequences),
        "pairs_of_frames_online": share("pairs_online", "pairs", "frames"),
    }


def by_rate(sequences: Sequence[Scored]) -> list[dict[str, Any]]:
    """`summary` of the sequences of each range of heart rates; "rate" is its middle."""
    rows = []
    for low, high in pairwise(RATES):
        inside = [s for s in sequences if low <= s["rate"] < high]
        if inside:
            rows.append({"rate": (low + high) / 2, **summary(inside)})
    return rows
