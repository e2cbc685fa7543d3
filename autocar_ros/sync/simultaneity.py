"""Whether two planes show one tree at one moment: every view compared with the other plane's before and after.

One pair alone does not tell another phase of the heart: a shift makes up for most of it. Over a beat it does, as the
first plane then agrees better with what the second showed some pairs before or later, and with another artery it agrees
with nothing.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from autocar_ros.types import FloatArray

EARLIEST, LATEST = 2, 9  # pairs between compared views: half a slow beat at 15 a second
OFFSETS = np.arange(-8, 9, 2)  # planes of a profile by which the shift may be wrong that was solved from wrong pairs
REACH = 6.0  # mm that these are at the isocentre
LEAST = 15  # pairs that are judged together
MOST = 45


class Comparison(NamedTuple):
    """Mean agreement of the planes over the last pairs."""

    together: float  # of views of one pair
    apart: float  # of views as many pairs apart as fits best
    pairs: int  # so many; positive when plane B is ahead


class Simultaneity:
    """Compares profiles (`consistency.features`) of one pair after the other, all of one fan."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all pairs."""
        self._first: deque[FloatArray] = deque(maxlen=LATEST + 1)
        self._second: deque[FloatArray] = deque(maxlen=LATEST + 1)
        self._found: deque[FloatArray] = deque(maxlen=MOST)

    def add(self, first: FloatArray, second: FloatArray) -> None:
        """Take the profiles (PLANES,) of one pair."""
        self._first.append(first)
        self._second.append(second)
        if len(self._first) <= LATEST:
            return
        late = np.stack([np.roll(second, n) for n in OFFSETS])
        early = np.stack([np.roll(first, -n) for n in OFFSETS])
        behind = np.stack(self._first) @ late.T  # plane B now shows what plane A did before
        ahead = np.stack(self._second) @ early.T
        self._found.append(np.concatenate([behind, ahead[-2::-1]]))  # (2 LATEST + 1, offsets)

    def compare(self) -> Comparison | None:
        """What the last pairs tell; None while they are few."""
        if len(self._found) < LEAST:
            return None
        mean = np.mean(self._found, axis=0).max(axis=1)
        pairs = np.arange(-LATEST, LATEST + 1)
        apart = np.where(abs(pairs) >= EARLIEST, mean, -1.0)
        best = int(apart.argmax())
        return Comparison(float(mean[LATEST]), float(apart[best]), int(pairs[best]))
