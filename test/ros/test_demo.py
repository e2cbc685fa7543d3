"""`autocar demo` for some seconds, and its bag played again through the nodes."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from autocar_ros.cli import build_app
from autocar_ros.cli.session import read_session

pytestmark = pytest.mark.slow


def autocar(*arguments):
    return CliRunner().invoke(build_app(), [str(a) for a in arguments], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def demo(middleware, tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    result = autocar("demo", "--out", out, "--seconds", 10, "--rate", 3)
    assert result.exit_code == 0, result.output
    return out, result


def test_summary_tells_what_happened(demo):
    out, result = demo
    summary = json.loads((out / "summary.json").read_text())
    assert summary["settings"] == {"seconds": 10.0, "seed": 1, "tree": "left", "frame_rate": 3.0}
    assert summary["messages"]["vessel_graph"] >= summary["frame_pairs"]["graphs_published"] > 0
    assert summary["frame_pairs"]["exposed"] >= 10
    assert summary["graph"]["recall_2mm"]["n"] > 0
    assert summary["latency_ms"]["vessel_graph"]["median"] > summary["latency_ms"]["plane_a/mask"]["median"] > 0
    assert summary["start_s"]["launch_to_first_graph"] > 0
    assert summary["memory_mb"]["peak_of_all"] > 100
    assert len(summary["memory_mb"]["by_process"]) == 9
    assert summary["cores_used"]["all"] > 0
    assert "report.html" in result.stdout


def test_pictures_and_report_are_there(demo):
    out, _ = demo
    names = {path.name for path in out.iterdir()}
    assert {"overlay_a.png", "overlay_b.png", "graph_3d.png", "latency_histogram.png", "report.html", "bag"} <= names


def test_bag_goes_through_the_nodes_again(demo, tmp_path):
    out, _ = demo
    result = autocar("replay", out / "bag", "--with-nodes", "--out", tmp_path / "again")
    assert result.exit_code == 0, result.output
    assert "/tracking" in result.stdout
    again = read_session(tmp_path / "again")
    assert set(again.exposures["a"]) <= set(read_session(out / "bag").exposures["a"])
    assert again.graphs
