#!/usr/bin/env bash
# Link what the virtual environment ($1) uses straight from this tree, so that edits count at once: the launchers
# lib/autocar_ros/<node>, one for every module autocar_ros/ros/nodes/<node>.py, and the shared folders.
set -euo pipefail
cd "$(dirname "$0")/.."

launchers=$1/lib/autocar_ros
rm -rf "$launchers"
mkdir -p "$launchers"
for module in autocar_ros/ros/nodes/[a-z]*.py; do
  [ -e "$module" ] || continue # none yet
  ln -s "$PWD/tools/run_node.sh" "$launchers/$(basename "$module" .py)"
done

for folder in config launch models rviz; do
  ln -sfn "$PWD/$folder" "$1/share/autocar_ros/$folder"
done
