"""Launch files, options files and the rviz configuration."""

import ast
import importlib.util
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from autocar_ros import config
from autocar_ros.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
NODES = sorted(p.stem for p in (ROOT / "autocar_ros" / "ros" / "nodes").glob("[a-z]*.py"))
CONFIGS = {
    "segmentation": config.SegmentationConfig,
    "synchronization": config.SynchronizationConfig,
    "reconstruction": config.ReconstructionConfig,
    "tracking": config.TrackingConfig,
    "navigation": config.NavigationConfig,
    "visualization": config.VisualizationConfig,
    "simulator": config.SimulationConfig,
    "dicom_player": config.DicomPlayerConfig,
    "bag_player": config.BagPlayerConfig,
}
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


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda p: p.name)
def test_options_files_hold_only_options_that_exist_and_differ_from_the_default(path):
    for node, content in yaml.safe_load(path.read_text()).items():
        kind = CONFIGS[node.rsplit("/", 1)[-1]]
        options = {k: v for k, v in content["ros__parameters"].items() if not k.startswith("qos_overrides.")}
        defaults = {f.name: f.default for f in fields(kind)}
        for name, value in options.items():
            assert defaults[name] != value, f"{name} is the default"
        try:
            kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in options.items()})
        except ConfigError as e:
            pytest.fail(f"{path.name}: {e}")


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


@needs_launch
def test_simulation_brings_every_node_to_active(middleware, tmp_path):
    from autocar_ros.ros.processes import wait_active

    script = (
        "import sys\nfrom launch import LaunchService\n"
        "from launch.actions import IncludeLaunchDescription\n"
        "from launch.launch_description_sources import PythonLaunchDescriptionSource\n"
        "from launch import LaunchDescription\n"
        "s = LaunchService(argv=sys.argv[2:])\n"
        "s.include_launch_description(LaunchDescription([IncludeLaunchDescription("
        "PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=[a.split(':=') for a in sys.argv[2:]])]))\n"
        "sys.exit(s.run())\n"
    )
    command = [sys.executable, "-c", script, str(ROOT / "launch" / "simulation.launch.py"), "namespace:=lab"]
    environment = {**os.environ, "AMENT_PREFIX_PATH": sys.prefix}
    names = ["plane_a/segmentation", "plane_b/segmentation", "synchronization", "reconstruction"]
    names += ["tracking", "navigation", "visualization", "simulator"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_active([f"/lab/{name}" for name in names], timeout=90.0)
        finally:
            process.send_signal(2)
            assert process.wait(30) == 0, (tmp_path / "log").read_text()
