"""The trainer on a toy: schedule, average, resume, stop, validation, several processes."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training.toy import SLOPE, ToyTask

from autocar_ros.config import TrainConfig
from autocar_ros.errors import ConfigError, TrainingError
from autocar_ros.training.log import read_log
from autocar_ros.training.loop import MOST_SKIPPED, Listener, learning_rate, spent, train
from autocar_ros.training.state import Gradient, State

CONFIG = TrainConfig(steps=24, batch=2, reuse=3, buffer=5, workers=0, learning_rate=0.05, warm_up=3, averaging=0.9)


class StopsItself(ToyTask):
    """Is asked to end while it computes the loss of a sample."""

    def __init__(self, after, name=signal.SIGTERM):
        super().__init__()
        self.after, self.signal = after, name

    def loss(self, model, sample):
        if len(self.used) == self.after:
            os.kill(os.getpid(), self.signal)
        return super().loss(model, sample)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_learns(tmp_path):
    task = ToyTask()
    found = train(task, replace(CONFIG, steps=200), tmp_path)
    assert found.finished
    assert found.step == 200
    assert torch.allclose(found.best.state["weight"][0], SLOPE, atol=0.02)
    assert found.best.scores["dice"] > 0.99


def test_a_run_is_its_seed(tmp_path):
    first, same, other = (ToyTask() for _ in range(3))
    for task, seed, folder in ((first, 0, "a"), (same, 0, "b"), (other, 1, "c")):
        train(task, replace(CONFIG, seed=seed), tmp_path / folder)
    assert torch.equal(weights(first.model), weights(same.model))
    assert first.used == same.used != other.used


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_goes_on_exactly(tmp_path, name):
    whole, stopped, resumed = ToyTask(), StopsItself(17, name), ToyTask()
    all_at_once = train(whole, CONFIG, tmp_path / "whole")
    found = train(stopped, CONFIG, tmp_path / "parts")
    assert not found.finished
    assert found.step == 9  # the step at which it was asked is done
    found = train(resumed, replace(CONFIG, workers=1), tmp_path / "parts")
    assert found.finished
    assert torch.equal(weights(whole.model), weights(resumed.model))
    assert stopped.used + resumed.used == whole.used
    assert found.best.scores == all_at_once.best.scores
    assert torch.equal(found.best.state["weight"], all_at_once.best.state["weight"])


def test_signal_handlers_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    train(ToyTask(), replace(CONFIG, steps=1), tmp_path)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_crash_costs_what_followed_the_last_checkpoint(tmp_path):
    class Crashes(ToyTask):
        def loss(self, model, sample):
            if len(self.used) == 30:
                raise RuntimeError("power cut")
            return super().loss(model, sample)

    config = replace(CONFIG, checkpoint_minutes=0.0)
    whole, resumed = ToyTask(), ToyTask()
    train(whole, config, tmp_path / "whole")
    with pytest.raises(RuntimeError, match="power cut"):
        train(Crashes(), config, tmp_path / "parts")
    train(resumed, config, tmp_path / "parts")
    assert torch.equal(weights(whole.model), weights(resumed.model))
    lines = {folder: [(line["kind"], line["step"]) for line in read_log(tmp_path / folder)]
             for folder in ("whole", "parts")}  # fmt: skip
    assert lines["whole"] == lines["parts"]


def test_a_finished_run_is_not_repeated_but_can_be_extended(tmp_path):
    train(ToyTask(), CONFIG, tmp_path)
    again, longer = ToyTask(), ToyTask()
    assert train(again, CONFIG, tmp_path).best.scores
    assert again.used == []
    assert train(longer, replace(CONFIG, steps=30), tmp_path).step == 30
    assert len(longer.used) == 6 * CONFIG.batch


@pytest.mark.parametrize(
    ("task", "config", "reason"),
    [
        (ToyTask("other"), CONFIG, "kind was toy, now other"),
        (ToyTask(), replace(CONFIG, batch=3), "batch was 2, now 3"),
    ],
)
def test_checkpoint_of_another_run(tmp_path, task, config, reason):
    train(ToyTask(), CONFIG, tmp_path)
    with pytest.raises(TrainingError, match=reason):
        train(task, config, tmp_path)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"\x80\x02cos\nsystem\n."])
def test_damaged_checkpoint(tmp_path, content):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(TrainingError, match="remove it to start anew"):
        train(ToyTask(), CONFIG, tmp_path)


def test_checkpoint_of_another_version(tmp_path):
    torch.save({"format": 0}, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="no checkpoint of this version"):
        train(ToyTask(), CONFIG, tmp_path)


def test_steps_without_finite_loss_are_skipped(tmp_path):
    task = ToyTask(bad=lambda k: k in (3, 4))
    found = train(task, replace(CONFIG, reuse=1, steps=100), tmp_path)
    assert torch.isfinite(weights(task.model)).all()
    assert found.best.scores["dice"] > 0.9


def test_too_many_of_them_end_the_run(tmp_path):
    task = ToyTask(bad=lambda k: k >= 4)
    with pytest.raises(TrainingError, match=r"20 steps in a row.*up to step 21.*learning rate"):
        train(task, replace(CONFIG, reuse=1, steps=100), tmp_path)
    assert len(task.used) == 2 * (2 + MOST_SKIPPED)


def test_the_best_validation_is_kept(tmp_path):
    class Moody(ToyTask):
        figures = (0.3, 0.8, 0.5, 0.6)

        def __init__(self):
            super().__init__()
            self.seen = []

        def validate(self, model, samples):
            self.seen.append(weights(model).clone())
            return {"dice": self.figures[len(self.seen) - 1], "threshold": 0.1 * len(self.seen)}

    class Notes(Listener):
        def __init__(self):
            self.steps, self.improvements = [], []

        def stepped(self, progress):
            self.steps.append(progress.step)

        def improved(self, best):
            self.improvements.append(best.step)

    task, notes = Moody(), Notes()
    best = train(task, replace(CONFIG, steps=4, validate_minutes=0.0), tmp_path, notes).best
    assert notes.steps == [1, 2, 3, 4]
    assert notes.improvements == [1, 2]
    assert best.scores == {"dice": 0.8, "threshold": 0.2}
    assert best.step == 2
    kept = torch.cat([best.state["weight"].flatten(), best.state["bias"]])
    assert torch.equal(kept, task.seen[1])
    found = [line for line in read_log(tmp_path) if line["kind"] == "validation"]
    assert [line["dice"] for line in found] == list(Moody.figures)


def test_log(tmp_path):
    train(ToyTask(), CONFIG, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    of_training = [line for line in lines if line["kind"] == "train"]
    assert [line["step"] for line in of_training] == [10, 20]
    assert {"loss", "dice", "gradient", "learning_rate", "elapsed", "skipped"} <= of_training[0].keys()
    assert lines[-1]["kind"] == "validation"
    assert any((tmp_path / "tensorboard").iterdir())


def test_learning_rate_rises_then_falls_to_the_end_of_the_budget():
    config = TrainConfig(minutes=1.0, warm_up=9, learning_rate=0.1)
    assert learning_rate(config, 0, 0.0) == pytest.approx(0.01)
    assert learning_rate(config, 9, 0.0) == pytest.approx(0.1)
    assert learning_rate(config, 50, 0.5) == pytest.approx(0.1 * (0.01 + 0.99 / 2))
    assert learning_rate(config, 99, 1.0) == learning_rate(config, 99, 1.3) == pytest.approx(0.001)


def test_the_budget_ends_with_what_is_spent_first():
    assert spent(TrainConfig(minutes=2.0), 1000, 60.0) == 0.5
    assert spent(TrainConfig(steps=10), 5, 1e9) == 0.5
    assert spent(TrainConfig(minutes=2.0, steps=10), 9, 60.0) == 0.9


def test_a_budget_of_time_ends(tmp_path):
    found = train(ToyTask(), replace(CONFIG, steps=0, minutes=0.2 / 60), tmp_path)
    assert found.finished
    assert found.step > 1


def test_no_budget(tmp_path):
    with pytest.raises(ConfigError, match="set minutes, steps or both"):
        train(ToyTask(), replace(CONFIG, steps=0), tmp_path)


def test_no_such_device(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(TrainingError, match="no CUDA device"):
        train(ToyTask(), replace(CONFIG, device="cuda"), tmp_path)


def test_running_average():
    model = torch.nn.Linear(1, 1, bias=False)
    state = State(model, replace(CONFIG, averaging=0.9), torch.device("cpu"))
    expected = None
    for n in range(40):
        with torch.no_grad():
            model.weight.fill_(float(n))
        state.averaged.update_parameters(model)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = float(n) if expected is None else decay * expected + (1 - decay) * n
    assert state.averaged.module.weight.item() == pytest.approx(expected)


def test_the_gradient_is_one_vector():
    model = torch.nn.Linear(2, 1)
    gradient = Gradient(model, extra=1)
    for _ in range(2):  # as over a batch: it adds up
        model(torch.tensor([3.0, 0.0])).sum().backward()
    assert gradient.all.tolist() == [6.0, 0.0, 2.0, 0.0]
    assert gradient.clip(100.0) == pytest.approx(40**0.5)
    assert model.weight.grad.tolist() == [[6.0, 0.0]]
    assert gradient.clip(1.0) == pytest.approx(40**0.5)
    assert torch.allclose(model.weight.grad, torch.tensor([[6 / 40**0.5, 0.0]]))


RUN = """
import os
import sys
from pathlib import Path

