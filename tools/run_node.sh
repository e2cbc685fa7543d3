#!/bin/sh
# Installed as lib/autocar_ros/<node>, which `ros2 run` and launch start: runs the node module of that name,
# with the Python of the virtual environment it lies in, if it lies in one.
venv_python="$(dirname "$0")/../../bin/python3"
[ -x "$venv_python" ] || venv_python=python3
exec "$venv_python" -m "autocar_ros.ros.nodes.$(basename "$0")" "$@"
