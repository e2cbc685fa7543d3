"""One frozen dataclass per stage: every default once, with its unit.

`option` attaches unit, meaning and range to a field; the range is checked on construction (`ConfigError`), and the
ROS parameters and the generated documentation are made from the same fields (`ros/parameters.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

from autocar_ros.errors import ConfigError


def option(
    default: Any,
    doc: str,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    fixed: bool = False,
) -> Any:
    """Declare a field with meaning, unit and allowed range; `fixed` = read once, in configure."""
    meta = {"doc": doc, "unit": unit, "low": low, "high": high, "choices": choices, "fixed": fixed}
    return field(default=default, metadata=meta)


class _Checked:
    """Checks every option against its type and range on construction."""

    def __post_init__(self) -> None:
        for f in fields(self):  # type: ignore[arg-type]
            _check_option(f.name, getattr(self, f.name), f.default, f.metadata)


def _check_option(name: str, value: Any, default: Any, meta: Any) -> None:
    kind = float if isinstance(default, float) else type(default)
    if not isinstance(value, (float, int) if kind is float else kind) or (kind is not bool and isinstance(value, bool)):
        raise ConfigError(f"{name} must be {kind.__name__}, got {value!r}")
    unit = f" {meta['unit']}" if meta["unit"] else ""
    for v in value if isinstance(value, tuple) else (value,):
        if isinstance(v, float) and math.isnan(v):
            raise ConfigError(f"{name} must not be NaN")
        if meta["low"] is not None and v < meta["low"]:
            raise ConfigError(f"{name} must be >= {meta['low']}{unit}, got {v}")
        if meta["high"] is not None and v > meta["high"]:
            raise ConfigError(f"{name} must be <= {meta['high']}{unit}, got {v}")
    if meta["choices"] and value not in meta["choices"]:
        raise ConfigError(f"{name} must be one of {', '.join(meta['choices'])}, got {value!r}")


@dataclass(frozen=True)
class SegmentationConfig(_Checked):
    """Image to vessel probability (`imaging/segmentation.py`)."""


@dataclass(frozen=True)
class SynchronizationConfig(_Checked):
    """Two streams to pairs of one heart phase (`sync/`)."""

    max_pair_skew: float = option(0.02, "largest time between two paired exposures", "s", 0.0, 1.0)
    pose_timeout: float = option(2.0, "a pose older than this against its frame is refused", "s", 0.01)


@dataclass(frozen=True)
class ReconstructionConfig(_Checked):
    """Key-frame pair to a new vessel graph (`sbp/`, `vessels/`)."""


@dataclass(frozen=True)
class TrackingConfig(_Checked):
    """Every pair to the living graph (`tracking/`)."""


@dataclass(frozen=True)
class NavigationConfig(_Checked):
    """Living graph to catheter paths (`navigation/`)."""


@dataclass(frozen=True)
class VisualizationConfig(_Checked):
    """Markers, point clouds and overlays."""


@dataclass(frozen=True)
class SimulationConfig(_Checked):
    """Biplane X-ray simulator (`synthetic/`)."""
