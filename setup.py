"""pip's way to the interfaces: run CMake against the ROS 2 wheels and hand its files to the wheel.

Metadata is in pyproject.toml. With a ROS installation use colcon, which reads CMakeLists.txt and not this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from setuptools import Command, Distribution, setup
from setuptools.command.build import build

HERE = Path(__file__).resolve().parent
NAME = "autocar_ros"
# Edited by hand and used at run time: an editable install links these instead (tools/link_sources.sh).
LINKED = [f"lib/{NAME}", *(f"share/{NAME}/{folder}" for folder in ("config", "launch", "models", "rviz"))]


class BuildInterfaces(Command):
    """Build what pip cannot and add it to ``data_files``: message modules and libraries, launchers, shared files."""

    user_options = ()
    editable_mode = False  # set by setuptools

    def initialize_options(self) -> None:
        self.build_base: str | None = None

    def finalize_options(self) -> None:
        self.set_undefined_options("build", ("build_base", "build_base"))

    def get_source_files(self) -> list[str]:
        return []

    def get_outputs(self) -> list[str]:
        return []

    def get_output_mapping(self) -> dict[str, str]:
        return {}

    def run(self) -> None:
        work = HERE / str(self.build_base) / f"interfaces-{sys.version_info.major}{sys.version_info.minor}"
        stage = work / "stage"
        shutil.rmtree(stage, ignore_errors=True)  # no files of interfaces that are gone
        if not wheel_provides("tf2_msgs"):
            cmake_install(HERE / "third_party" / "tf2_msgs", work / "tf2_msgs", stage)
        cmake_install(HERE, work / NAME, stage, "-DAUTOCAR_PIP=ON")
        files: dict[str, list[str]] = {}
        for file in sorted(stage.rglob("*")):
            target = file.relative_to(stage)
            if file.is_file() and self._wanted(target):
                files.setdefault(str(target.parent), []).append(str(file.relative_to(HERE)))
        self.distribution.data_files = list(files.items())

    def _wanted(self, target: Path) -> bool:
        if target.parts[-2:] == (NAME, "__init__.py"):
            return False  # ours comes with the Python sources
        if self.editable_mode and any(target.is_relative_to(folder) for folder in LINKED):
            return False
        return target.suffix not in (".c", ".pyc") and ".egg-info" not in str(target)


def wheel_provides(package: str) -> bool:
    """Whether a ROS 2 wheel brings this interface package (a copy of our own does not count)."""
    try:
        metadata.distribution("ros-" + package.replace("_", "-"))
    except metadata.PackageNotFoundError:
        return False
    return True


def cmake_install(source: Path, build_folder: Path, stage: Path, *options: str) -> None:
    """Configure, build and install one ament package into the staging folder."""
    import rosidl_cmake  # of the ROS 2 wheels, absent while only metadata is asked for

    prefix = str(Path(rosidl_cmake.__file__).parents[4])  # <prefix>/lib/pythonX.Y/site-packages/rosidl_cmake/...
    env = {**os.environ, "AMENT_PREFIX_PATH": prefix, "CMAKE_PREFIX_PATH": prefix}
    configure = ["cmake", "--fresh", "-S", source, "-B", build_folder, "-G", "Ninja", "-DBUILD_TESTING=OFF",
                 "-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_INSTALL_PREFIX={stage}",
                 f"-DPython3_EXECUTABLE={sys.executable}", *options]  # fmt: skip
    subprocess.run(configure, env=env, check=True)
    subprocess.run(["cmake", "--build", build_folder, "--target", "install"], env=env, check=True)


class Build(build):
    """The usual build, then the interfaces."""

    sub_commands = (*build.sub_commands, ("build_interfaces", None))


class BinaryDistribution(Distribution):
    """Holds compiled type support, so the wheel is bound to this platform and Python."""

    def has_ext_modules(self) -> bool:
        return True

    def has_data(self) -> bool:  # asked for by editable installs
        return bool(self.data_files)


setup(distclass=BinaryDistribution, cmdclass={"build": Build, "build_interfaces": BuildInterfaces})
