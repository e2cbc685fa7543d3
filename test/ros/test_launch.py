"""Launch files, options files and the rviz configuration."""

import ast
import importlib
import importlib.util
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

pytest.importorskip("rclpy", reason="no ROS 2 in this environment")

from imaging.dicom_files import frames, write_run
from sensor_msgs.msg import Image

from autocar_ros.ros.bag import BagWriter
from autocar_ros.ros.lifecycle import StageNode
from autocar_ros.ros.processes import wait_active

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
NODES = sorted(p.stem for p in (ROOT / "autocar_ros" / "ros" / "nodes").glob("[a-z]*.py"))
needs_launch = pytest.mark.skipif(
    importlib.util.find_spec("launch_ros") is None,
    reason="launch and launch_ros are not in the wheels: these tests need a ROS 2 installation",
)


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda p: p.name)
def test_launch_files_start_only_nodes_that_exist(path):
    tree = ast.parse(path.read_text())
    names = [f.name for f in tree.body if isinstance(f, ast.FunctionDef)]
    assert "generate_launch_description" in names
    executables = [
        k.value.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for k in call.keywords
        if k.arg == "executable" and isinstance(k.value, ast.Constant)
    ]
    assert set(executables) <= {*NODES, "rviz2"}


def test_every_node_is_started_by_some_launch_file():
    text = "\n".join(path.read_text() for path in LAUNCH_FILES)
    assert [name for name in NODES if f'"{name}"' not in text] == []


def configs_of(node):
    module = importlib.import_module(f"autocar_ros.ros.nodes.{node}")
    classes = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, StageNode)]
    return next(v.configs for v in classes if v is not StageNode)


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda p: p.name)
def test_options_files_hold_only_options_that_exist_and_differ_from_the_default(path):
    for node, content in yaml.safe_load(path.read_text()).items():
        options = {k: v for k, v in content["ros__parameters"].items() if not k.startswith("qos_overrides.")}
        known = {f.name: (kind, f) for kind in configs_of(node.rsplit("/", 1)[-1]) for f in fields(kind)}
        for name, value in options.items():
            kind, field = known[name]
            assert field.default != value, f"{name} is the default"
            kind(**{name: tuple(value) if isinstance(value, list) else value})  # raises when out of range


def test_rviz_shows_topics_that_a_node_publishes():
    text = (ROOT / "rviz" / "autocar.rviz").read_text()
    shown = [d["Topic"]["Value"] for d in yaml.safe_load(text)["Visualization Manager"]["Displays"] if "Topic" in d]
    sources = "\n".join(p.read_text() for p in (ROOT / "autocar_ros" / "ros" / "nodes").glob("*.py"))
    for topic in shown:
        assert topic.removeprefix("plane_a").removeprefix("plane_b") in sources, topic


@needs_launch
@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda p: p.name)
def test_launch_files_describe_themselves(path):
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(path))
    assert all(a.description for a in description.get_launch_arguments())


START = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [a.split(":=") for a in sys.argv[2:]]
include = IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments)
service = LaunchService()
service.include_launch_description(LaunchDescription([include]))
sys.exit(service.run())
"""


def launched(name, folder):
    """Arguments of a launch file and the node that feeds the others."""
    if name == "simulation":
        return ["namespace:=lab"], "/lab/simulator"
    if name == "dicom":
        runs = [write_run(folder / f"{p}.dcm", frames(4), FrameTime="20") for p in "ab"]
        return [f"run_a:={runs[0]}", f"run_b:={runs[1]}"], "/dicom_player"
    with BagWriter(folder / "bag") as writer:
        writer.write("/plane_a/image_raw", 1, Image())
    return [f"bag:={folder / 'bag'}"], "/bag_player"


@needs_launch
@pytest.mark.parametrize("name", ["simulation", "dicom", "replay"])
def test_launching_brings_every_node_to_active(middleware, tmp_path, name):
    arguments, source = launched(name, tmp_path)
    names = ["plane_a/segmentation", "plane_b/segmentation", "synchronization", "reconstruction"]
    names += ["tracking", "navigation", "visualization"]
    prefix = source.rsplit("/", 1)[0]
    command = [sys.executable, "-c", START, str(ROOT / "launch" / f"{name}.launch.py"), *arguments]
    environment = {"AMENT_PREFIX_PATH": sys.prefix, **os.environ}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_active([source, *(f"{prefix}/{n}" for n in names)], timeout=90.0)
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(30)
    assert code == 0, (tmp_path / "log").read_text()
