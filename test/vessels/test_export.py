"""Files hold the graph in the unit they say, and json comes back unchanged."""

import csv
import json
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import GraphStatus, VesselGraph
from autocar_ros.vessels.export import load_graph, save_graph


@pytest.fixture
def graph():
    return VesselGraph(
        position=np.array([[0.0, 0, 0], [10, 0, 0], [20, 5, 0], [20, -5, 1.25]]),
        radius=np.array([2.0, 1.5, 1.0, 0.75]),
        edges=np.array([[0, 1], [1, 2], [1, 3]]),
        branch=np.array([0, 0, 0, 1]),
        branch_label=("branch_0", "branch_1"),
        confidence=np.array([1.0, 0.5, 0.25, 0.0]),
        sigma=np.array([0.5, np.nan, 1.0, 2.0]),
        seen_by=np.array([3, 3, 1, 0], np.uint8),
        graph_id=7,
        sequence=9,
        status=GraphStatus.DEGRADED,
        status_reason="a reason",
        stamp_a_ns=1_700_000_000_123_456_789,
        stamp_b_ns=1_700_000_000_123_456_790,
        residual=(0.5, np.nan),
        coverage=(0.9, 0.8),
        processing_time=0.25,
    )


def test_json_round_trip(graph, tmp_path):
    back = load_graph(save_graph(graph, tmp_path / "deep" / "graph.json"))
    for name in ("position", "radius", "confidence", "sigma", "edges", "branch", "seen_by", "residual", "coverage"):
        np.testing.assert_allclose(getattr(back, name), getattr(graph, name), err_msg=name)
    for name in ("branch_label", "graph_id", "sequence", "status", "status_reason", "stamp_a_ns", "stamp_b_ns"):
        assert getattr(back, name) == getattr(graph, name)
    assert np.isnan(back.phase)


def test_json_is_in_metres(graph, tmp_path):
    data = json.loads(save_graph(graph, tmp_path / "graph.json").read_text())
    assert (data["frame_id"], data["unit"]) == ("carm_isocenter", "m")
    assert data["nodes"]["x"] == [0, 0.01, 0.02, 0.02]
    assert data["nodes"]["radius"] == [0.002, 0.0015, 0.001, 0.00075]
    assert data["edges"] == [[0, 1], [1, 2], [1, 3]]
    assert data["nodes"]["sigma"][1] is None  # json knows no NaN


def test_least_json_is_enough(tmp_path):
    nodes = {"x": [0.0, 0.01], "y": [0, 0], "z": [0, 0], "radius": [0.001, 0.001]}
    path = tmp_path / "graph.json"
    path.write_text(json.dumps({"frame_id": "carm_isocenter", "unit": "m", "nodes": nodes, "edges": [[0, 1]]}))
    back = load_graph(path)
    assert back.position[1].tolist() == [10, 0, 0]
    assert back.confidence.tolist() == [1, 1]


def test_vtp(graph, tmp_path):
    root = ElementTree.parse(save_graph(graph, tmp_path / "graph.vtp")).getroot()
    piece = root.find("PolyData/Piece")
    assert piece.attrib == {"NumberOfPoints": "4", "NumberOfLines": "3"}
    arrays = {a.get("Name"): a.text.split() for a in piece.iter("DataArray")}
    assert [float(v) for v in arrays["Points"][3:6]] == [10, 0, 0]
    assert [float(v) for v in arrays["radius"]] == [2, 1.5, 1, 0.75]
    assert arrays["connectivity"] == ["0", "1", "1", "2", "1", "3"]
    assert arrays["offsets"] == ["2", "4", "6"]
    assert {"confidence", "branch", "seen_by", "sigma"} <= set(arrays)


def test_swc(graph, tmp_path):
    lines = save_graph(graph, tmp_path / "graph.swc").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    assert [(r[0], r[6]) for r in rows] == [("1", "-1"), ("2", "1"), ("3", "2"), ("4", "2")]
    assert [float(v) for v in rows[3][2:6]] == [20, -5, 1.25, 0.75]


def test_csv(graph, tmp_path):
    with save_graph(graph, tmp_path / "graph.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(r["parent"]) for r in rows] == [-1, 0, 1, 1]
    assert [float(r["radius_mm"]) for r in rows] == [2, 1.5, 1, 0.75]
    assert rows[3]["branch"] == "branch_1"


def test_graphml(graph, tmp_path):
    tree = nx.read_graphml(save_graph(graph, tmp_path / "graph.graphml"), node_type=int)
    assert sorted(tree.edges) == [(0, 1), (1, 2), (1, 3)]
    assert tree.nodes[2]["y"] == 5
    assert tree.nodes[3]["branch"] == "branch_1"


def test_format_may_be_given(graph, tmp_path):
    assert save_graph(graph, tmp_path / "graph.txt", "SWC").read_text().startswith("#")


def test_unknown_format_names_those_that_are_known(graph, tmp_path):
    with pytest.raises(InvalidInputError, match=r"'obj'.*vtp, swc, csv, graphml, json"):
        save_graph(graph, tmp_path / "graph.obj")


def test_unwritable_path_says_so(graph, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="cannot write"):
        save_graph(graph, tmp_path / "file" / "graph.json")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"unit": "ft", "nodes": {}, "edges": []}', '{"unit": "m", "nodes": {"x": [1]}}']
)
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "graph.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match="not a vessel graph"):
        load_graph(path)


def test_missing_file_says_so(tmp_path):
    with pytest.raises(InvalidInputError, match="cannot read"):
        load_graph(tmp_path / "none.json")
