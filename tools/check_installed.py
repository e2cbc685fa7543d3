"""Check an installation by colcon: the package, its messages, its node executables and its shared files."""

import os
import sys
from importlib import import_module, util
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]


def main() -> None:
    """Stop at the first thing that is missing or comes from elsewhere than the given prefix."""
    prefix = Path(sys.argv[1]).resolve()
    interfaces = sorted(path for kind in ("msg", "srv", "action") for path in (SOURCE / kind).iterdir())
    for path in interfaces:
        module = import_module(f"autocar_ros.{path.parent.name}")
        assert Path(module.__file__).resolve().is_relative_to(prefix), f"{module.__file__} is not in {prefix}"
        getattr(module, path.stem).__class__.__import_type_support__()
    package = Path(import_module("autocar_ros").__file__).resolve()
    assert package.is_relative_to(prefix), f"{package} is not in {prefix}"
    nodes = sorted((SOURCE / "autocar_ros" / "ros" / "nodes").glob("[a-z]*.py"))
    for node in nodes:
        launcher = prefix / "lib" / "autocar_ros" / node.stem
        assert os.access(launcher, os.X_OK), f"{launcher} is not executable"
        assert util.find_spec(f"autocar_ros.ros.nodes.{node.stem}"), f"no module behind {launcher}"
    for folder in ("config", "launch", "models", "rviz"):
        for path in (SOURCE / folder).rglob("*"):
            installed = prefix / "share" / "autocar_ros" / path.relative_to(SOURCE)
            assert installed.exists(), f"{installed} is missing"
    print(f"Installed: {len(interfaces)} interfaces, {len(nodes)} node executables, shared files")


if __name__ == "__main__":
    main()
