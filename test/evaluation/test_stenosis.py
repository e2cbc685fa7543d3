"""Scores of found stenoses whose answer is counted by hand."""

import numpy as np
import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.stenosis import Lesion, score_stenoses, summary, table
from autocar_ros.figures.stenosis import draw_stenoses
from autocar_ros.types import VesselGraph
from autocar_ros.vessels.stenosis import Stenosis

NODES = 100
GRAPH = VesselGraph(
    np.stack([np.arange(NODES, dtype=float), np.zeros(NODES), np.zeros(NODES)], 1),
    np.ones(NODES),
    np.stack([np.arange(NODES - 1), np.arange(1, NODES)], 1),
    np.zeros(NODES, np.int64),
)


def lesion(x, depth=0.5, judged=True, y=0.0):
    return Lesion((x, y, 0.0), depth, 1.0, 2.0, 8.0, judged)


def stenosis(node, depth=0.55):
    return Stenosis(node, 0, depth, 1.1, 2.1, 9.0, 0.9)


def test_a_lesion_is_found_by_the_nearest_stenosis_and_the_rest_is_false():
    lesions = [lesion(20.0), lesion(50.0, 0.7), lesion(90.0, judged=False), lesion(70.0, 0.6, y=40.0)]
    verdict = score_stenoses([stenosis(22), stenosis(24), stenosis(91), stenosis(60)], GRAPH, lesions)
    assert [(row["severity"], row["found"], row["covered"]) for row in verdict.lesions] == [
        (0.5, True, True), (0.7, False, True), (0.6, False, False),
    ]  # fmt: skip
    assert [false["node"] for false in verdict.false] == [60]
    first = verdict.lesions[0]
    assert first["diameter_stenosis_error"] == pytest.approx(0.05)
    assert first["minimal_lumen_diameter_error"] == pytest.approx(0.1)
    assert first["length_error"] == pytest.approx(1.0)


def test_nothing_found_and_nothing_to_find():
    assert score_stenoses([], GRAPH, [lesion(5.0)]).lesions[0]["found"] is False
    nothing = score_stenoses([stenosis(3)], GRAPH, [])
    assert nothing.lesions == []
    assert len(nothing.false) == 1


def test_summary_over_trees():
    one = score_stenoses([stenosis(20), stenosis(80)], GRAPH, [lesion(20.0, 0.45), lesion(50.0, 0.75)])
    two = score_stenoses([stenosis(20)], GRAPH, [lesion(20.0, 0.85)])
    of = summary([one, two])
    assert of["false_positives_per_tree"] == 0.5
    assert of["sensitivity_30_80"] == {"share": 0.5, "n": 2}
    assert of["sensitivity_50_80"] == {"share": 0.0, "n": 1}
    assert [s["n"] for s in of["sensitivity"]] == [0, 1, 0, 0, 1, 1]
    assert of["errors"]["diameter_stenosis"]["bias"] == pytest.approx((0.10 - 0.30) / 2)
    rows = table({"one": of, "other": of})
    assert all(len(texts) == 2 for texts in rows.values())
    assert rows["Sensitivity at 30% to 80%"][0] == "50% of 2"
    draw_stenoses({"one": of}, {"one": one.lesions + two.lesions})
    with pytest.raises(InvalidInputError, match="no tree"):
        draw_stenoses({"one": of}, {"one": []})


def test_summary_of_trees_without_lesions():
    of = summary([score_stenoses([], GRAPH, [])])
    assert of["sensitivity_30_80"] == {"share": None, "n": 0}
    assert table({"one": of})["Error of length in mm"] == ["-"]
