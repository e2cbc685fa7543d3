"""Log of a training run: a line of JSON for every few steps and every validation, and the same for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

LOG = "log.jsonl"


class Log:
    """Writes into a run's folder; what an interrupted run wrote after its last checkpoint is dropped."""

    def __init__(self, folder: Path, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        kept = [line for line in read_log(folder) if line["step"] <= step] if step else []
        self._path = folder / LOG
        self._path.write_text("".join(json.dumps(line) + "\n" for line in kept))
        self._board = _board(folder / "tensorboard", step)

    def write(self, kind: str, step: int, elapsed: float, values: Mapping[str, float]) -> None:
        """Add a line: `kind` is train or validation, `elapsed` seconds of training."""
        with self._path.open("a") as file:
            file.write(json.dumps({"kind": kind, "step": step, "elapsed": round(elapsed, 2), **values}) + "\n")
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        if self._board:
            self._board.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Lines of the log in a run's folder; none when there is no log."""
    path = folder / LOG
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def mean_values(said: list[dict[str, float]]) -> dict[str, float]:
    """Mean of every value over the dictionaries that have it."""
    names = dict.fromkeys(name for values in said for name in values)
    return {name: float(np.mean([values[name] for values in said if name in values])) for name in names}


def _board(folder: Path, step: int) -> Any:
    """TensorBoard's writer, where it is installed (extra `train`)."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(folder, purge_step=step)
