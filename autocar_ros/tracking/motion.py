"""Where the nodes go next: from the frames before, and from the heart's phase once a beat has been seen.

The motion is split into that of the middle of all nodes, where breathing is told from the beat by its slowness, and
that of the nodes about their middle, which breathing leaves alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from autocar_ros.types import FloatArray, IntArray

HARMONICS = 4  # of the heart beat
SPREAD = 4.0  # mm, expected amplitude of the first harmonic; the k-th is expected 1/k^2 as large
MEMORY = 4.0  # s after which a frame counts 1/e in what is known of the beat
BINS = 8  # of the phase, all of which have been seen in a full beat
DAMPING = 0.1  # s in which a velocity is expected to fade while the beat is not known
OWN_WAY = 0.15  # s in which a node comes back to the beat it has been seen in
BREATH = 20.0  # mm/s by which the velocity of breathing changes in 1 s
LASTS = 0.8  # s for which a velocity of breathing carries on
CHANGE = 0.2  # mm by which the beat of the middle changes in 1 s
MIDDLE = 0.2  # mm, 1-sigma of the middle of all nodes in a frame
LONGEST_STEP = 0.25  # s, between frames that show the rate of the heart
FORGET = 1.0  # s in which the size of earlier errors is forgotten
ERROR = 1.0  # mm, of a prediction before any was compared with an image
TOGETHER = 4.0  # mm, 1-sigma of what the errors of all nodes may have in common
SPEED = 20.0, 4.0  # mm/s by which the error of a prediction grows with time, beat unknown and known


class Expected(NamedTuple):
    """Where nodes are expected, and how firmly."""

    position: FloatArray  # (N, 3) mm
    sigma: FloatArray  # (N,) mm, of one coordinate

    @property
    def weight(self) -> FloatArray:
        """(N,) 1/mm^2, lowered since nodes err together: many that agree are no proof."""
        return np.asarray(1.0 / (self.sigma**2 + TOGETHER**2))

    def shifted(self, offset: FloatArray) -> Expected:
        """The same some (3,) mm away."""
        return Expected(self.position + offset, self.sigma)


class MotionPrior:
    """Learns how the nodes of one graph move, frame by frame (`add`), and predicts (`at`).

    Without a phase, or before a full beat, nodes go on as in the last step, ever slower. After that a Fourier series of
    the phase for every node (least squares, in which frames are slowly forgotten), the way of the middle, and what the
    node itself lay beside its series in the last frame, which fades.
    """

    def __init__(self, count: int) -> None:
        expected = SPREAD / np.repeat(np.arange(1, HARMONICS + 1), 2) ** 2
        self._ridge = np.diag(np.concatenate([[1e-6], 1.0 / expected**2]))
        self._normal = np.zeros_like(self._ridge)  # normal equations of the series
        self._right = np.zeros((len(self._ridge), 3 * count))
        self._series = np.zeros_like(self._right)
        self._middle = _Middle()
        self._seen_phases = np.zeros(BINS, np.bool_)
        self._time = self._phase = np.nan
        self._rate = np.nan  # beats a second
        self._position = np.zeros((count, 3))
        self._velocity = np.zeros((count, 3))
        self._error = np.full(count, ERROR**2)

    @property
    def knows_beat(self) -> bool:
        """Whether every part of the heart's cycle has been seen."""
        return bool(self._seen_phases.all())

    def add(self, time: float, phase: float, position: FloatArray) -> None:
        """Take where nodes (N, 3) mm were at a time in s and a phase in [0, 1), NaN if unknown."""
        step = time - self._time
        if step > 0:
            wrong = ((position - self.at(time, phase).position) ** 2).mean(1)
            self._error = self._error + (1 - np.exp(-step / FORGET)) * (wrong - self._error)
            self._velocity = (position - self._position) / step
            self._follow_rate(phase, step)
        if np.isfinite(phase):
            self._learn(position, phase, max(np.nan_to_num(step), 0.0))
        self._time, self._phase, self._position = time, phase, position

    def at(self, time: float, phase: float = np.nan) -> Expected:
        """Predict the nodes at a time in s, with its phase in [0, 1) if that is known."""
        ahead = max(time - self._time, 0.0)
        known = self.knows_beat and bool(np.isfinite(phase))
        sigma = np.sqrt(self._error + (SPEED[known] * ahead) ** 2)
        if not known:
            return Expected(self._position + self._velocity * DAMPING * (1 - np.exp(-ahead / DAMPING)), sigma)
        position = self._beat(phase) + self._middle.at(ahead, _waves(phase))
        if np.isfinite(self._phase):
            own = self._position - self._middle.at(0.0, _waves(self._phase)) - self._beat(self._phase)
            position += np.exp(-ahead / OWN_WAY) * own
        return Expected(position, sigma)

    def phase_at(self, time: float) -> float:
        """Phase in [0, 1) at a time in s, if the heart goes on at its rate; NaN when unknown."""
        return float((self._phase + (time - self._time) * self._rate) % 1.0)

    def shifted(self, offset: FloatArray) -> None:
        """Follow a jump of the whole heart by (3,) mm."""
        self._position = self._position + offset
        self._middle.state[0] += offset

    def taken(self, like: IntArray, position: FloatArray) -> MotionPrior:
        """Prior of other nodes (M, 3) mm, that have moved as `like` (M,) of these and are there now."""
        new = MotionPrior(len(like))
        vars(new).update(vars(self))
        series = self._series.reshape(-1, len(self._position), 3)[:, like]
        series[0] += position - self._position[like]
        middle = series.mean(1)
        new._middle.state[0] += middle[0]
        new._middle.state[2:] += middle[1:]
        new._series = (series - middle[:, None]).reshape(len(series), -1)
        new._right = (self._normal + self._ridge) @ new._series
        new._position, new._velocity, new._error = position, self._velocity[like], self._error[like]
        return new

    def _follow_rate(self, phase: float, step: float) -> None:
        """Learn the heart rate from steps shorter than half a beat."""
        rate = (phase - self._phase) % 1.0 / step
        if not np.isfinite(rate) or step > LONGEST_STEP:
            return
        known = np.isfinite(self._rate)
        self._rate = self._rate + (1 - np.exp(-step / FORGET)) * (rate - self._rate) if known else rate

    def _learn(self, position: FloatArray, phase: float, step: float) -> None:
        """Add a frame to the normal equations of the series, and to the middle."""
        self._seen_phases[int(phase * BINS) % BINS] = True
        wave, keep, middle = _waves(phase), np.exp(-step / MEMORY), position.mean(0)
        self._middle.add(step, wave, middle)
        self._normal = keep * self._normal + np.outer(wave, wave)
        self._right = keep * self._right + np.outer(wave, (position - middle).ravel())
        self._series = np.linalg.solve(self._normal + self._ridge, self._right)

    def _beat(self, phase: float) -> FloatArray:
        return np.asarray((_waves(phase) @ self._series).reshape(-1, 3))


