"""`autocar bench sbp`: where the time of sparse back-projection goes, and how it grows with the number of voxels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from resource import RUSAGE_SELF, getrusage
from typing import Any

import numpy as np
import torch
from rich.table import Table
from scipy import ndimage
from torch import Tensor

from autocar_ros.cli.cases import static_case
from autocar_ros.config import ReconstructionConfig
from autocar_ros.pipeline import reconstruct
from autocar_ros.sbp.network import SIZES, SbpNetwork
from autocar_ros.sbp.observation import evidence, observe
from autocar_ros.sbp.prediction import network_for, ridge_cloud, volume_of
from autocar_ros.sparse.conv import submanifold_conv
from autocar_ros.sparse.voxels import Voxels

CASES = 10
SETS = (20_000, 50_000, 100_000, 200_000, 400_000)  # voxels
CHANNELS = (16, 32, 64)
REACH = 4  # voxels, half the width of the tube
WINDING = 20.0  # voxels over which it turns
GEMM = 1024  # rows of the matrices that find the machine's peak


@dataclass(frozen=True)
class PartTime:
    """Time of a part of a reconstruction."""

    part: str
    median_ms: float
    p95_ms: float


@dataclass(frozen=True)
class SetTime:
    """Time of one convolution 3 x 3 x 3 on a set of voxels."""

    voxels: int
    channels: int
    neighbours_ms: float
    torch_ms: float
    share_of_peak: float  # of the machine's best matrix product
    spconv_ms: float | None  # where it is installed


def bench_sbp(seed: int, advance: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything on one core; `advance` is told what comes next."""
    config = ReconstructionConfig()
    network = network_for(config)
    assert network is not None
    advance("Reconstructing cases")
    parts, voxels = _parts(network, config, seed)
    memory = getrusage(RUSAGE_SELF).ru_maxrss / 1024  # it comes in KiB
    advance("Finding the peak of this core")
    peak = _peak()
    sets: list[SetTime] = []
    for count in SETS:
        advance(f"Convolving {count} voxels")
        sets += _set_times(count, seed, peak)
    return {
        "parts": [asdict(p) for p in parts],
        "voxels": voxels,
        "sets": [asdict(s) for s in sets],
        "gemm_gflops": peak / 1e9,
        "peak_memory_mb": memory,
    }


def tables(found: dict[str, Any]) -> list[Table]:
    """Both tables of what `bench_sbp` found."""
    title = f"{CASES} cases; the process needs {found['peak_memory_mb']:.0f} MB at most"
    parts = Table("part of a reconstruction", "median, ms", "95 %, ms", title=title)
    for p in found["parts"]:
        parts.add_row(p["part"], f"{p['median_ms']:.1f}", f"{p['p95_ms']:.1f}")
    for size, count in found["voxels"].items():
        parts.add_row(f"voxels of {size} mm", f"{count:.0f}", "")
    sets = Table("voxels", "channels", "map", "torch", "us a voxel", "of peak", "spconv",
                 title=f"One convolution, map of neighbours: ms; peak {found['gemm_gflops']:.0f} GFLOPS")  # fmt: skip
    for s in found["sets"]:
        other = "absent" if s["spconv_ms"] is None else f"{s['spconv_ms']:.1f}"
        sets.add_row(f"{s['voxels']}", f"{s['channels']}", f"{s['neighbours_ms']:.1f}", f"{s['torch_ms']:.1f}",
                     f"{1e3 * s['torch_ms'] / s['voxels']:.2f}", f"{s['share_of_peak']:.0%}", other)  # fmt: skip
    return [parts, sets]


