"""Check that this machine can hold the environment of `make setup`; name the cause and the remedy where it cannot.

Standard library only, and readable by any Python 3: it runs before there is an environment.
"""

import os
import platform
import shutil
import sys
import sysconfig

OLDEST, NEWEST = (3, 11), (3, 13)


def problems(environ, machine, version, include, which=shutil.which):
    """List what stands in the way, each as one text of cause and remedy."""
    found = []
    if machine != "x86_64":
        found.append(
            f"The ROS 2 wheels exist for x86_64 only, this is {machine}: "
            "install ROS 2 Jazzy and build with `colcon build` in its workspace."
        )
    if not OLDEST <= version <= NEWEST:
        found.append(
            "Python {}.{} is not supported: call make with PYTHON=python3.{} to python3.{}.".format(
                *version, OLDEST[1], NEWEST[1]
            )
        )
    sourced = [name for name in ("ROS_DISTRO", "AMENT_PREFIX_PATH") if environ.get(name)]
    if sourced:
        found.append(
            f"A ROS installation is sourced ({' and '.join(sourced)} set) and would shadow the environment: "
            f"build with `colcon build`, or use a fresh shell, or `unset {' '.join(sourced)} PYTHONPATH`."
        )
    if not os.path.exists(os.path.join(include, "Python.h")):
        found.append(f"Python.h is not in {include}: `apt-get install python{version[0]}.{version[1]}-dev`.")
    if not which("g++"):
        found.append("g++ is missing: `apt-get install g++`.")
    return found


if __name__ == "__main__":
    FOUND = problems(os.environ, platform.machine(), sys.version_info[:2], sysconfig.get_paths()["include"])
    for text in FOUND:
        print(f"setup: {text}", file=sys.stderr)
    sys.exit(1 if FOUND else 0)
