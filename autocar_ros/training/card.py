"""What a training run hands over: the best weights, and a model card beside them."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from autocar_ros.config import TrainConfig
from autocar_ros.evaluation.report import machine, source_commit
from autocar_ros.training.loop import Best
from autocar_ros.weights import checksum_file, save_weights

CARD = "MODEL.md"
CURVE = "curve.png"
TEXTS = ("data", "limits", "architecture", "validation")  # metadata that have a section of their own
LIMITS = "Trained on simulated vessel trees alone. How far it carries over to real X-ray must be measured, not assumed."


def write_model(
    folder: Path, name: str, of_task: Mapping[str, str], config: TrainConfig, best: Best, origin: str = ""
) -> Path:
    """Write `<name>.safetensors` with its checksum, and the model card; `origin` names weights it started from."""
    metadata = {
        **of_task,
        "threshold": repr(best.scores.get("threshold", 0.5)),
        "seed": str(config.seed),
        "steps": str(best.step),
        "hours": f"{best.elapsed / 3600:.2f}",
        "batch": str(config.batch),
        "commit": source_commit() or "unknown",
        "processor": f"{machine()['cpu']}, {machine()['cores']} cores" if config.device == "cpu" else config.device,
        "settings": json.dumps(asdict(config)),
        "validation": json.dumps(best.scores),
        **({"started_from": origin} if origin else {}),
    }
    path = folder / f"{name}.safetensors"
    save_weights(path, best.state, metadata)
    size = sum(t.numel() for t in best.state.values())
    (folder / CARD).write_text(model_card(name, metadata, size, checksum_file(path).read_text().split()[0]))
    return path


def model_card(name: str, metadata: Mapping[str, str], size: int, checksum: str) -> str:
    """Model card in Markdown of weights with `size` numbers; `metadata` as in the weights file."""
    facts = {key: value for key, value in metadata.items() if key not in TEXTS}
    return _CARD.substitute(
        name=name,
        kind=metadata["kind"],
        size=f"{size:,}",
        checksum=checksum,
        data=metadata.get("data", "Simulated biplane cases, drawn while it trained: no case was stored or chosen."),
        architecture=_table(json.loads(metadata.get("architecture", "{}"))),
        facts=_table(facts),
        validation=_table(json.loads(metadata["validation"])),
        limits=metadata.get("limits", LIMITS),
        curve=CURVE,
    )


def _table(values: Mapping[str, object]) -> str:
    texts = {key: f"{v:.4g}" if isinstance(v, float) else str(v).replace("|", "\\|") for key, v in values.items()}
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {text} |" for key, text in texts.items())])


_CARD = string.Template(
    """# $name

Weights of the network `$kind`, $size numbers, as safetensors. Research software, not a medical device.

SHA-256: `$checksum`

## Data

$data

## Training

$facts

Steps and hours are those until these weights, the best of all in validation; they are the running average over the
steps before. `settings` repeated with the same commit give the same run as long as its budget is counted in steps.

![Loss and validation over the time of training]($curve)

## Architecture

$architecture

## Figures

On the cases of the validation split, which also chose the weights and the threshold; so they flatter. The figures to
quote are those of `autocar evaluate`, on the test split.

$validation

## Limits

$limits
"""
)
