"""What all commands share in the terminal: output, progress, errors."""

from __future__ import annotations

from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


def terminal() -> Console:
    """Console for results."""
    return Console()


def progress() -> Progress:
    """Progress display for long work; goes to standard error, so that results can be piped."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def fail(error: Exception) -> NoReturn:
    """Print an error in one red line and end the command with exit code 1."""
    text = str(error) or type(error).__name__
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(text)}", highlight=False)
    raise typer.Exit(1)


def print_version(wanted: bool) -> None:
    """Option callback: print the version and stop."""
    if wanted:
        from autocar_ros import __version__

        terminal().print(__version__, highlight=False)
        raise typer.Exit
