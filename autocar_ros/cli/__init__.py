"""Command line `autocar`: one module a command.

A command is the function or the Typer application that bears its module's name. Its module is imported when it is
called, so that `autocar --help` needs none of the numerical libraries.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from importlib import import_module

import typer

from autocar_ros.cli.console import fail, print_version
from autocar_ros.errors import AutocarError
from autocar_ros.runtime import keep_memory, one_thread

COMMANDS = {
    "demo": "Run simulator and all nodes, record a bag and report how well it went.",
    "simulate": "Write a simulated biplane run: frames, poses, ECG, true vessel graphs.",
    "segment": "Segment the vessels of angiograms into mask images.",
    "phase": "Tell heart phase and contrast of every frame of a DICOM run.",
    "reconstruct": "Reconstruct the vessel graph from two DICOM runs or more, without ROS.",
    "convert": "Convert two DICOM runs into an MCAP bag with the topics of the nodes.",
    "replay": "Play a bag, alone or through the processing nodes.",
    "view": "Look at a vessel graph in 3D (needs open3d).",
    "bench": "Measure what every stage costs on this machine.",
    "poses": "Fit the views to train with to a folder of DICOM runs.",
    "prepare": "Make trees to train with of CT vessel masks (NIfTI).",
    "train": "Train a network on simulated vessel trees.",
    "evaluate": "Measure how good the reconstruction is, with baselines.",
}


def build_app() -> typer.Typer:
    """Application with all commands, none of them imported."""
    app = typer.Typer(
        name="autocar",
        help="Real-time coronary vessel navigation from biplane X-ray. Research software, not a medical device.",
        no_args_is_help=True,
        add_completion=False,
    )
    app.callback()(_options)
    pass_on = {"allow_extra_args": True, "ignore_unknown_options": True}
    for name, text in COMMANDS.items():
        app.command(name, help=text, add_help_option=False, context_settings=pass_on)(_forward(name))
    return app


def main() -> None:
    """Entry point of the `autocar` script; asked to end, it stops the nodes it has started, as at Ctrl-C."""
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.default_int_handler)
    keep_memory()
    build_app()()


def _options(
    version: bool = typer.Option(
        False, "--version", help="Print the version and stop.", callback=print_version, is_eager=True
    ),
) -> None:
    """Take the options of `autocar` itself."""


def _forward(name: str) -> Callable[[typer.Context], None]:
    """Hand the arguments to the command of that name; the package's own errors end it with one line and code 1."""

    def run(context: typer.Context) -> None:
        if name in ("bench", "reconstruct"):  # threads gain little, and beside other work they wait for each other
            os.environ.update(one_thread())
        try:
            command = _load(name)
            code = command(context.args, prog_name=f"autocar {name}", standalone_mode=False)
        except (AutocarError, OSError) as e:
            fail(e)
        raise typer.Exit(code if isinstance(code, int) else 0)

    return run


def _load(name: str) -> Callable[..., object]:
    target = getattr(import_module(f"autocar_ros.cli.{name}"), name)
    if not isinstance(target, typer.Typer):
        function, target = target, typer.Typer(add_completion=False)
        target.command()(function)
    return typer.main.get_command(target)
