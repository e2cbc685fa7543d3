"""Trained weights as files: tensors and metadata as safetensors, a checksum beside them. No pickle is ever loaded."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from autocar_ros.errors import WeightsError
from autocar_ros.resources import resource

AGAIN = "fetch the file again, or train new ones with `autocar train`"

Model = TypeVar("Model", bound="Calibrated")


class Weights(NamedTuple):
    """What a weights file holds."""

    state: dict[str, Tensor]
    metadata: dict[str, str]  # kind, architecture, threshold, seed, hours, commit ...


def save_weights(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file of weights and its checksum (`sha256sum -c` reads it); `metadata` must name the `kind` of network.

    A reader never meets half a file.
    """
    if "kind" not in metadata:
        raise WeightsError("weights need the kind of their network in the metadata")
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_bytes(save({name: t.detach().cpu().clone().contiguous() for name, t in state.items()}, dict(metadata)))
    os.replace(new, path)
    checksum_file(path).write_text(f"{_sha256(path)}  {path.name}\n")


def load_weights(path: Path, kind: str) -> Weights:
    """Read weights of a `kind` of network onto the CPU.

    Raises
    ------
    WeightsError
        When the file or its checksum is missing, does not fit the checksum, or is of another kind.
    """
    if not path.is_file():
        raise WeightsError(f"no weights at {path}: name another file, or train them with `autocar train`")
    if not checksum_file(path).is_file():
        raise WeightsError(f"{path} has no checksum beside it: copy {checksum_file(path).name} too")
    if checksum_file(path).read_text().split()[:1] != [_sha256(path)]:
        raise WeightsError(f"{path} does not fit its checksum, it is damaged or incomplete: {AGAIN}")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except SafetensorError as error:
        raise WeightsError(f"{path} is no weights file ({error}): {AGAIN}") from error
    if metadata.get("kind") != kind:
        raise WeightsError(f"{path} holds weights of the kind {metadata.get('kind')!r}, wanted are those of {kind!r}")
    return Weights(state, metadata)


class Calibrated(nn.Module):
    """Network whose answer is cut at a threshold, which travels with its weights."""

    threshold = 0.5  # of vessel, 0..1; found on validation cases


def load_model(path: Path, kind: str, make: Callable[[str], Model]) -> Model:
    """Network with weights and threshold of a file, for inference on the CPU; `make` builds it from its architecture.

    Raises
    ------
    WeightsError
        When the file is missing, damaged, or holds another network.
    """
    state, metadata = load_weights(path, kind)
    try:
        model = make(metadata["architecture"])
        model.threshold = float(metadata["threshold"])
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"{path} does not tell how its network is made ({error!r}): train it anew") from error
    fill(model, state, str(path))
    return model.eval()


def bundled_weights(kind: str, otherwise: str) -> Path:
    """Weights that come with the package; `WeightsError`, telling what to do `otherwise`, when there are none."""
    try:
        return resource("models", f"{kind}.safetensors")
    except FileNotFoundError as error:
        raise WeightsError(f"no weights come with this installation ({error}); {otherwise}") from error


def check_device(device: str) -> None:
    """Raise `WeightsError` when there is no such device here."""
    if device == "cuda" and not torch.cuda.is_available():
        raise WeightsError("no CUDA device is available here: set device to cpu")


def number_type(precision: str, device: str) -> torch.dtype:
    """Type of a network's numbers; `fastest` is bfloat16 where the processor multiplies it itself, else float32.

    A processor without such instructions (AVX512-BF16, AMX) computes in bfloat16 too, but slower.
    """
    if precision != "fastest":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32


class Described:
    """Base of frozen dataclasses that travel with weights as ``json.dumps(asdict(...))``."""

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of that; `ValueError` or `TypeError` when the text is none."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def fill(model: nn.Module, state: Mapping[str, Tensor], source: str = "these weights") -> None:
    """Give weights to a model of the same architecture.

    Raises
    ------
    WeightsError
        When a tensor is missing, unknown or of another shape.
    """
    wanted = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    given = {name: tuple(t.shape) for name, t in state.items()}
    different = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))
    if different:
        name = different[0]
        raise WeightsError(
            f"{source} are of another architecture: {len(different)} tensors differ, the first is {name}, "
            f"{given.get(name, 'missing')} for {wanted.get(name, 'none')}"
        )
    model.load_state_dict(state)


def checksum_file(path: Path) -> Path:
    """Where the checksum of a weights file lies."""
    return path.with_name(path.name + ".sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