import torch
from training.toy import ToyTask

from autocar_ros.config import TrainConfig
from autocar_ros.training.loop import train

task = ToyTask()
if os.environ["RANK"] == "1":
    torch.nn.init.ones_(task.model.weight)  # is to be overruled
out = Path(sys.argv[1])
for steps in (4, 9):  # the second goes on from the first
    train(task, TrainConfig(steps=steps, batch=2, reuse=1, workers=0, learning_rate=0.05, warm_up=3), out)
torch.save((task.model.state_dict(), task.used), out / f"rank{os.environ['RANK']}.pt")
"""


@pytest.mark.slow
def test_two_processes_are_one_with_the_doubled_batch(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(RUN)
    test = Path(__file__).resolve().parents[1]
    python_path = os.pathsep.join([str(test), str(test.parent), os.environ.get("PYTHONPATH", "")])
    # ended by SIGTERM, torchrun ends its processes
    command = ["timeout", "100", sys.executable, "-m", "torch.distributed.run", "--standalone",
               "--local-addr", "127.0.0.1", "--nproc-per-node", "2", str(script), str(tmp_path)]  # fmt: skip
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": python_path, "OMP_NUM_THREADS": "1"},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    (first, of_first), (second, of_second) = (torch.load(tmp_path / f"rank{r}.pt", weights_only=True) for r in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert of_first == list(range(0, 36, 2))
    assert of_second == list(range(1, 36, 2))
    alone, config = ToyTask(), TrainConfig(batch=4, reuse=1, workers=0, learning_rate=0.05, warm_up=3)
    for steps in (4, 9):
        train(alone, replace(config, steps=steps), tmp_path / "alone")
    assert all(torch.allclose(first[name], t, atol=1e-6) for name, t in alone.model.state_dict().items())
