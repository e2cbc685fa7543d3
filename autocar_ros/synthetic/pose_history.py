"""The pose history: from where, and how, clinics look at coronaries (paper: "Forwards projection with pose history").

Clusters of angles, and rows of distances and field of view that go together on one system: SID, SOD and pixel spacing
have several modes and depend on each other, so they are drawn by rows and never one by one. The package's history is
`pose_history.json` with its sources; `autocar poses fit` makes one of a clinic's own runs.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.random import Generator

from autocar_ros.errors import ConfigError
from autocar_ros.types import CArmPose, FloatArray

FORMAT = "autocar_ros pose history 1"
PACKAGED = Path(__file__).with_name("pose_history.json")
FURTHEST = 2.5  # standard deviations of an angle from its cluster
REACH = 2.0  # standard deviations of a distance from its row


@dataclass(frozen=True)
class ViewCluster:
    """A usual view, degrees; primary + = LAO, secondary + = cranial; `weight`: how often, against the others."""

    name: str
    primary: float
    secondary: float
    primary_deviation: float
    secondary_deviation: float
    correlation: float = 0.0  # of both angles
    weight: float = 1.0
    source: str = ""

    def __post_init__(self) -> None:
        """Raise `ConfigError` for what no cluster can be."""
        numbers = (self.primary, self.secondary, self.primary_deviation, self.secondary_deviation)
        if not np.isfinite(numbers).all() or min(numbers[2:]) < 0:
            raise ConfigError(f"cluster {self.name!r}: angles must be finite, deviations not negative")
        if abs(self.primary) > 180 or abs(self.secondary) > 90:
            raise ConfigError(f"cluster {self.name!r}: angles must be within +-180 and +-90 degrees")
        if not (abs(self.correlation) <= 1 and 0 < self.weight < np.inf):
            raise ConfigError(f"cluster {self.name!r}: need a correlation within +-1 and a weight above 0")


@dataclass(frozen=True, eq=False)
class PoseHistory:
    """Views, distances and fields of view to draw poses from; checked on construction (`ConfigError`)."""

    clusters: tuple[ViewCluster, ...]
    geometry: FloatArray = field(repr=False)  # (N, 4): SID, SOD, edge of the visible square at the detector, mm; weight
    jitter: tuple[float, float] = (0.0, 0.0)  # mm, standard deviation of SID and SOD around their row
    about: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Raise `ConfigError` for what cannot be drawn from."""
        rows = self.geometry
        if len(self.clusters) < 2:
            raise ConfigError(f"a pose history needs at least two clusters of views, got {len(self.clusters)}")
        if rows.ndim != 2 or rows.shape[1:] != (4,) or not len(rows):
            raise ConfigError("the geometry of a pose history must be rows of SID, SOD, field and weight")
        if not (np.isfinite(rows).all() and (rows > 0).all() and min(self.jitter) >= 0):
            raise ConfigError("the geometry of a pose history must be positive, its jitter not negative")
        if not (rows[:, 0] - rows[:, 1] > REACH * sum(self.jitter)).all():
            raise ConfigError("every SID of a pose history must be beyond its SOD, whatever the jitter")

    def draw_clusters(self, rng: Generator) -> tuple[ViewCluster, ViewCluster]:
        """Two different clusters, drawn by weight."""
        first = second = _pick(rng, self._cluster_steps)
        while second == first:
            second = _pick(rng, self._cluster_steps)
        return self.clusters[first], self.clusters[second]

    def draw_pose(self, rng: Generator, cluster: ViewCluster, size: int) -> CArmPose:
        """Draw a pose of a cluster, its detector having `size` x `size` px."""
        turn = rng.normal(size=2).clip(-FURTHEST, FURTHEST)
        tilt = cluster.correlation * turn[0] + np.sqrt(1 - cluster.correlation**2) * turn[1]
        primary = cluster.primary + cluster.primary_deviation * turn[0]
        secondary = float(np.clip(cluster.secondary + cluster.secondary_deviation * tilt, -90, 90))
        sid, sod, edge = self._draw_geometry(rng)
        spacing = edge / size
        return CArmPose(
            float(np.radians(primary)), float(np.radians(secondary)), sid, sod, (spacing, spacing), size, size
        )

    def moments(self) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of SID, SOD and field, each (3,) mm."""
        values, weight = self.geometry[:, :3], self.geometry[:, 3] / self.geometry[:, 3].sum()
        mean = weight @ values
        return mean, np.sqrt(weight @ (values - mean) ** 2 + np.square([*self.jitter, 0.0]))

    def save(self, path: Path) -> None:
        """Write a file that `load_history` reads: JSON, one line for each cluster and row."""
        parts = {
            "format": json.dumps(FORMAT),
            "about": _lines(self.about),
            "clusters": _lines([asdict(c) for c in self.clusters]),
            "jitter": json.dumps(self.jitter),
            "geometry": _lines(self.geometry.tolist()),
        }
        path.write_text("{\n" + ",\n".join(f' "{name}": {text}' for name, text in parts.items()) + "\n}\n")

    @cached_property
    def _cluster_steps(self) -> FloatArray:
        return np.cumsum([c.weight for c in self.clusters])

    @cached_property
    def _row_steps(self) -> FloatArray:
        return np.cumsum(self.geometry[:, 3])

    def _draw_geometry(self, rng: Generator) -> tuple[float, float, float]:
        sid, sod, edge, _ = self.geometry[_pick(rng, self._row_steps)]
        shift = rng.normal(size=2).clip(-REACH, REACH) * self.jitter
        return float(sid + shift[0]), float(sod + shift[1]), float(edge)


@lru_cache(maxsize=4)
def load_history(path: str = "") -> PoseHistory:
    """Pose history of a file, or the package's own.

    Raises
    ------
    ConfigError
        When the file is missing or holds no pose history.
    """
    file = Path(path or PACKAGED)
    try:
        found = json.loads(file.read_text())
        if found["format"] != FORMAT:
            raise ConfigError(f"its format is not {FORMAT!r}")
        sid, sod = found["jitter"]
        clusters = tuple(ViewCluster(**c) for c in found["clusters"])
        geometry = np.array(found["geometry"], dtype=float)
        return PoseHistory(clusters, geometry, (float(sid), float(sod)), tuple(found["about"]))
    except (OSError, ConfigError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{file} is no pose history ({error}): make one with `autocar poses fit DIR --out FILE`, or leave it out"
        ) from error


def _pick(rng: Generator, steps: FloatArray) -> int:
    """Index drawn by weight, `steps` being the sums of weights (many times faster than `Generator.choice`)."""
    return min(int(np.searchsorted(steps, rng.random() * steps[-1], side="right")), len(steps) - 1)


def _lines(items: object) -> str:
    assert isinstance(items, list | tuple)
    return "[\n" + ",\n".join(f"  {json.dumps(item, ensure_ascii=False)}" for item in items) + "\n ]" if items else "[]"
