"""Every method that reconstructs a pair of masks, by its name: ours, lifting, visual hull, the learned baselines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import ConfigError, ReconstructionError, WeightsError
from autocar_ros.evaluation.baselines.dense import DenseNetwork, load_dense, predict_dense
from autocar_ros.evaluation.baselines.visual_hull import visual_hull
from autocar_ros.evaluation.network_errors import network_errors
from autocar_ros.evaluation.voxels import dense, grid_around, skeleton_graph
from autocar_ros.pipeline import reconstruct
from autocar_ros.resources import resource
from autocar_ros.sbp.network import SbpNetwork
from autocar_ros.sbp.prediction import load_network
from autocar_ros.types import FramePair, SparseVolume, VesselGraph

VOXEL_SIZE = 0.5  # mm, as in the paper
CONFIG = ReconstructionConfig(voxel_size=VOXEL_SIZE)


class Prediction(NamedTuple):
    """What a method makes of a pair: the lumen in voxels of `VOXEL_SIZE`, and its centreline."""

    volume: SparseVolume
    graph: VesselGraph


Method = Callable[..., Prediction]  # of a pair, and for those of `TOGETHER` `more` pairs of the same moment
Errors = Callable[[FramePair, VesselGraph], dict[str, float]]  # shares of the errors, given the truth


class Entry(NamedTuple):
    """How a method is made, from a weights file where it has one."""

    make: Callable[[Path], Method]
    trained_by: str = ""  # arguments of `autocar train` for its weights; empty: it has none
    errors: Callable[[Path], Errors] | None = None  # tells its errors apart


def load_method(name: str, models: Path | None = None) -> Method:
    """Return a method by its name, its weights from `<name>.safetensors` in `models` or those of the package.

    Raises
    ------
    ConfigError
        For an unknown name.
    WeightsError
        When its weights are missing or damaged; tells how to train them.
    """
    if name not in METHODS:
        raise ConfigError(f"there is no method {name}: there are {', '.join(METHODS)}")
    entry = METHODS[name]
    return entry.make(_weights(name, models) if entry.trained_by else Path())


def load_errors(name: str, models: Path | None = None) -> Errors | None:
    """What tells the errors of a method apart (`network_errors`); None for methods that have no stages."""
    errors = METHODS[name].errors
    return errors(_weights(name, models)) if errors else None


def usable_methods(models: Path | None = None) -> tuple[list[str], list[str]]:
    """Names of the methods that need no weights or have them, and of those that miss them."""
    usable: list[str] = []
    missing: list[str] = []
    for name, entry in METHODS.items():
        there = not entry.trained_by or _file(name, models) is not None
        (usable if there else missing).append(name)
    return usable, missing


def named_methods(text: str, models: Path | None = None) -> list[str]:
    """Names in a comma-separated list; raises as `load_method` where one cannot be used."""
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise ConfigError(f"no method is named: there are {', '.join(METHODS)}")
    for name in names:
        load_method(name, models)
    return names


def _weights(name: str, models: Path | None) -> Path:
    path = _file(name, models)
    if path is None:
        raise WeightsError(
            f"{name} has no weights {f'in {models}' if models else 'in this package'}: train them with "
            f"`autocar train {METHODS[name].trained_by} --minutes M --out DIR` and name DIR as the folder of models"
        )
    return path


def _file(name: str, models: Path | None) -> Path | None:
    file = f"{name}.safetensors"
    try:
        path = models / file if models else resource("models", file)
    except FileNotFoundError:
        return None
    return path if path.is_file() else None


def _of_sbp(path: Path) -> Method:
    return partial(_reconstructed, network=load_network(str(path)))


def _errors_of_sbp(path: Path) -> Errors:
    return partial(network_errors, load_network(str(path)), config=CONFIG)


def _of_dense(path: Path) -> Method:
    return partial(_dense, load_dense(path))


def _reconstructed(pair: FramePair, network: SbpNetwork | None = None, more: Sequence[FramePair] = ()) -> Prediction:
    return Prediction(*reconstruct(pair, CONFIG, network, more))


def _dense(network: DenseNetwork, pair: FramePair) -> Prediction:
    return _thinned(predict_dense(network, pair, CONFIG))


def _hull(pair: FramePair) -> Prediction:
    volume = visual_hull(pair, VOXEL_SIZE)
    if len(volume.voxels) == 0:
        raise ReconstructionError("the masks have no voxel in common")
    return _thinned(volume)


def _thinned(volume: SparseVolume) -> Prediction:
    """Centreline by thinning, as of a method that gives voxels alone."""
    if not (volume.occupancy >= 0.5).any():
        raise ReconstructionError("no voxel is vessel")
    grid = grid_around(volume.points, voxel_size=VOXEL_SIZE, margin=VOXEL_SIZE)
    return Prediction(volume, skeleton_graph(dense(volume, grid), grid))


METHODS = {
    "sbp": Entry(_of_sbp, "sbp", _errors_of_sbp),
    "sbp_uniform": Entry(_of_sbp, "sbp --variant uniform", _errors_of_sbp),
    "sbp_no_lifting": Entry(_of_sbp, "sbp --variant no_lifting", _errors_of_sbp),
    "lifting": Entry(lambda _: _reconstructed),
    "dense": Entry(_of_dense, "dense --variant L2"),
    **{f"dense_{v}": Entry(_of_dense, f"dense --variant {v}") for v in ("L1", "L3", "L4", "L5", "L6")},
    "visual_hull": Entry(lambda _: _hull),
}
TOGETHER = ("sbp", "sbp_uniform", "sbp_no_lifting", "lifting")  # take several pairs of one moment
