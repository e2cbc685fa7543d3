"""`autocar train`: networks from simulated cases."""

from __future__ import annotations

import os
import time
from dataclasses import fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
import yaml
from rich.console import Console
from rich.progress import (
    BarColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table

from autocar_ros.cli.cases import Tree
from autocar_ros.cli.console import terminal
from autocar_ros.config import CaseConfig, TrainConfig
from autocar_ros.errors import ConfigError
from autocar_ros.figures.training import training_curve
from autocar_ros.synthetic.pose_history import load_history
from autocar_ros.training.card import CARD, CURVE, write_model
from autocar_ros.training.log import read_log
from autocar_ros.training.loop import CHECKPOINT, Best, Listener, Outcome, Progress, Task
from autocar_ros.training.loop import train as run_training
from autocar_ros.weights import fill, load_weights


class Network(StrEnum):
    """What can be trained."""

    SBP = "sbp"
    SEGMENTATION = "segmentation"
    DENSE = "dense"


# What a variant is called in file names and reports; the first of a network is the usual one
VARIANTS = {
    Network.SBP: {"clinical": "sbp", "uniform": "sbp_uniform", "no_lifting": "sbp_no_lifting"},
    Network.SEGMENTATION: {name: name for name in ("segmentation", "stem2", "separable")},
    Network.DENSE: {"L2": "dense", **{name: f"dense_{name}" for name in ("L1", "L3", "L4", "L5", "L6")}},
}


def train(
    network: Annotated[
        Network, typer.Argument(help="sbp: sparse back-projection; segmentation: vessels in frames; dense: baselines.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for weights, model card, curve, log and checkpoint.")],
    variant: Annotated[
        str,
        typer.Option(
            help="sbp: clinical, uniform (poses from anywhere: L7), no_lifting; segmentation: segmentation, stem2, "
            "separable (other designs of the network); dense: L1 to L6 (L2)."
        ),
    ] = "",
    minutes: Annotated[float | None, typer.Option(min=0.0, help="Budget of time, resumed runs included.")] = None,
    steps: Annotated[int | None, typer.Option(min=0, help="Budget of steps.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Everything random follows from it.")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="Processes that prepare samples.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings; those here go before.")] = None,
    from_: Annotated[Path | None, typer.Option("--from", help="Weights to start from, to fine-tune them.")] = None,
    poses: Annotated[
        Path | None, typer.Option(help="Pose history to draw training views from, of `autocar poses fit`.")
    ] = None,
    trees: Annotated[
        Path | None, typer.Option(help="Folder of trees to train on, of `autocar prepare`, instead of simulated ones.")
    ] = None,
    tree: Annotated[
        Tree, typer.Option(help="Simulated trees to train sbp on: left, right or both; tubes: of no anatomy.")
    ] = Tree.BOTH,
    backgrounds: Annotated[
        Path | None,
        typer.Option(
            help="Folder of real frames that simulated vessels are drawn in front of; with --from, what "
            "that network is sure to see in them is learned from, too (segmentation)."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Go on from the checkpoint in the folder, or start anew.")
    ] = True,
) -> None:
    """Train a network on simulated cases until the budget is spent, and write its best weights with a model card.

    The learning rate falls over the budget, so give the time that you have: it ends when the minutes do. Ctrl-C or
    SIGTERM saves and stops; the same command goes on from there. Each time that validation improves, the weights in
    the folder are replaced.

    Several processes or machines: torchrun --nproc-per-node 2 --no-python autocar train ... (every one of them
    prepares and learns from its own samples). Follow a run with tensorboard --logdir DIR/tensorboard.
    """
    given = {"minutes": minutes, "steps": steps, "seed": seed, "workers": workers, "device": device}
    settings = read_settings(config, {name: value for name, value in given.items() if value is not None})
    leads = os.environ.get("RANK", "0") == "0"
    if not resume and leads:
        (out / CHECKPOINT).unlink(missing_ok=True)
    _share_cores(settings.workers)
    torch.manual_seed(settings.seed)
    cases = CaseConfig(tree=str(tree), poses=str(poses or ""), trees=str(trees or ""))
    name, task = make_task(network, variant, settings.seed, cases, backgrounds, from_)
    if from_:
        fill(task.model, load_weights(from_, task.metadata()["kind"]).state, str(from_))
    handover = Handover(out, name, task, settings, from_.name if from_ else "")
    if not leads:
        run_training(task, settings, out)
        return
    terminal().print(settings_table(name, settings))
    with handover.bar:
        outcome = run_training(task, settings, out, handover)
    terminal().print(handover.close(outcome), highlight=False, soft_wrap=True)


def read_settings(path: Path | None, given: dict[str, Any]) -> TrainConfig:
    """Settings of a YAML file, those `given` going before; raises `ConfigError`."""
    found = yaml.safe_load(path.read_text()) if path else {}
    if not isinstance(found, dict):
        raise ConfigError(f"{path} must hold settings as `name: value`")
    known = [f.name for f in fields(TrainConfig)]
    unknown = sorted(str(name) for name in found if name not in known)
    if unknown:
        raise ConfigError(f"{path} has the unknown setting {unknown[0]}: there are {', '.join(known)}")
    return TrainConfig(**{**found, **given})


def make_task(
    network: Network,
    variant: str,
    seed: int,
    cases: CaseConfig,
    backgrounds: Path | None = None,
    origin: Path | None = None,
) -> tuple[str, Task]:
    """Name of a network's variant, and its task; raises `ConfigError` for an unknown variant or a bad pose history."""
    load_history(cases.poses)
    names = VARIANTS[network]
    variant = variant or next(iter(names))
    if variant not in names:
        raise ConfigError(f"{network} has no variant {variant}: there are {', '.join(names)}")
    if network is Network.DENSE:
        from autocar_ros.training.dense import DenseTask

        return names[variant], DenseTask(variant, seed, cases=cases)
    if network is Network.SEGMENTATION:
        from autocar_ros.training.segmentation import DESIGNS, SegmentationTask, real_frames

        frames = real_frames(backgrounds, origin) if backgrounds else ()
        return names[variant], SegmentationTask(DESIGNS[variant], seed, frames)
    from autocar_ros.sbp.network import Architecture
    from autocar_ros.training.sbp import SbpTask

    architecture = Architecture(lifting=variant != "no_lifting")
    cases = replace(cases, views="uniform" if variant == "uniform" else "clinical")
    return names[variant], SbpTask(architecture, seed, cases)


def settings_table(name: str, settings: TrainConfig) -> Table:
    """All settings with their meaning."""
    table = Table(title=f"Training of {name}", title_justify="left")
    for column in ("setting", "value", "unit", "meaning"):
        table.add_column(column)
    for f in fields(settings):
        table.add_row(f.name, str(getattr(settings, f.name)), f.metadata["unit"], f.metadata["doc"])
    return table


class Handover(Listener):
    """Shows how training goes, and writes what is better than before."""

    def __init__(self, out: Path, name: str, task: Task, settings: TrainConfig, origin: str) -> None:
        self.bar = Bar(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
                       TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True))  # fmt: skip
        self._shown = self.bar.add_task(f"{name}: preparing", total=1.0)
        self._out, self._name, self._task, self._settings, self._origin = out, name, task, settings, origin
        self._first: tuple[int, float] | None = None

    def stepped(self, progress: Progress) -> None:
        """Move the bar."""
        self._first = self._first or (progress.step, time.monotonic())
        rate = (progress.step - self._first[0]) / max(time.monotonic() - self._first[1], 1e-9)
        said = " ".join(f"{n} {v:.3f}" for n, v in progress.said.items() if n == "loss" or n.startswith("dice"))
        text = f"step {progress.step} {said} {rate:.2f}/s"
        self.bar.update(self._shown, completed=progress.fraction, description=text)

    def improved(self, best: Best) -> None:
        """Write the weights."""
        write_model(self._out, self._name, self._task.metadata(), self._settings, best, self._origin)
        self.bar.console.print(f"step {best.step}: validation DICE {best.scores['dice']:.4f}", highlight=False)

    def close(self, outcome: Outcome) -> str:
        """Write the picture, and the weights anew where they are gone; return what to tell."""
        if lines := read_log(self._out):
            training_curve(lines).savefig(self._out / CURVE, dpi=120)
        text = f"{'Trained' if outcome.finished else 'Stopped, the same command goes on,'} after {outcome.step} steps, "
        text += f"{outcome.elapsed / 60:.1f} min. "
        if not outcome.best.state:
            return text + "Not validated yet: no weights were written."
        path = write_model(self._out, self._name, self._task.metadata(), self._settings, outcome.best, self._origin)
        return text + f"Best validation DICE {outcome.best.scores['dice']:.4f}. Wrote {path}, {CARD} and {CURVE}."


def _share_cores(workers: int) -> None:
    """Leave the cores of the workers to them, where the user has not said how many threads to use."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(len(os.sched_getaffinity(0)) - workers, 1))
