"""The interfaces other programs rely on: they serialise, they are documented, and the metadata agree."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import autocar_ros

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(path for kind in ("msg", "srv", "action") for path in (ROOT / kind).glob(f"*.{kind}"))
PARTS = {"msg": [""], "srv": ["Request", "Response"], "action": ["Goal", "Result", "Feedback"]}
UNITS = {"m", "rad", "s", "Hz", "px", "mV", "1/m", "%", "-"}
NUMBER = re.compile(r"(u?int\d+|float\d+)")
LINE = re.compile(
    r"(?P<type>[\w/\[\]]+)\s+(?P<name>\w+)\s*(?P<value>=\S+)?"
    r"\s*(#\s*(\[(?P<unit>[^\]]*)\]\s*)?(?P<text>.*))?$"
)


def message_types():
    """Every message of the package, with the parts of services and actions."""
    found = []
    for path in SOURCES:
        interface = getattr(import_module(f"autocar_ros.{path.parent.name}"), path.stem)
        found += [getattr(interface, part) if part else interface for part in PARTS[path.parent.name]]
    return found


def example(kind: str):
    """Value for a field of the given type, as rclpy names types, that differs from its default."""
    if match := re.fullmatch(r"sequence<([^,>]+)>", kind):
        return [example(match[1])] * 3
    if match := re.fullmatch(r"(.+)\[(\d+)\]", kind):
        return [example(match[1])] * int(match[2])
    if "/" in kind:
        package, name = kind.split("/")
        return filled(getattr(import_module(f"{package}.msg"), name))
    return {"string": "text", "boolean": True, "float": 0.25, "double": 0.25}.get(kind, 7)


def filled(message_type):
    """Message with a value other than the default in every field."""
    kinds = message_type.get_fields_and_field_types()
    return message_type(**{name: example(kind) for name, kind in kinds.items()})


def test_all_interfaces_are_there():
    assert [f"{path.parent.name}/{path.stem}" for path in SOURCES] == [
        "action/ComputeCatheterPath", "msg/CArmPose", "msg/EcgSamples", "msg/FramePair", "msg/PathSuggestion",
        "msg/PathSuggestions", "msg/StenosisArray", "msg/VesselGraph", "msg/ViewAlignment", "srv/GetVesselGraph",
        "srv/IsPathValid", "srv/SaveVesselGraph",
    ]  # fmt: skip


@pytest.mark.parametrize("message_type", message_types(), ids=lambda message_type: message_type.__name__)
def test_message_survives_serialisation(message_type):
    from rclpy.serialization import deserialize_message, serialize_message

    message = filled(message_type)
    assert message != message_type()
    assert deserialize_message(serialize_message(message), message_type) == message


def test_tf_message_is_available():
    from tf2_msgs.msg import TFMessage

    assert TFMessage.get_fields_and_field_types() == {"transforms": "sequence<geometry_msgs/TransformStamped>"}


def test_vessel_graph_has_the_agreed_fields():
    from autocar_ros.msg import VesselGraph

    assert VesselGraph.get_fields_and_field_types() == {
        "header": "std_msgs/Header", "graph_id": "uint32", "sequence": "uint32", "status": "uint8",
        "status_reason": "string", "phase": "float", "stamp_a": "builtin_interfaces/Time",
        "stamp_b": "builtin_interfaces/Time", "skew": "float", "x": "sequence<float>", "y": "sequence<float>",
        "z": "sequence<float>", "radius": "sequence<float>", "confidence": "sequence<float>",
        "sigma": "sequence<float>", "seen_by": "sequence<uint8>", "branch": "sequence<uint32>",
        "edge_from": "sequence<uint32>", "edge_to": "sequence<uint32>", "branch_label": "sequence<string>",
        "residual_a": "float", "residual_b": "float", "coverage_a": "float", "coverage_b": "float",
        "processing_time": "float",
    }  # fmt: skip


def test_constants_have_the_agreed_values():
    from autocar_ros.action import ComputeCatheterPath
    from autocar_ros.msg import FramePair, VesselGraph
    from autocar_ros.srv import GetVesselGraph

    status = (VesselGraph.STATUS_OK, VesselGraph.STATUS_DEGRADED, VesselGraph.STATUS_STALE, VesselGraph.STATUS_LOST)
    assert status == (0, 1, 2, 3)
    assert (VesselGraph.SEEN_BY_A, VesselGraph.SEEN_BY_B) == (1, 2)
    assert (FramePair.PHASE_SOURCE_NONE, FramePair.PHASE_SOURCE_ECG, FramePair.PHASE_SOURCE_IMAGE) == (0, 1, 2)
    assert (GetVesselGraph.Request.BY_STAMP, GetVesselGraph.Request.BY_PHASE) == (0, 1)
    goal, result = ComputeCatheterPath.Goal, ComputeCatheterPath.Result
    assert (goal.GOAL_POSE, goal.GOAL_NODE, goal.GOAL_BRANCH) == (0, 1, 2)
    codes = "NONE UNKNOWN INVALID_REQUEST NO_GRAPH STALE_GRAPH START_OFF_GRAPH GOAL_OFF_GRAPH NO_FEASIBLE_PATH CANCELED"
    assert [getattr(result, code) for code in codes.split()] == list(range(9))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_every_field_tells_its_meaning_and_unit(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# "), "an interface starts with what it is for"
    for line in lines:
        if not line or line.startswith("#") or line == "---":
            continue
        field = LINE.match(line)
        assert field, line
        assert field["text"], f"no meaning: {line}"
        if NUMBER.match(field["type"]) and not field["value"]:
            assert field["unit"] in UNITS, f"no unit: {line}"


def test_package_xml_is_valid():
    package_parser = pytest.importorskip("catkin_pkg.package")
    package = package_parser.parse_package(str(ROOT / "package.xml"))
    package.validate()
    assert package.get_build_type() == "ament_cmake"
    assert {"rclpy", "tf2_msgs", "nav_msgs"} <= {dependency.name for dependency in package.exec_depends}


def test_versions_agree():
    version = autocar_ros.__version__
    assert f"<version>{version}</version>" in (ROOT / "package.xml").read_text()
    newest = re.search(r"^(\d+\.\d+\.\d+)( \(.*\))?\n-+$", (ROOT / "CHANGELOG.rst").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "autocar_ros.__version__"}


def test_every_dependency_is_pinned():
    pinned = {
        line.split("==")[0]
        for name in ("build", "run", "dev")
        for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
        if "==" in line
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    assert {re.split(r"[=<>]", name)[0] for name in wanted} <= pinned
