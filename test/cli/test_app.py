"""The frame of the command line: help, laziness, errors in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType
from typing import Annotated

import pytest
import typer

from autocar_ros import __version__
from autocar_ros.cli import COMMANDS
from autocar_ros.errors import BagError


@pytest.fixture
def pretend(monkeypatch):
    """Put a function in the place of a command, of `view` unless another one is named."""

    def put(function, name="view"):
        module = ModuleType(f"autocar_ros.cli.{name}")
        setattr(module, name, function)
        monkeypatch.setitem(sys.modules, f"autocar_ros.cli.{name}", module)

    return put


def test_help_lists_every_command(autocar):
    result = autocar("--help")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(autocar, name):
    result = autocar(name, "--help")
    assert result.exit_code == 0
    assert f"autocar {name}" in result.stdout


def test_help_imports_no_numerical_library():
    code = (
        "import sys; from autocar_ros.cli import build_app; build_app();"
        "sys.exit(bool({'numpy', 'torch', 'rclpy', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_version(autocar):
    assert autocar("--version").stdout.strip() == __version__


def test_arguments_reach_the_command(autocar, pretend):
    seen = []

    def view(graph: str, speed: Annotated[float, typer.Option()] = 1.0) -> None:
        seen.append((graph, speed))

    pretend(view)
    assert autocar("view", "a.json", "--speed", "2.5").exit_code == 0
    assert seen == [("a.json", 2.5)]


def test_bench_is_loaded_with_one_thread(autocar, pretend, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "")  # what the command sets is taken back after the test
    monkeypatch.delenv("OPENBLAS_NUM_THREADS")
    seen = []
    for name in ("view", "bench"):
        pretend(lambda: seen.append(os.environ.get("OPENBLAS_NUM_THREADS")), name)
        assert autocar(name).exit_code == 0
    assert seen == [None, "1"]


@pytest.mark.parametrize("error", [BagError("bag [1] is broken"), FileNotFoundError("bag [1] is broken")])
def test_an_error_of_ours_is_one_line_and_code_1(autocar, pretend, error):
    def view() -> None:
        raise error

    pretend(view)
    result = autocar("view")
    assert result.exit_code == 1
    assert result.stderr == "error: bag [1] is broken\n"


def test_exit_code_of_a_command_is_kept(autocar, pretend):
    def view() -> None:
        raise typer.Exit(3)

    pretend(view)
    assert autocar("view").exit_code == 3


def test_wrong_usage_is_explained(autocar, pretend):
    def view(graph: str) -> None:
        pass

    pretend(view)
    result = autocar("view")
    assert result.exit_code == 2
    assert "Missing argument" in result.stderr
