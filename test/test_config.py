"""Every option: documented, its default inside its own range, wrong values refused with the reason."""

from dataclasses import dataclass, fields
from importlib import util
from pathlib import Path

import pytest

from autocar_ros import config
from autocar_ros.config import _Checked, option
from autocar_ros.errors import ConfigError

STAGES = [c for c in vars(config).values() if isinstance(c, type) and issubclass(c, _Checked) and c is not _Checked]


@pytest.mark.parametrize("stage", STAGES)
def test_defaults_are_valid_and_documented(stage):
    stage()
    for f in fields(stage):
        assert f.metadata["doc"], f"{stage.__name__}.{f.name} has no description"
        assert f.name == f.name.lower()


@dataclass(frozen=True)
class Example(_Checked):
    length: float = option(1.0, "a length", "mm", 0.0, 10.0)
    count: int = option(3, "a number", low=1)
    mode: str = option("near", "how", choices=("near", "far"))
    active: bool = option(True, "whether")


def test_accepts_integers_for_floats():
    assert Example(length=2).length == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"length": -1.0}, "length must be >= 0.0 mm"),
        ({"length": 11.0}, "length must be <= 10.0 mm"),
        ({"length": float("nan")}, "NaN"),
        ({"length": "long"}, "length must be float"),
        ({"length": True}, "length must be float"),
        ({"count": 0}, "count must be >= 1"),
        ({"count": 1.5}, "count must be int"),
        ({"mode": "middle"}, "mode must be one of near, far"),
        ({"active": 1}, "active must be bool"),
    ],
)
def test_wrong_values_are_refused_with_the_reason(change, reason):
    with pytest.raises(ConfigError, match=reason):
        Example(**change)


def test_the_page_of_parameters_is_current():
    tool = Path(__file__).parents[1] / "tools" / "document_parameters.py"
    spec = util.spec_from_file_location(tool.stem, tool)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.page(), "run: python tools/document_parameters.py"
