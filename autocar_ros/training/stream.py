"""Prepared samples in a fixed order, made by worker processes, each used several times."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable, Iterator
from itertools import chain, count
from typing import Any

import cv2
import numba
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


class Draws:
    """Which sample is used when: the numbers first, first + step, first + 2 step ..., each `reuse` times, mixed.

    The order follows from the arguments alone, so a resumed run finds its place by drawing again what was drawn.
    """

    def __init__(self, first: int, step: int, reuse: int, buffer: int, seed: int) -> None:
        self.held: list[int] = []  # numbers that may be drawn
        self._left: list[int] = []  # how often each still is
        self._reuse, self._buffer, self._step = reuse, buffer, step
        self.next = first  # the next new number
        self._rng = np.random.default_rng([seed, first])

    def draw(self) -> int:
        """Return the number of the next sample."""
        if len(self.held) < self._buffer:
            self.held.append(self.next)
            self._left.append(self._reuse)
            self.next += self._step
        place = int(self._rng.integers(len(self.held)))
        number = self.held[place]
        self._left[place] -= 1
        if self._left[place] == 0:
            del self.held[place], self._left[place]
        return number


def stream(prepare: Callable[[int], Any], draws: Draws, step: int, skip: int = 0, workers: int = 0) -> Iterator[Any]:
    """Samples `prepare(k)` in the order of `draws` but for the first `skip`; workers start at once, and run ahead."""
    if workers:
        cv2.setNumThreads(0)  # a fork has none of its threads, and would wait for them
    for _ in range(skip):
        draws.draw()
    numbers = chain(tuple(draws.held), count(draws.next, step))
    loader = DataLoader(
        _Prepared(prepare), batch_size=None, sampler=numbers, num_workers=workers, worker_init_fn=_quiet_worker
    )
    return _drawn(iter(loader), draws)


def to_device(sample: Any, device: torch.device) -> Any:
    """Tensors on a device, in whatever tuples, lists and mappings they lie, or objects with a method `to`."""
    if hasattr(sample, "to"):
        return sample.to(device)
    if isinstance(sample, dict):
        return {key: to_device(value, device) for key, value in sample.items()}
    if isinstance(sample, tuple | list):
        parts = [to_device(part, device) for part in sample]
        return type(sample)(*parts) if hasattr(sample, "_fields") else type(sample)(parts)
    return sample


class _Prepared(Dataset[tuple[int, bytes]]):
    """Samples as bytes: tensors in shared memory would need an open file each, as long as they are kept."""

    def __init__(self, prepare: Callable[[int], Any]) -> None:
        self._prepare = prepare

    def __getitem__(self, k: int) -> tuple[int, bytes]:
        return k, pickle.dumps(self._prepare(k))


def _drawn(loader: Iterator[tuple[int, bytes]], draws: Draws) -> Iterator[Any]:
    samples: dict[int, Any] = {}
    while True:
        k = draws.draw()
        while k not in samples:
            number, content = next(loader)
            samples[number] = pickle.loads(content)
        yield samples[k] if k in draws.held else samples.pop(k)


def _quiet_worker(_: int) -> None:
    """One thread, and deaf to Ctrl-C: the training process ends its workers."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    torch.set_num_threads(1)
    numba.set_num_threads(1)
