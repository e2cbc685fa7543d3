"""The trainer: one loop for every network, on one process or on several started by torchrun."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from autocar_ros.config import TrainConfig
from autocar_ros.errors import ConfigError, TrainingError
from autocar_ros.training.log import Log, mean_values
from autocar_ros.training.ranks import Ranks, join
from autocar_ros.training.state import Gradient, State, load_checkpoint, save_checkpoint
from autocar_ros.training.stream import Draws, stream, to_device

CHECKPOINT = "checkpoint.pt"
LOG_STEPS = 10  # a line of the log is the mean of so many steps
MOST_SKIPPED = 20  # steps in a row without a finite gradient
LEAST_RATE = 0.01  # learning rate at the end of the budget, share of the largest
# What may change in a resumed run
FREE = ("minutes", "steps", "workers", "device", "checkpoint_minutes", "validate_minutes")


class Task(Protocol):
    """What is trained: a network, its samples, its loss and its validation."""

    @property
    def model(self) -> nn.Module:
        """Network to train, with the weights to start from."""

    def sample(self, k: int) -> Any:
        """Draw and prepare training sample `k`, on the CPU, in a worker process; `k` alone decides which.

        Tuples, lists and mappings of tensors, or of anything with a method `to(device)`.
        """

    def loss(self, model: nn.Module, sample: Any) -> tuple[Tensor, dict[str, float]]:
        """Loss of one sample, a scalar, and figures to log."""

    def validation(self) -> Sequence[Any]:
        """Prepare the samples of the validation split, always the same."""

    def validate(self, model: nn.Module, samples: Sequence[Any]) -> dict[str, float]:
        """Figures of a model: `dice` decides which weights are kept, `threshold` is the best one."""

    def metadata(self) -> dict[str, str]:
        """What travels with the weights: `kind` of network, `architecture` as JSON, and what else tells runs apart.

        `data` and `limits`, sentences for the model card, may be among them.
        """


class Progress(NamedTuple):
    """Where training stands after a step."""

    step: int
    fraction: float  # 0..1 of the budget
    elapsed: float  # s, resumed runs included
    said: dict[str, float]  # means over the last steps: loss, norm of the gradient, what the task's loss says


@dataclass
class Best:
    """The weights that were best in validation."""

    scores: dict[str, float] = field(default_factory=dict)
    step: int = 0
    elapsed: float = 0.0  # s
    state: dict[str, Tensor] = field(default_factory=dict)


class Listener:
    """Is told how training goes, in the leading process; does nothing."""

    def stepped(self, progress: Progress) -> None:
        """Take note of a step."""

    def improved(self, best: Best) -> None:
        """Take note of better weights than any before."""


class Outcome(NamedTuple):
    """What training came to."""

    best: Best
    step: int
    elapsed: float  # s
    finished: bool  # the budget is spent; if not, the same call continues


def train(task: Task, config: TrainConfig, out: Path, listener: Listener | None = None) -> Outcome:
    """Train until the budget is spent, or a signal to end or interrupt arrives; continue from a checkpoint in `out`.

    Every step averages the gradients of `config.batch` samples of every process. A resumed run goes on exactly where
    the checkpoint was written; without one training starts from the weights that the model has. `out` gets
    `checkpoint.pt`, `log.jsonl` and `tensorboard/`.

    Raises
    ------
    ConfigError
        When there is no budget.
    TrainingError
        When the checkpoint is of another run, the device is missing, or the loss stays without a finite gradient.
    """
    if not config.minutes and not config.steps:
        raise ConfigError("training needs a budget: set minutes, steps or both")
    with _stop_flag() as stop:
        return _Trainer(task, config, out, join(config.device), listener or Listener()).run(stop)


def learning_rate(config: TrainConfig, step: int, fraction: float) -> float:
    """Learning rate at a step: warm-up, then a cosine down to the end of the budget (`fraction` 0..1 of it spent)."""
    rise = min(1.0, (step + 1) / (config.warm_up + 1))
    fall = LEAST_RATE + (1 - LEAST_RATE) * (1 + math.cos(math.pi * min(fraction, 1.0))) / 2
    return config.learning_rate * rise * fall


def spent(config: TrainConfig, step: int, elapsed: float) -> float:
    """Share of the budget that is spent: of the steps or of the minutes, whichever is more."""
    of_steps = step / config.steps if config.steps else 0.0
    of_time = elapsed / (60 * config.minutes) if config.minutes else 0.0
    return max(of_steps, of_time)


class _Trainer:
    """One run."""

    def __init__(self, task: Task, config: TrainConfig, out: Path, ranks: Ranks, listener: Listener) -> None:
        self.task, self.config, self.out, self.ranks, self.listener = task, config, out, ranks, listener
        fixed = {name: value for name, value in asdict(config).items() if name not in FREE}
        self.of_run = {**fixed, "processes": ranks.world, **task.metadata()}
        found = ranks.share(load_checkpoint(out / CHECKPOINT, self.of_run) if ranks.leads else None)
        self.step, self.before, self.skipped, self.best = 0, 0.0, 0, Best()
        task.model.load_state_dict(ranks.share(task.model.state_dict()))
        self.state = State(task.model, config, ranks.device)
        if found:
            self.state.restore(found["state"])
            self.step, self.before, self.best = found["step"], found["elapsed"], Best(**found["best"])
        draws = Draws(ranks.rank, ranks.world, config.reuse, config.buffer, config.seed)
        # before anything else has threads: the workers are forks of this process
        self.samples = stream(task.sample, draws, ranks.world, self.step * config.batch, config.workers)
        self.gradient = Gradient(self.state.model, extra=3)  # and loss, elapsed time, whether to stop
        self.said: list[dict[str, float]] = []

    def run(self, stop: threading.Event) -> Outcome:
        """Train; only the leading process validates, logs and saves."""
        if not self.ranks.leads:
            return self._train(stop)
        with Log(self.out, self.step) as self.log:
            self.validation = self.task.validation()
            return self._train(stop)

    def _train(self, stop: threading.Event) -> Outcome:
        self.began = time.monotonic()
        elapsed = saved = validated = self.before
        stopped, fraction = False, spent(self.config, self.step, elapsed)
        while fraction < 1 and not stopped:
            elapsed, stopped = self._step(stop)
            fraction = spent(self.config, self.step, elapsed)
            if not self.ranks.leads:
                continue
            self._tell(fraction, elapsed)
            if elapsed - validated >= 60 * self.config.validate_minutes and fraction < 1:
                self._validate()
                validated = elapsed
            if elapsed - saved >= 60 * self.config.checkpoint_minutes:
                self._save()
                saved = elapsed
        if self.ranks.leads:
            if not stopped and self.best.step < self.step:
                self._validate()
            self._save()
        return Outcome(self.best, self.step, self._elapsed(), not stopped)

    def _elapsed(self) -> float:
        return self.before + time.monotonic() - self.began

    def _step(self, stop: threading.Event) -> tuple[float, bool]:
        """Do one step; return elapsed seconds and whether to stop, the same in all processes."""
        config, gradient = self.config, self.gradient
        gradient.all.zero_()
        if self.step % LOG_STEPS == 0:
            self.said.clear()
        for _ in range(config.batch):
            sample = to_device(next(self.samples), self.ranks.device)
            loss, said = self.task.loss(self.state.model, sample)
            (loss / config.batch).backward()
            gradient.extra[0] += loss.detach() / config.batch
            self.said.append({"loss": loss.item(), **said})
        gradient.extra[1], gradient.extra[2] = self._elapsed(), float(stop.is_set())
        self.ranks.average(gradient.all)
        mean_loss, elapsed, stopped = gradient.extra.tolist()
        norm = gradient.clip(config.clip)
        if math.isfinite(mean_loss) and math.isfinite(norm):
            self.state.step(learning_rate(config, self.step, spent(config, self.step, elapsed)))
            self.skipped = 0
        else:
            self._skip()
        self.said[-1]["gradient"] = norm
        self.step += 1
        return elapsed, stopped > 0

    def _skip(self) -> None:
        self.skipped += 1
        if self.skipped >= MOST_SKIPPED:
            raise TrainingError(
                f"{MOST_SKIPPED} steps in a row had no finite loss or gradient, up to step {self.step}: "
                "lower the learning rate, or look for bad samples"
            )

    def _tell(self, fraction: float, elapsed: float) -> None:
        said = mean_values(self.said)
        self.listener.stepped(Progress(self.step, fraction, elapsed, said))
        if self.step % LOG_STEPS == 0:
            rate = learning_rate(self.config, self.step, fraction)
            self.log.write("train", self.step, elapsed, {**said, "learning_rate": rate, "skipped": self.skipped})

    def _validate(self) -> None:
        model = self.state.averaged.module
        model.eval()
        with torch.no_grad():
            found = self.task.validate(model, [to_device(s, self.ranks.device) for s in self.validation])
        scores = {name: float(value) for name, value in found.items()}
        self.log.write("validation", self.step, self._elapsed(), scores)
        if not self.best.scores or scores["dice"] > self.best.scores["dice"]:
            state = {name: t.detach().cpu().clone() for name, t in model.state_dict().items()}
            self.best = Best(scores, self.step, self._elapsed(), state)
            self.listener.improved(self.best)

    def _save(self) -> None:
        save_checkpoint(
            self.out / CHECKPOINT,
            {
                "run": self.of_run,
                "state": self.state.content(),
                "step": self.step,
                "elapsed": self._elapsed(),
                "best": vars(self.best),
            },
        )


@contextmanager
def _stop_flag() -> Iterator[threading.Event]:
    """Set by a signal to end or interrupt; the second one interrupts at once."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def handle(*_: object) -> None:
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()

    before = {name: signal.signal(name, handle) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
