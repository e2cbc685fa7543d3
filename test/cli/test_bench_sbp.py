"""The bench of sparse back-projection: its voxels, its times, its tables."""

from __future__ import annotations

import numpy as np
import torch
from rich.console import Console
from sbp.test_network import SMALL

from autocar_ros.cli.bench_sbp import REACH, _parts, _set_times, tables, tubes
from autocar_ros.config import ReconstructionConfig
from autocar_ros.sbp.network import SbpNetwork
from autocar_ros.sparse.voxels import Voxels


def test_voxels_lie_about_a_tube():
    index = tubes(4000, 1)
    assert len(torch.unique(index, dim=0)) == 4000
    assert index.min() >= 0
    # inside a tube most voxels have all their neighbours, more than in a random cloud
    neighbours = Voxels.from_indices(index)[0].neighbours
    assert 0.5 < (neighbours < 4000).float().mean() < 1.0
    assert np.ptp(index.numpy(), axis=0).max() > 4 * REACH


def test_times_of_a_set_and_the_table(monkeypatch):
    monkeypatch.setattr("autocar_ros.cli.bench_sbp.CASES", 1)
    torch.manual_seed(0)
    sets = list(_set_times(2000, 1, peak=50e9))
    assert [s.channels for s in sets] == [16, 32, 64]
    assert all(s.torch_ms > 0 and s.neighbours_ms > 0 and s.share_of_peak > 0 for s in sets)
    parts, voxels = _parts(SbpNetwork(SMALL).eval(), ReconstructionConfig(), 700104)
    assert [p.part for p in parts][-1] == "the whole reconstruction"
    assert list(voxels) == ["2", "1", "0.5"]
    found = {"parts": [vars(p) for p in parts], "sets": [vars(s) for s in sets], "voxels": voxels,
             "gemm_gflops": 50.0, "peak_memory_mb": 400.0}  # fmt: skip
    console = Console(width=160, record=True)
    for table in tables(found):
        console.print(table)
    text = console.export_text()
    assert "lifting" in text
    assert "400 MB" in text
