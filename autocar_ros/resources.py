"""Shared files of the package: config, launch, models, msg, rviz."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PACKAGE = "autocar_ros"


def resource(*parts: str) -> Path:
    """Path of a shared file such as ``resource("config", "fastdds.xml")``.

    Looks in the ament index, then in the virtual environment (where there is no ament index), then in the source
    tree. Raises `FileNotFoundError` naming every place.
    """
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p] + [sys.prefix]
    folders = [Path(p, "share", PACKAGE) for p in prefixes] + [Path(__file__).resolve().parents[1]]
    for folder in folders:
        if (path := folder.joinpath(*parts)).exists():
            return path
    places = ", ".join(str(f) for f in folders)
    raise FileNotFoundError(f"{Path(*parts)} of {PACKAGE} is in none of {places}: is the package installed?")