class _Middle:
    """Kalman filter of the middle of the nodes: place and velocity of breathing, and harmonics of the beat."""

    def __init__(self) -> None:
        beat = SPREAD / np.repeat(np.arange(1, HARMONICS + 1), 2) ** 2
        self.state = np.zeros((2 + len(beat), 3))
        self._covariance = np.diag(np.concatenate([[1e6, BREATH**2], beat**2]))
        self._noise = np.diag(np.concatenate([[0.0, BREATH**2], CHANGE**2 * beat**2 / SPREAD**2]))

    def at(self, ahead: float, wave: FloatArray) -> FloatArray:
        """(3,) mm some s after the last frame."""
        on = ahead * np.exp(-ahead / LASTS)  # breathing turns back
        return np.asarray(self._shows(wave) @ self._goes_on(on) @ self.state)

    def add(self, step: float, wave: FloatArray, middle: FloatArray) -> None:
        """Take where the middle (3,) mm was, some s after the frame before."""
        goes_on, shows = self._goes_on(step), self._shows(wave)
        state = goes_on @ self.state
        covariance = goes_on @ self._covariance @ goes_on.T + step * self._noise
        gain = covariance @ shows / (shows @ covariance @ shows + MIDDLE**2)
        self.state = state + np.outer(gain, middle - shows @ state)
        self._covariance = covariance - np.outer(gain, shows @ covariance)

    def _goes_on(self, step: float) -> FloatArray:
        matrix = np.eye(len(self.state))
        matrix[0, 1] = step
        return matrix

    def _shows(self, wave: FloatArray) -> FloatArray:
        return np.concatenate([[1.0, 0.0], wave[1:]])


def _waves(phase: float) -> FloatArray:
    """(2 H + 1,) 1 and the harmonics of a phase."""
    angle = 2 * np.pi * phase * np.arange(1, HARMONICS + 1)
    return np.concatenate([[1.0], np.column_stack([np.cos(angle), np.sin(angle)]).ravel()])