def _parts(network: SbpNetwork, config: ReconstructionConfig, seed: int) -> tuple[list[PartTime], dict[str, float]]:
    """Times of all parts, and the mean number of voxels of every size."""
    spent: dict[str, list[float]] = {}
    voxels: list[list[int]] = []
    for k in range(CASES + 1):
        pair, _ = static_case(seed + k)
        clock = _Clock(spent if k else {})  # the first compiles and warms up
        seen = observe(pair, config)
        clock("centrelines, lifting and hull")
        look = evidence(seen)
        clock("evidence")
        with torch.inference_mode():
            stages = network(look, config)
        clock("network")
        ridge_cloud(volume_of(stages[-1], network.threshold), seen.lines, seen.cameras)
        clock("ridge")
        reconstruct(pair, config, network)
        clock("the whole reconstruction")
        voxels.append([len(stage.voxels) for stage in stages])
    parts = [PartTime(part, *(float(q) for q in np.quantile(times, (0.5, 0.95)))) for part, times in spent.items()]
    mean = np.mean(voxels[1:], axis=0)
    return parts, {f"{size:g}": float(count) for size, count in zip(SIZES, mean, strict=True)}


class _Clock:
    """Notes the time since it was last asked."""

    def __init__(self, spent: dict[str, list[float]]) -> None:
        self._spent, self._last = spent, time.perf_counter()

    def __call__(self, part: str) -> None:
        now = time.perf_counter()
        self._spent.setdefault(part, []).append(1e3 * (now - self._last))
        self._last = time.perf_counter()


def _peak() -> float:
    """Floating-point operations a second of a large matrix product."""
    a = torch.randn(GEMM, GEMM)
    return 2 * GEMM**3 / (_best_ms(lambda: a @ a) / 1e3)


def _set_times(count: int, seed: int, peak: float) -> Iterator[SetTime]:
    index = tubes(count, seed)
    voxels = Voxels.from_indices(index)[0]
    neighbours = _best_ms(lambda: Voxels(voxels.key).neighbours)
    generator = torch.Generator().manual_seed(seed)
    for channels in CHANNELS:
        x = torch.randn(count, channels, generator=generator)
        weight = torch.randn(27, channels, channels, generator=generator)
        with torch.inference_mode():
            spent = _best_ms(lambda x=x, weight=weight: submanifold_conv(x, weight, voxels))  # type: ignore[misc]
        work = 2 * 27 * channels**2 * count
        yield SetTime(count, channels, neighbours, spent, work / (spent / 1e3) / peak, _spconv_ms(voxels, x))


def tubes(count: int, seed: int) -> Tensor:
    """Indices (count, 3) of voxels in a winding tube, as thick as a vessel is with its candidates."""
    rng = np.random.default_rng(seed)
    around = np.arange(-REACH, REACH + 1)
    ball = np.stack(np.meshgrid(around, around, around, indexing="ij"), -1).reshape(-1, 3)
    ball = ball[(ball**2).sum(1) <= REACH**2]
    course = ndimage.gaussian_filter1d(rng.normal(size=(count // 25, 3)), WINDING, axis=0)
    path = (course / np.linalg.norm(course, axis=1, keepdims=True)).cumsum(0)
    places = (np.floor(path - path.min(0)).astype(np.int64)[:, None] + ball + REACH).reshape(-1, 3)
    shape = tuple(int(n) for n in places.max(0) + 1)
    number = np.unique(np.ravel_multi_index(tuple(places.T), shape))  # of a voxel in the box: far faster than of rows
    return torch.from_numpy(np.stack(np.unravel_index(number[:count], shape), 1))


def _spconv_ms(voxels: Voxels, x: Tensor) -> float | None:
    """Time of the same convolution by spconv; None where it is not installed."""
    try:
        import spconv.pytorch as spconv
        from spconv.pytorch import ops
    except ImportError:
        return None
    ops.get_current_stream = lambda: 0  # its CPU build asks for a stream all the same
    shape = (voxels.index.amax(0) + 2).tolist()
    layer = spconv.SubMConv3d(x.shape[1], x.shape[1], 3, bias=False, indice_key="k")
    place = torch.cat([voxels.batch[:, None], voxels.index], 1).int().contiguous()
    with torch.inference_mode():
        known = layer(spconv.SparseConvTensor(x, place, shape, 1))  # builds the map, as ours is built before
        return _best_ms(lambda: layer(known))


def _best_ms(call: Callable[[], object], times: int = 5) -> float:
    best = np.inf
    for _ in range(times):
        begin = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begin)
    return 1e3 * float(best)
