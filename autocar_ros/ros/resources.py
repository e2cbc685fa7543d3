"""Shared files of the package (config, launch, msg, rviz) and message classes by name."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from autocar_ros.errors import InvalidInputError

PACKAGE = "autocar_ros"


def resource(*parts: str) -> Path:
    """Path of a shared file such as ``resource("config", "fastdds.xml")``.

    Looks in the ament index, then in the virtual environment (where there is no ament index), then in the source
    tree. Raises `FileNotFoundError` naming every place.
    """
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p] + [sys.prefix]
    folders = [Path(p, "share", PACKAGE) for p in prefixes] + [Path(__file__).resolve().parents[2]]
    for folder in folders:
        if (path := folder.joinpath(*parts)).exists():
            return path
    places = ", ".join(str(f) for f in folders)
    raise FileNotFoundError(f"{Path(*parts)} of {PACKAGE} is in none of {places}: is the package installed?")


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
