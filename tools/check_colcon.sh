#!/usr/bin/env bash
# Build this tree with colcon, with the ROS 2 wheels of the virtual environment as underlay, and check what it
# installs. Everything goes to build/colcon; colcon itself has an environment of its own there.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$PWD/$1
work=$PWD/build/colcon
tool=$work/venv

if ! cmp -s requirements/colcon.txt "$tool/requirements.txt"; then
  "$venv/bin/python" -m venv --clear "$tool"
  "$tool/bin/python" -m pip --disable-pip-version-check install -qq -r requirements/colcon.txt
  cp requirements/colcon.txt "$tool/requirements.txt"
fi

echo "colcon build ..."
rm -rf "$work/install"
AMENT_PREFIX_PATH=$venv CMAKE_PREFIX_PATH=$venv PATH=$venv/bin:$PATH "$tool/bin/colcon" --log-base "$work/log" \
  build --base-paths . --build-base "$work/build" --install-base "$work/install" \
  --event-handlers console_stderr- --cmake-args -G Ninja -DPython3_EXECUTABLE="$venv/bin/python"

[ ! -e "$work/install/tf2_msgs" ] || { echo "third_party/tf2_msgs was built by colcon" >&2; exit 1; }

echo "check of $work/install ..."
set +u # the generated setup files read unset variables
# shellcheck disable=SC1091
source "$work/install/local_setup.bash"
set -u
cd / # away from the sources
exec "$venv/bin/python" "$OLDPWD/tools/check_installed.py" "$work/install/autocar_ros"
