"""Start nodes as processes without `ros2 launch`, wait until they are active, measure and stop them.

Used by `autocar demo` and the tests; where ROS 2 is installed the launch files do the same.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import rclpy
import yaml
from lifecycle_msgs.srv import GetState
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from autocar_ros.errors import AutocarError
from autocar_ros.ros.middleware import middleware_environment


class ProcessError(AutocarError):
    """A node process died or did not become active; the message ends with the last lines of its log."""


@dataclass(frozen=True)
class NodeSpec:
    """One node to start: `executable` is a module of `autocar_ros.ros.nodes`."""

    executable: str
    namespace: str = "/"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parameter_file: Path | None = None
    remap: Mapping[str, str] = field(default_factory=dict)
    name: str = ""  # "" = the executable's

    @property
    def full_name(self) -> str:
        """Absolute name, such as /plane_a/segmentation."""
        return f"{self.namespace.rstrip('/')}/{self.name or self.executable}"

    def command(self) -> list[str]:
        """Command line that starts it with this Python."""
        arguments = ["-r", f"__ns:={self.namespace}"]
        if self.name:
            arguments += ["-r", f"__node:={self.name}"]
        for source, target in self.remap.items():
            arguments += ["-r", f"{source}:={target}"]
        if self.parameter_file:
            arguments += ["--params-file", str(self.parameter_file)]
        for key, value in self.parameters.items():
            text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
            arguments += ["-p", f"{key}:={text}"]
        return [sys.executable, "-m", f"autocar_ros.ros.nodes.{self.executable}", "--ros-args", *arguments]


class NodeProcesses:
    """A set of running nodes; a context manager that stops them.

    Parameters
    ----------
    specs : what to start
    log_folder : one log file per node is written there

    Raises
    ------
    ProcessError
        From `wait_active` and `check`, when a node has died or does not come up.
    """

    def __init__(self, specs: Sequence[NodeSpec], log_folder: Path | str) -> None:
        self._environment = {**os.environ, **middleware_environment()}
        self._logs = Path(log_folder)
        self._logs.mkdir(parents=True, exist_ok=True)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for spec in specs:
                self._start(spec)
        except BaseException:
            self.stop()
            raise

    def _start(self, spec: NodeSpec) -> None:
        with self.log(spec.full_name).open("wb") as log:
            self._running[spec.full_name] = subprocess.Popen(
                spec.command(),
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                # A Ctrl-C in the terminal reaches us, and we stop them in order. The session stays the same: between
                # sessions Linux (autogroup) does not heed how nice a process is.
                process_group=0,
            )

    def log(self, full_name: str) -> Path:
        """Log file of a node."""
        return self._logs / (full_name.strip("/").replace("/", ".") + ".log")

    @property
    def names(self) -> list[str]:
        """Absolute names of the nodes."""
        return list(self._running)

    def check(self) -> None:
        """Raise `ProcessError` when a node has ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise ProcessError(f"{name} ended with code {process.returncode}:\n{self._tail(name)}")

    def wait_active(self, timeout: float = 60.0) -> None:
        """Wait until every node's lifecycle state is active, at most `timeout` s."""
        try:
            wait_active(self.names, timeout, self.check)
        except ProcessError as e:
            raise ProcessError(f"{e}\n{self._tails()}") from e

    def _tails(self) -> str:
        return "\n".join(f"--- {name}\n{self._tail(name)}" for name in self.names)

    def _tail(self, name: str) -> str:
        return "\n".join(self.log(name).read_text(errors="replace").splitlines()[-15:])

    def resident_memory(self) -> dict[str, int]:
        """Resident memory of every living node in bytes (proportional set size: shared pages counted once)."""
        return {name: memory_of(p.pid) for name, p in self._running.items() if p.poll() is None}

    def processor_time(self) -> dict[str, float]:
        """Processor time that every living node has used, in s."""
        return {name: processor_time_of(p.pid) for name, p in self._running.items() if p.poll() is None}

    def stop(self, timeout: float = 10.0) -> dict[str, int]:
        """Interrupt all nodes, wait for them, kill what does not end; return their exit codes."""
        for process in self._running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        end = time.monotonic() + timeout
        for process in self._running.values():
            try:
                process.wait(max(end - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return {name: p.returncode for name, p in self._running.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()


def wait_active(names: Sequence[str], timeout: float, check: Callable[[], None] = lambda: None) -> None:
    """Wait until the nodes of these absolute names are active; `check` is called again and again meanwhile.

    Raises `ProcessError` that tells the state of the first node that is not active after `timeout` s.
    """
    # its own context: the caller may spin, or not use, the default one
    context = Context()
    rclpy.init(context=context)
    node = Node("autocar_start", context=context, use_global_arguments=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        end = time.monotonic() + timeout
        for name in names:
            _wait_one(node, executor, name, end, check)
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()


def _wait_one(node: Node, executor: SingleThreadedExecutor, name: str, end: float, check: Callable[[], None]) -> None:
    client = node.create_client(GetState, f"{name}/get_state")
    label = "not reachable"
    while time.monotonic() < end:
        check()
        if client.service_is_ready():
            future = client.call_async(GetState.Request())
            executor.spin_until_future_complete(future, timeout_sec=1.0)
            if future.done():
                label = future.result().current_state.label
            if label == "active":
                return
        executor.spin_once(timeout_sec=0.05)
    raise ProcessError(f"{name} is {label}, not active")


def memory_of(pid: int) -> int:
    """Proportional set size of a process in bytes; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def processor_time_of(pid: int) -> float:
    """Processor time of all threads of a process in s; 0 when it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    user, system = stat.rsplit(")", 1)[1].split()[11:13]  # proc(5): utime and stime, after the name in brackets
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
