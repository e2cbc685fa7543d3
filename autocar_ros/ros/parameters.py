"""ROS parameters made from the config dataclasses: one declaration, one check, one reason when a value is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from autocar_ros.errors import ConfigError

C = TypeVar("C")


class Parameters:
    """The options of some config dataclasses as parameters of a node.

    ``parameters[SegmentationConfig]`` is the present, valid config. A change that the dataclass refuses is rejected
    with its reason; while `locked` (the node is configured), so is a change of a `fixed` option. After a change
    `changed` is called.

    Raises
    ------
    ConfigError
        On construction, when a value from the command line or a parameter file is refused.
    """

    def __init__(self, node: Node, config_types: Sequence[type], changed: Callable[[], None]) -> None:
        self._node = node
        self._changed = changed
        self.locked = False
        self._fields = {f.name: f for t in config_types for f in fields(t)}
        for f in self._fields.values():
            node.declare_parameter(f.name, _value(f.default), descriptor(f))
        self._configs: dict[type, Any] = {t: self._read(t, {}) for t in config_types}
        node.add_on_set_parameters_callback(self._check)
        node.add_post_set_parameters_callback(self._update)

    def __getitem__(self, config_type: type[C]) -> C:
        config: C = self._configs[config_type]
        return config

    def _read(self, config_type: type[C], new: dict[str, Any]) -> C:
        names = [f.name for f in fields(config_type)]  # type: ignore[arg-type]
        values = {n: new[n] if n in new else self._node.get_parameter(n).value for n in names}
        return config_type(**{n: self._typed(n, v) for n, v in values.items()})

    def _typed(self, name: str, value: Any) -> Any:
        return tuple(value) if isinstance(self._fields[name].default, tuple) else value

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        new = {p.name: p.value for p in parameters if p.name in self._fields}
        if self.locked and (fixed := [n for n in new if self._fields[n].metadata["fixed"]]):
            reason = f"{', '.join(fixed)} is read when the node is configured: bring it to 'unconfigured' first"
            return SetParametersResult(successful=False, reason=reason)
        try:
            for config_type in self._configs:
                self._read(config_type, new)
        except ConfigError as e:
            return SetParametersResult(successful=False, reason=str(e))
        return SetParametersResult(successful=True)

    def _update(self, parameters: list[Parameter]) -> None:
        if any(p.name in self._fields for p in parameters):
            self._configs = {t: self._read(t, {}) for t in self._configs}
            self._changed()


def descriptor(option: Field[Any]) -> ParameterDescriptor:
    """Meaning, unit and range of an option, as `ros2 param describe` shows them."""
    meta = option.metadata
    unit = f" [{meta['unit']}]" if meta["unit"] else ""
    result = ParameterDescriptor(description=f"{meta['doc']}{unit}")
    if meta["choices"]:
        result.additional_constraints = f"one of {', '.join(meta['choices'])}"
    if meta["fixed"]:
        result.additional_constraints = (result.additional_constraints + "; read when configured").lstrip("; ")
    low, high = meta["low"], meta["high"]
    if low is None and high is None:
        return result
    if isinstance(option.default, float):
        low, high = _bounds(low, high, sys.float_info.max)
        result.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    elif isinstance(option.default, int):
        low, high = _bounds(low, high, 2**63 - 1)
        result.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    return result


def _bounds(low: float | None, high: float | None, limit: float) -> tuple[float, float]:
    return -limit if low is None else low, limit if high is None else high


def _value(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default
