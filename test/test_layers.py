"""The arrows between the parts of the package, as docs/architecture draws them: who may import whom."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "autocar_ros"

# Every row may import the rows above it; beside itself nothing, but within the first row and as BESIDE tells.
BASE = {"types", "config", "errors", "resources", "runtime", "weights"}
LAYERS = [BASE, {"geometry", "imaging", "sparse"}, {"sbp", "vessels", "sync"}, {"tracking", "navigation"}]
BESIDE = {"sbp": {"vessels"}}  # lifting starts from the centrelines of the masks
CORE = set().union(*LAYERS)

# part -> the other parts it may import
ALLOWED = {
    **{part: set().union(*LAYERS[:rank], BESIDE.get(part, ())) for rank, row in enumerate(LAYERS) for part in row},
    **{part: BASE - {part} for part in BASE},
    "pipeline": CORE,
    "synthetic": CORE,
    "training": CORE | {"synthetic", "evaluation"},
    "figures": CORE,
    "evaluation": CORE | {"pipeline", "figures"},
    "ros": CORE | {"pipeline", "figures"},
    "ros.nodes.simulator": CORE | {"pipeline", "figures", "ros", "synthetic"},
    "cli": CORE | {"pipeline", "figures", "ros", "synthetic", "training", "evaluation"},
}
GENERATED = {"msg", "srv", "action"}  # autocar_ros.msg ...: interfaces, for the part ros only


def part_of(module: str) -> str:
    """Row of ALLOWED that a dotted module of the package belongs to: 'ros.nodes.tracking' -> 'ros'."""
    exact = [part for part in ALLOWED if module == part or module.startswith(part + ".")]
    return max(exact, key=len, default=module.partition(".")[0])


def imports(source: str, module: str, is_package: bool = False) -> Iterator[tuple[int, str, bool]]:
    """Yield (line, dotted name, at module level) of everything the source of ``module`` imports.

    Names of the package come without 'autocar_ros.'; those of others with a leading slash.
    """
    tree = ast.parse(source)
    inside = {id(node) for function in ast.walk(tree) if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
              for node in ast.walk(function)}  # fmt: skip
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = ["autocar_ros", *module.split(".")]
                parents = parents[: len(parents) - node.level + is_package]
                base = ".".join([*parents, *filter(None, [base])])
            # `from autocar_ros import vessels` imports a part, `from autocar_ros.types import Frame` a name
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "autocar_ros" else [base]
        for name in names:
            own, _, rest = name.partition(".")
            yield node.lineno, rest if own == "autocar_ros" else "/" + name, id(node) not in inside


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """Imports of ``source`` that break an arrow, in words."""
    part = part_of(module)
    found = []
    for line, name, at_top in imports(source, module, is_package):
        target = part_of(name)
        top = name.partition(".")[0]
        is_ros = top in GENERATED or top == "/rclpy" or top.endswith("_msgs")
        if is_ros:
            wrong = part.partition(".")[0] != "ros"
        elif name.startswith("/") or name in ("", "__version__") or target == part:
            continue
        elif part == "cli" and target.startswith("ros"):
            wrong = at_top  # the command line works without ROS until a command needs it
        else:
            wrong = target not in ALLOWED[part]
        if wrong:
            found.append(f"{module}:{line} imports {name.lstrip('/')}")
    return found


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def test_every_module_belongs_to_a_part():
    assert {part_of(module) for module, _ in modules() if module} <= ALLOWED.keys()


def test_imports_follow_the_arrows():
    broken = [text for module, path in modules() if module
              for text in violations(path.read_text(), module, path.name == "__init__.py")]  # fmt: skip
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("types", "import numpy"),
        ("config", "from autocar_ros.errors import ConfigError"),
        ("sbp.lifting", "from autocar_ros.geometry import camera"),
        ("sbp.lifting", "from .features import sample"),
        ("sbp.lifting", "from autocar_ros.vessels.skeleton import thin"),
        ("tracking.solver", "from autocar_ros.vessels.graph import prune"),
        ("pipeline", "from autocar_ros import tracking, navigation"),
        ("evaluation.report", "from autocar_ros.figures import overlay"),
        ("ros.nodes.tracking", "import rclpy\nfrom autocar_ros.msg import VesselGraph\nfrom ..conversions import f"),
        ("ros.nodes.simulator", "from autocar_ros.synthetic import scene"),
        ("cli", "def play():\n    from autocar_ros.ros.nodes import tracking"),
    ],
)
def test_allowed_import_passes(module, source):
    assert violations(source, module) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("types", "from autocar_ros.geometry.carm import camera"),
        ("geometry.camera", "from autocar_ros.imaging import enhance"),
        ("geometry.camera", "from ..vessels import graph"),
        ("geometry.camera", "def f():\n    import autocar_ros.vessels.graph"),
        ("vessels.graph", "from autocar_ros import tracking"),
        ("vessels.graph", "from autocar_ros.sbp import lifting"),
        ("navigation.planner", "import rclpy.node"),
        ("navigation.planner", "from nav_msgs.msg import Path"),
        ("pipeline", "from autocar_ros.msg import VesselGraph"),
        ("pipeline", "from autocar_ros.synthetic import scene"),
        ("pipeline", "from autocar_ros.figures import overlay"),
        ("training.sbp", "from autocar_ros.pipeline import Pipeline"),
        ("ros.nodes.tracking", "from autocar_ros.synthetic import scene"),
        ("cli", "from autocar_ros.ros import lifecycle"),
        ("cli", "def play():\n    from autocar_ros.msg import VesselGraph"),
    ],
)
def test_forbidden_import_is_found(module, source):
    assert len(violations(source, module)) == 1


def test_relative_import_of_a_package_is_resolved():
    assert violations("from .graph import prune", "vessels", is_package=True) == []
    assert len(violations("from ..tracking import solver", "vessels", is_package=True)) == 1
