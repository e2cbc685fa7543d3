"""Simulated cases scored by several methods, in several processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from autocar_ros.cli.cases import static_case
from autocar_ros.config import CaseConfig
from autocar_ros.evaluation.methods import load_errors, load_method
from autocar_ros.evaluation.protocols import score_static
from autocar_ros.runtime import keep_memory, pin_threads

T = TypeVar("T")
Scores = dict[str, dict[str, float]]  # method -> metric -> value


def score_cases(
    seeds: Sequence[int], config: CaseConfig, methods: Sequence[str], models: Path | None, jobs: int
) -> Iterator[Scores]:
    """Scores of every case, in the order of the seeds; `jobs` processes with one thread each."""
    score = partial(score_case, config=config, methods=tuple(methods), models=models)
    return mapped(score, seeds, jobs)


def mapped(score: Callable[[int], T], seeds: Sequence[int], jobs: int) -> Iterator[T]:
    """Results of a function for all seeds, in their order; `jobs` processes with one thread each."""
    if jobs == 1:
        yield from map(score, seeds)
        return
    # spawned, not forked: a fork of a process whose libraries have threads may hang
    with ProcessPoolExecutor(jobs, get_context("spawn"), start_worker) as pool:
        yield from pool.map(score, seeds)


def score_case(seed: int, config: CaseConfig, methods: Sequence[str], models: Path | None) -> Scores:
    """Scores of every method on one case, and where its errors come from where it can tell."""
    pair, truth = static_case(seed, config)
    found = {}
    for name in methods:
        errors = load_errors(name, models)
        split = errors(pair, truth) if errors else {}
        found[name] = score_static(pair, truth, load_method(name, models)) | split
    return found


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def start_worker() -> None:
    """Keep a worker to one thread, as the others have the other cores, and to its memory."""
    keep_memory()
    pin_threads()
