"""Message classes by name."""

from __future__ import annotations

import importlib
from typing import Any

from autocar_ros.errors import InvalidInputError


def message_class(type_name: str) -> Any:
    """Generated class of a type name such as ``sensor_msgs/msg/Image``; `InvalidInputError` when there is none."""
    try:
        package, kind, name = type_name.split("/")
        return getattr(importlib.import_module(f"{package}.{kind}"), name)
    except (ValueError, ImportError, AttributeError) as e:
        raise InvalidInputError(f"no message type {type_name!r} in this installation: {e}") from e


def type_name(message_type: type) -> str:
    """Inverse of `message_class`: the ROS name of a generated class."""
    package, kind = message_type.__module__.split(".")[:2]
    return f"{package}/{kind}/{message_type.__name__}"
