"""`autocar replay`: a bag through the nodes again."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autocar_ros.cli.console import terminal
from autocar_ros.errors import InvalidInputError
from autocar_ros.types import NANOSECONDS

if TYPE_CHECKING:
    from rich.table import Table


def replay(
    bag: Annotated[Path, typer.Argument(help="Bag folder or .mcap file.")],
    rate: Annotated[float, typer.Option(min=0.01, help="Speed against the recording.")] = 1.0,
    loop: Annotated[bool, typer.Option("--loop", help="Start again at the end, until Ctrl-C.")] = False,
    with_nodes: Annotated[
        bool,
        typer.Option("--with-nodes", help="Play frames, poses and ECG only, and let the nodes compute the rest anew."),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Record the session to this new bag folder (one pass).")] = None,
) -> None:
    """Play a bag with its clock, and show what the nodes say.

    Without --with-nodes every recorded topic is played as it was, to look at in rviz or to feed nodes of your own.
    """
    from rich.live import Live

    from autocar_ros.ros.bag import BagReader
    from autocar_ros.ros.chain import processing_nodes
    from autocar_ros.ros.observer import Observer
    from autocar_ros.ros.processes import NodeProcesses, NodeSpec

    if out and loop:
        raise InvalidInputError("--out records one pass: leave --loop away")
    with BagReader(bag) as recorded:
        seconds = (recorded.end_ns - recorded.start_ns) / NANOSECONDS / rate
    options = {"bag": str(bag.resolve()), "rate": rate, "loop": loop, "topics": "inputs" if with_nodes else "all"}
    nodes = processing_nodes(use_sim_time=True) if with_nodes else []
    with Observer(out, use_sim_time=True) as observer, tempfile.TemporaryDirectory(prefix="autocar_replay_") as logs:
        with NodeProcesses(nodes, logs) as chain:
            chain.wait_active()
            with NodeProcesses([NodeSpec("bag_player", parameters=options)], logs) as player:
                player.wait_active()
                with Live(_table({}), console=terminal(), refresh_per_second=4) as live:
                    _watch(observer, live, None if loop else seconds, [chain, player])
                if with_nodes and not loop:
                    observer.settle()  # for what is still on its way
        _report(observer.status)


def _watch(observer: Any, live: Any, seconds: float | None, processes: list[Any]) -> None:
    """Show the diagnostics until the bag is over or the user stops it."""
    from autocar_ros.config import BagPlayerConfig

    left = float("inf") if seconds is None else seconds + BagPlayerConfig().delay
    try:
        while left > 0:
            observer.spin(min(left, 0.5))
            left -= 0.5
            for group in processes:
                group.check()
            live.update(_table(observer.status))
    except KeyboardInterrupt:
        pass  # the usual end of a loop


def _report(status: Mapping[str, Any]) -> None:
    troubles = {name: s.message for name, s in status.items() if s.level != "ok"}
    for name, message in sorted(troubles.items()):
        terminal().print(f"{name}: {message}", style="yellow", highlight=False, markup=False)


def _table(status: Mapping[str, Any]) -> Table:
    from rich.table import Table

    table = Table("node", "state", "in", "out", "dropped", "latency median / p95, ms")
    for name, node in sorted(status.items()):
        sums = [
            sum(int(v) for k, v in node.figures.items() if k.startswith(word + " "))
            for word in ("received", "published", "dropped")
        ]
        latency = [node.figures.get(f"latency_{q}_ms", "") for q in ("median", "p95")]
        table.add_row(name, node.level, *map(str, sums), " / ".join(filter(None, latency)))
    return table
