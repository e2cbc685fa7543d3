"""Calls of `autocar` in this process."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from autocar_ros.cli import build_app


@pytest.fixture
def autocar():
    """`autocar(*arguments)` returns the result with `exit_code`, `stdout` and `stderr`."""
    app = build_app()

    def call(*arguments):
        return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})

    return call
