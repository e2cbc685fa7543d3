"""Which frames are left out when a machine cannot keep up: by their stamps, so that both planes leave out the same.

Planes left to themselves lose different frames, and a pair needs both. Frames are numbered by their stamps and the
frame rate; under load n every n-th number is left out, n = 8, 4 or 2: what is left out at 8 is left out at 4 as well.
The planes tell each other their level, the place of n in `SHARES`, and the higher one holds for both.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from autocar_ros.types import NANOSECONDS

SHARES = (0, 8, 4, 2)  # of so many frames one is left out; 0 = none
RATE_FROM = 30  # newest frames that tell the frame rate
FEWEST = 10  # frames from which on it is told
RATE_STEP = 0.5  # Hz; both planes find the same nominal rate
WINDOW = 3.0  # s in which missed frames are counted, and after which the share may change
MUCH = 1 / 8  # share of missed frames from which on more are left out: below it the planes lose fewer pairs unaided
LITTLE = 1 / 32  # share up to which fewer are left out


class Shedding:
    """Decides whether the frames of one plane are worked on."""

    def __init__(self) -> None:
        self._stamps: deque[int] = deque(maxlen=RATE_FROM)
        self._missed: deque[tuple[int, int]] = deque()  # stamp of a frame, how many before it never arrived
        self.level = 0  # by the frames missed here
        self.partner = 0  # level of the other plane, as far as it is known
        self._since: int | None = None  # stamp of the last change of level

    @property
    def share(self) -> int:
        """Of so many frames one is left out; 0 = none is."""
        return SHARES[max(self.level, self.partner)]

    def keeps(self, stamp_ns: int, missed: int = 0) -> bool:
        """Whether to work on a frame before which so many never arrived; stamps ascend."""
        self._stamps.append(stamp_ns)
        self._missed.append((stamp_ns, missed))
        self._adapt(stamp_ns)
        rate = self._rate()
        return not self.share or rate is None or round(stamp_ns * rate / NANOSECONDS) % self.share != 0

    def _adapt(self, now: int) -> None:
        """Change the level when a whole window at the present one had many or hardly any missed frames."""
        self._since = now if self._since is None else self._since
        while self._missed[0][0] < now - WINDOW * NANOSECONDS:
            self._missed.popleft()
        missed = sum(count for _, count in self._missed)
        share = missed / (missed + len(self._missed))
        wanted = int(np.clip(self.level + (share >= MUCH) - (share <= LITTLE), 0, len(SHARES) - 1))
        if wanted != self.level and now - self._since >= WINDOW * NANOSECONDS:
            self.level, self._since = wanted, now

    def _rate(self) -> float | None:
        """Nominal frame rate in Hz: by the shorter intervals, for the longer ones have frames missing in them."""
        if len(self._stamps) < FEWEST:
            return None
        interval = float(np.quantile(np.diff(self._stamps), 0.25)) / NANOSECONDS
        rate = round(1 / interval / RATE_STEP) * RATE_STEP if interval > 0 else 0.0
        return rate or None
