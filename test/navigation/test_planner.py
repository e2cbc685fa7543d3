"""Catheter paths on trees whose answers are known by hand, and laws that hold on any tree."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from navigation.trees import y_tree

from autocar_ros.config import NavigationConfig
from autocar_ros.errors import PlanningError
from autocar_ros.navigation.goals import GoalBranch, GoalNode, GoalPoint
from autocar_ros.navigation.planner import path_valid, plan_paths
from autocar_ros.types import GraphStatus, VesselGraph

SHARP = NavigationConfig(smoothing=0.0)
LEFT_END, RIGHT_END = 50, 80  # nodes of y_tree()


def code_of(graph, goal, **request) -> str:
    with pytest.raises(PlanningError) as error:
        plan_paths(graph, goal, **request)
    assert str(error.value)
    return error.value.code


def test_from_the_ostium_to_a_branch():
    path = plan_paths(y_tree(45.0), GoalBranch("left"), config=SHARP)[0]
    np.testing.assert_allclose(path.position[0], [0, 0, 0], atol=1e-9)
    np.testing.assert_allclose(path.position[-1], y_tree().position[LEFT_END], atol=1e-9)
    assert path.length == pytest.approx(50.0, abs=0.05)
    assert path.min_radius == pytest.approx(1.5)
    assert path.clearance == pytest.approx(1.5 - NavigationConfig().device_radius)
    assert path.feasible
    assert path.reason == ""
    assert path.graph_id == 7


@pytest.mark.parametrize("angle", [20.0, 45.0, 70.0, 110.0])
def test_turn_of_a_known_bifurcation(angle):
    path = plan_paths(y_tree(angle), GoalBranch("right"))[0]
    assert path.bifurcations.tolist() == [20]
    assert np.degrees(path.turn_angle[0]) == pytest.approx(angle)
    assert path.instruction == (f"at 20 mm: turn {angle:.0f} degrees towards right (right)",)


def test_small_turns_are_straight_on():
    assert plan_paths(y_tree(5.0), GoalBranch("left"))[0].instruction == ("at 20 mm: straight on into left",)


@pytest.mark.parametrize(
    ("rotation", "words"),
    [
        (np.diag([1.0, 1.0, 1.0]), "left"),
        (np.array([[0, 1, 0], [0, 0, 1], [-1, 0, 0]]), "caudal"),
        (np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]), "anterior"),
        (np.array([[-1, 1, 0], [1, 1, 0], [0, 0, -np.sqrt(2)]]) / np.sqrt(2), "right-posterior"),
    ],
)
def test_directions_are_the_patients(rotation, words):
    graph = y_tree(30.0)
    turned = graph.with_(position=graph.position @ rotation.T)
    assert plan_paths(turned, GoalBranch("left"))[0].instruction[0].endswith(f"towards left ({words})")


def test_from_the_tip_between_two_nodes_to_a_point_beside_the_vessel():
    graph = y_tree(45.0)
    goal = graph.position[35] + np.array([0.0, 0.0, 2.0])
    path = plan_paths(graph, GoalPoint(goal), start=np.array([1.0, 10.3, 0.0]), config=SHARP)[0]
    np.testing.assert_allclose(path.position[0], [0, 10.3, 0], atol=1e-9)
    np.testing.assert_allclose(path.position[-1], graph.position[35], atol=1e-9)
    assert path.length == pytest.approx(9.7 + 15, abs=0.05)


def test_start_and_goal_on_one_edge():
    path = plan_paths(y_tree(), GoalPoint(np.array([0, 5.8, 0])), start=np.array([0, 5.2, 0]))[0]
    assert path.length == pytest.approx(0.6)
    assert len(path.bifurcations) == 0


def test_back_out_of_one_branch_into_the_other():
    graph = y_tree(45.0)
    path = plan_paths(graph, GoalNode(RIGHT_END), start=graph.position[30], config=SHARP)[0]
    assert path.length == pytest.approx(40.0, abs=0.1)
    assert np.degrees(path.turn_angle[0]) == pytest.approx(90.0)


def test_there_and_back_are_the_same_way():
    graph = y_tree(60.0)
    out = plan_paths(graph, GoalNode(RIGHT_END), start=graph.position[LEFT_END])[0]
    back = plan_paths(graph, GoalNode(LEFT_END), start=graph.position[RIGHT_END])[0]
    assert out.length == pytest.approx(back.length)
    assert out.max_curvature == pytest.approx(back.max_curvature)
    np.testing.assert_allclose(out.position, back.position[::-1], atol=1e-9)
    np.testing.assert_allclose(out.tangent, -back.tangent[::-1], atol=1e-9)


def circle(radius: float, count: int = 60) -> VesselGraph:
    turn = np.linspace(0, np.pi, count)
    position = radius * np.column_stack([np.cos(turn), np.sin(turn), np.zeros(count)])
    edges = np.column_stack([np.arange(count - 1), np.arange(1, count)])
    return VesselGraph(position, np.ones(count), edges, np.zeros(count, np.int64), ("arc",))


@pytest.mark.parametrize("radius", [8.0, 20.0, 40.0])
def test_curvature_of_a_circle(radius):
    path = plan_paths(circle(radius), GoalBranch("arc"))[0]
    assert path.max_curvature == pytest.approx(1 / radius, rel=0.05)
    assert path.length == pytest.approx(np.pi * radius, rel=0.03)


@given(st.floats(0.5, 4.0))
def test_scaling_law(scale):
    """Everything k times larger: length times k, curvature by k, angles as before."""
    config = NavigationConfig()
    scaled = replace(config, spacing=config.spacing * scale, smoothing=config.smoothing * scale)
    graph = y_tree(50.0)
    one = plan_paths(graph, GoalBranch("left"), config=config)[0]
    many = plan_paths(graph.with_(position=graph.position * scale), GoalBranch("left"), config=scaled)[0]
    assert many.length == pytest.approx(one.length * scale, rel=1e-3)
    assert many.max_curvature == pytest.approx(one.max_curvature / scale, rel=0.05)


@given(st.integers(0, 80), st.integers(0, 80), st.floats(15, 120))
def test_laws_of_every_path(start, goal, angle):
    graph = y_tree(angle)
    if start == goal:
        return
    path = plan_paths(graph, GoalNode(goal), start=graph.position[start])[0]
    np.testing.assert_allclose(path.position[[0, -1]], graph.position[[start, goal]], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(path.tangent, axis=1), 1.0)
    steps = np.diff(path.position, axis=0)
    assert (np.einsum("kc,kc->k", steps, path.tangent[:-1]) > 0).all()  # never backwards
    assert path.length >= np.linalg.norm(graph.position[start] - graph.position[goal]) - 1e-6
    assert (path.nodes[0], path.nodes[-1]) == (start, goal)
    assert len(path.nodes) == len(path.position) == len(path.radius)
    assert len(path.bifurcations) == len(path.turn_angle) == len(path.instruction)
    assert 0 <= path.score <= 1


def test_a_thick_device_is_not_feasible_and_says_why():
    graph = y_tree(radius=1.0)
    path = plan_paths(graph, GoalBranch("left"), device_radius=1.2)[0]
    assert not path.feasible
    assert path.clearance == pytest.approx(-0.2)
    assert "0.20 mm narrower" in path.reason
    assert path.score < plan_paths(graph, GoalBranch("left"), device_radius=0.2)[0].score


def test_a_bend_too_sharp_is_not_feasible():
    path = plan_paths(circle(10.0), GoalBranch("arc"), max_curvature=0.05)[0]
    assert not path.feasible
    assert "bend" in path.reason
    assert plan_paths(circle(10.0), GoalBranch("arc"), max_curvature=0.2)[0].feasible


def ring(narrow: float = 1.0) -> VesselGraph:
    """Two ways of 40 mm from node 0 to node 4; the first is the shorter one and has its own radius."""
    position = np.array(
        [[0, 0, 0], [10, 8, 0], [20, 10, 0], [30, 8, 0], [40, 0, 0], [10, -12, 0], [20, -15, 0], [30, -12, 0]], float
    )
    edges = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [0, 5], [5, 6], [6, 7], [7, 4]])
    radius = np.array([2, narrow, narrow, narrow, 2, 2, 2, 2], float)
    return VesselGraph(position, radius, edges, np.zeros(8, np.int64), ("ring",))


def test_both_ways_round_a_ring_are_suggested_shortest_first():
    first, second = plan_paths(ring(1.8), GoalNode(4), alternatives=3)
    assert first.position[:, 1].max() > 5
    assert second.position[:, 1].min() < -8
    assert first.score > second.score


def test_the_way_round_that_is_wide_enough_comes_first():
    first, second = plan_paths(ring(0.3), GoalNode(4), device_radius=0.5, alternatives=1)
    assert first.position[:, 1].min() < -8
    assert first.feasible
    assert not second.feasible


def test_a_click_between_two_branches_suggests_both():
    graph = y_tree(20.0)
    click = graph.position[35] * [0.3, 1, 1]
    first, second = plan_paths(graph, GoalPoint(click), alternatives=2)
    assert graph.branch[first.nodes[-1]] == 1
    assert graph.branch[second.nodes[-1]] == 2
    assert first.score > second.score
    assert len(plan_paths(graph, GoalPoint(click), alternatives=0)) == 1


def test_a_sure_goal_has_no_alternatives():
    graph = y_tree(70.0)
    assert len(plan_paths(graph, GoalPoint(graph.position[LEFT_END]), alternatives=5)) == 1


def two_parts() -> VesselGraph:
    graph = y_tree()
    return graph.with_(edges=graph.edges[graph.edges[:, 1] != RIGHT_END - 29])


def test_a_part_that_is_not_joined():
    graph = two_parts()
    assert code_of(graph, GoalNode(RIGHT_END)) == "NO_FEASIBLE_PATH"
    path = plan_paths(graph, GoalNode(RIGHT_END), start=graph.position[RIGHT_END - 20])[0]
    assert path.length == pytest.approx(20.0, abs=0.01)


def test_the_ostium_is_the_root_of_the_largest_part():
    graph = two_parts()
    order = np.r_[51:81, 0:51]
    place = np.argsort(order)
    swapped = VesselGraph(
        graph.position[order], graph.radius, place[graph.edges], graph.branch[order], graph.branch_label
    )
    np.testing.assert_allclose(plan_paths(swapped, GoalBranch("left"))[0].position[0], [0, 0, 0], atol=1e-9)


def test_codes_of_the_action():
    graph = y_tree()
    empty = VesselGraph(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 2), np.int64), np.zeros(0, np.int64))
    far = np.array([0.0, -50.0, 0.0])
    assert code_of(None, GoalNode(1)) == "NO_GRAPH"
    assert code_of(empty, GoalNode(1)) == "NO_GRAPH"
    for status in (GraphStatus.STALE, GraphStatus.LOST):
        assert code_of(graph.with_(status=status), GoalNode(1)) == "STALE_GRAPH"
    assert code_of(graph, GoalPoint(far)) == "GOAL_OFF_GRAPH"
    assert code_of(graph, GoalNode(81)) == "GOAL_OFF_GRAPH"
    assert code_of(graph, GoalBranch("LAD")) == "GOAL_OFF_GRAPH"
    assert code_of(graph, GoalNode(5), start=far) == "START_OFF_GRAPH"


@pytest.mark.parametrize(
    ("goal", "request_"),
    [
        (GoalPoint(np.array([np.nan, 0, 0])), {}),
        (GoalPoint(np.zeros(2)), {}),
        (GoalNode(5), {"start": np.array([np.inf, 0, 0])}),
        (GoalNode(5), {"device_radius": -1.0}),
        (GoalNode(5), {"device_radius": np.nan}),
        (GoalNode(5), {"max_curvature": -0.1}),
        (GoalNode(5), {"alternatives": -1}),
        (GoalNode(0), {}),
    ],
)
def test_invalid_requests(goal, request_):
    assert code_of(y_tree(), goal, **request_) == "INVALID_REQUEST"


def test_a_degraded_graph_may_be_planned_on():
    assert plan_paths(y_tree().with_(status=GraphStatus.DEGRADED), GoalNode(40))


def test_validity_of_a_path():
    graph = y_tree()
    path = plan_paths(graph, GoalBranch("left"))[0]
    assert path_valid(path, graph) == (True, pytest.approx([]), "")


def test_validity_when_a_node_narrows_or_is_lost():
    graph = y_tree()
    path = plan_paths(graph, GoalBranch("left"))[0]
    radius, confidence = graph.radius.copy(), graph.confidence.copy()
    radius[25], confidence[30], radius[70] = 0.1, 0.05, 0.1
    valid, nodes, message = path_valid(path, graph.with_(radius=radius, confidence=confidence), device_radius=0.2)
    assert not valid
    assert nodes.tolist() == [25, 30]
    assert "narrower" in message
    assert "confidence" in message


@pytest.mark.parametrize(
    ("change", "words"),
    [({"graph_id": 8}, "rebuilt"), ({"status": GraphStatus.LOST, "status_reason": "gone"}, "LOST: gone")],
)
def test_validity_when_the_graph_is_another_or_lost(change, words):
    graph = y_tree()
    path = plan_paths(graph, GoalBranch("left"))[0]
    valid, nodes, message = path_valid(path, graph.with_(**change))
    assert not valid
    assert len(nodes)
    assert words in message
    assert not path_valid(path, None).valid
