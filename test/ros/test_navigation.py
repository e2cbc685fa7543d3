"""Node `navigation` alone, over DDS: goals by click and by action, limits, validity."""

import numpy as np
import pytest
from geometry_msgs.msg import PointStamped, PoseStamped
from nav_msgs.msg import Path
from rclpy.action import ActionClient
from rclpy.parameter import Parameter
from ros.probe import BEST_EFFORT
from ros.scenes import tree

from autocar_ros.action import ComputeCatheterPath
from autocar_ros.msg import PathSuggestions, VesselGraph
from autocar_ros.ros import conversions as c
from autocar_ros.ros.nodes.navigation import NavigationNode
from autocar_ros.srv import IsPathValid
from autocar_ros.types import GraphStatus

Goal, Result = ComputeCatheterPath.Goal, ComputeCatheterPath.Result
LEFT_END, RIGHT_END = 65, 100  # nodes of the tree


@pytest.fixture
def navigation(bench):
    node = bench.start(NavigationNode)
    bench.collect(PathSuggestions, "/catheter/path_suggestions")
    bench.collect(Path, "/catheter/path")
    bench.graphs = bench.sender(VesselGraph, "/vessel_graph", BEST_EFFORT)
    bench.clicks = bench.sender(PointStamped, "/clicked_point")
    for topic in ("/catheter/path_suggestions", "/catheter/path"):
        bench.wait_matched(topic)
    return node


def send_graph(bench, node, graph):
    before = node.diagnostics.received["/vessel_graph"]
    bench.graphs.publish(c.graph_to_msg(graph))
    bench.wait(lambda: node.diagnostics.received["/vessel_graph"] > before, "graph not received")


def click(bench, position, frame="carm_isocenter"):
    message = PointStamped(point=c.point_to_msg(position))
    message.header.frame_id = frame
    bench.clicks.publish(message)


def place(position, frame="carm_isocenter"):
    pose = PoseStamped()
    pose.header.frame_id = frame
    pose.pose.position = c.point_to_msg(position)
    return pose


def ask(bench, feedback=None, **fields):
    client = ActionClient(bench.probe, ComputeCatheterPath, "/compute_catheter_path")
    bench.wait(client.server_is_ready, "no action server")
    sent = client.send_goal_async(Goal(**fields), feedback)
    bench.wait(sent.done, "goal not answered")
    result = sent.result().get_result_async()
    bench.wait(result.done, "no result")
    client.destroy()
    return result.result().result


def last_path(bench):
    return (
        np.array(
            [[p.pose.position.x, p.pose.position.y, p.pose.position.z] for p in bench.got["/catheter/path"][-1].poses]
        )
        * 1e3
    )


def test_a_click_gives_a_path_from_the_ostium_that_follows_the_heart(bench, navigation):
    goal = tree().position[LEFT_END]
    send_graph(bench, navigation, tree())
    click(bench, goal + 1.0)
    bench.wait(lambda: bench.got["/catheter/path"], "no path")
    np.testing.assert_allclose(last_path(bench)[0], tree().position[0], atol=0.5)
    np.testing.assert_allclose(last_path(bench)[-1], goal, atol=1.0)
    moved = tree(shift=(0, 0, 6.0)).with_(stamp_a_ns=2 * 10**9)
    send_graph(bench, navigation, moved)
    bench.wait(lambda: len(bench.got["/catheter/path"]) == 2, "no path on the moved graph")
    np.testing.assert_allclose(last_path(bench)[-1], goal + np.array([0, 0, 6.0]), atol=1.0)
    suggestions = bench.got["/catheter/path_suggestions"][-1]
    assert c.to_ns(suggestions.header.stamp) == 2 * 10**9
    assert suggestions.suggestions[0].feasible
    assert len(suggestions.suggestions[0].bifurcations) == 1


def test_without_a_goal_nothing_is_suggested(bench, navigation):
    send_graph(bench, navigation, tree())
    bench.wait(lambda: bench.value(navigation, "received /vessel_graph") == "1", "no diagnostics")
    assert not bench.got["/catheter/path"]


def test_a_stale_graph_withdraws_the_path(bench, navigation):
    send_graph(bench, navigation, tree())
    click(bench, tree().position[LEFT_END])
    bench.wait(lambda: bench.got["/catheter/path"], "no path")
    send_graph(bench, navigation, tree().with_(status=GraphStatus.STALE, status_reason="no frames"))
    bench.wait(lambda: len(bench.got["/catheter/path"]) == 2, "no answer")
    assert not bench.got["/catheter/path"][-1].poses
    bench.wait(lambda: "STALE" in bench.messages().get("/navigation", ""), "not in the diagnostics")


def test_the_path_starts_at_the_tip(bench, navigation):
    tip = bench.sender(PoseStamped, "/catheter/tip", BEST_EFFORT)
    send_graph(bench, navigation, tree())
    tip.publish(place(tree().position[15]))
    bench.wait(lambda: navigation.diagnostics.received["/catheter/tip"] == 1, "tip not received")
    click(bench, tree().position[LEFT_END])
    bench.wait(lambda: bench.got["/catheter/path"], "no path")
    np.testing.assert_allclose(last_path(bench)[0], tree().position[15], atol=0.5)


def test_a_click_in_another_frame_is_refused_with_the_remedy(bench, navigation):
    click(bench, np.zeros(3), "map")
    bench.wait(lambda: "fixed frame" in bench.messages().get("/navigation", ""), "no reason")


def test_action_goals_by_pose_node_and_branch(bench, navigation):
    send_graph(bench, navigation, tree())
    end = tree().position[RIGHT_END]
    for fields in (
        {"goal_type": Goal.GOAL_POSE, "goal_pose": place(end)},
        {"goal_type": Goal.GOAL_NODE, "goal_node": RIGHT_END},
        {"goal_type": Goal.GOAL_BRANCH, "goal_branch": "LCx"},
    ):
        result = ask(bench, device_radius=0.0005, **fields)
        assert (result.error_code, result.error_msg) == (Result.NONE, "")
        best = c.suggestion_from_msg(result.suggestions.suggestions[0])
        np.testing.assert_allclose(best.position[-1], end, atol=1.0)
        assert best.clearance == pytest.approx(1.0, abs=0.01)


def test_zero_limits_mean_the_options_and_feedback_comes_once(bench, navigation):
    assert navigation.set_parameters([Parameter("max_curvature", value=0.001)])[0].successful
    send_graph(bench, navigation, tree())
    heard = []
    result = ask(bench, heard.append, goal_type=Goal.GOAL_NODE, goal_node=LEFT_END, alternatives=1)
    assert result.error_code == Result.NO_FEASIBLE_PATH
    assert "bend" in result.error_msg
    bench.wait(lambda: heard, "no feedback")
    assert [f.feedback.wanted for f in heard] == [2]
    assert heard[0].feedback.found == len(result.suggestions.suggestions)


def test_when_graphs_stop_the_path_is_withdrawn_and_no_other_is_planned(bench, navigation):
    send_graph(bench, navigation, tree())
    click(bench, tree().position[LEFT_END])
    bench.wait(lambda: bench.got["/catheter/path"], "no path")
    bench.wait(lambda: len(bench.got["/catheter/path"]) == 2, "not withdrawn")
    assert not bench.got["/catheter/path"][-1].poses
    result = ask(bench, goal_type=Goal.GOAL_NODE, goal_node=LEFT_END)
    assert (result.error_code, "tracking" in result.error_msg) == (Result.STALE_GRAPH, True)
    send_graph(bench, navigation, tree().with_(stamp_a_ns=9 * 10**9))
    bench.wait(lambda: len(bench.got["/catheter/path"]) == 3, "does not go on")
    assert bench.got["/catheter/path"][-1].poses


def test_starting_over_withdraws_the_path(bench, navigation):
    send_graph(bench, navigation, tree())
    click(bench, tree().position[LEFT_END])
    bench.wait(lambda: bench.got["/catheter/path"], "no path")
    assert bench.change_state(navigation, "deactivate")
    bench.wait(lambda: len(bench.got["/catheter/path"]) == 2, "not withdrawn")
    assert not bench.got["/catheter/path"][-1].poses
    assert not bench.got["/catheter/path_suggestions"][-1].suggestions


def test_an_old_tip_is_not_where_paths_start(bench, navigation):
    tip = bench.sender(PoseStamped, "/catheter/tip", BEST_EFFORT)
    tip.publish(place(tree().position[15]))
    bench.wait(lambda: navigation.diagnostics.received["/catheter/tip"] == 1, "tip not received")
    send_graph(bench, navigation, tree().with_(stamp_a_ns=9 * 10**9))
    click(bench, tree().position[LEFT_END])
    bench.wait(lambda: bench.got["/catheter/path"], "no path")
    np.testing.assert_allclose(last_path(bench)[0], tree().position[0], atol=0.5)
    bench.wait(lambda: "start at the ostium" in bench.messages().get("/navigation", ""), "not in the diagnostics")


def test_action_start_is_taken_when_given(bench, navigation):
    send_graph(bench, navigation, tree())
    start = place(tree().position[20])
    result = ask(bench, goal_type=Goal.GOAL_NODE, goal_node=LEFT_END, use_start=True, start=start)
    best = c.suggestion_from_msg(result.suggestions.suggestions[0])
    np.testing.assert_allclose(best.position[0], tree().position[20], atol=0.5)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"goal_type": 77}, Result.INVALID_REQUEST),
        ({"goal_type": Goal.GOAL_NODE, "goal_node": 5000}, Result.GOAL_OFF_GRAPH),
        ({"goal_type": Goal.GOAL_BRANCH, "goal_branch": "RCA"}, Result.GOAL_OFF_GRAPH),
        ({"goal_type": Goal.GOAL_POSE, "goal_pose": place([0, 0, 300.0])}, Result.GOAL_OFF_GRAPH),
        ({"goal_type": Goal.GOAL_POSE, "goal_pose": place([0, 0, 0.0], "map")}, Result.INVALID_REQUEST),
        ({"goal_type": Goal.GOAL_POSE, "goal_pose": place([np.nan, 0, 0.0])}, Result.INVALID_REQUEST),
        ({"goal_type": Goal.GOAL_NODE, "goal_node": 65, "use_start": True, "start": place([0, 0, 300.0])},
         Result.START_OFF_GRAPH),
        ({"goal_type": Goal.GOAL_NODE, "goal_node": 65, "device_radius": 0.005}, Result.NO_FEASIBLE_PATH),
        ({"goal_type": Goal.GOAL_NODE, "goal_node": 65, "device_radius": -1.0}, Result.INVALID_REQUEST),
    ],
)  # fmt: skip
def test_action_errors_have_code_and_words(bench, navigation, fields, code):
    send_graph(bench, navigation, tree())
    result = ask(bench, **fields)
    assert result.error_code == code
    assert result.error_msg


def test_action_without_a_graph(bench, navigation):
    result = ask(bench, goal_type=Goal.GOAL_NODE, goal_node=1)
    assert result.error_code == Result.NO_GRAPH


def test_is_path_valid_follows_the_graph(bench, navigation):
    send_graph(bench, navigation, tree())
    result = ask(bench, goal_type=Goal.GOAL_NODE, goal_node=LEFT_END)
    request = IsPathValid.Request(path=result.suggestions.suggestions[0], device_radius=0.0005)
    assert bench.call(IsPathValid, "/is_path_valid", request).valid
    narrow = tree().radius.copy()
    narrow[40] = 0.2
    send_graph(bench, navigation, tree().with_(radius=narrow))
    answer = bench.call(IsPathValid, "/is_path_valid", request)
    assert not answer.valid
    assert list(answer.invalid_nodes) == [40]
    send_graph(bench, navigation, tree().with_(graph_id=2))
    assert "rebuilt" in bench.call(IsPathValid, "/is_path_valid", request).message
    request.path.radius = []
    assert not bench.call(IsPathValid, "/is_path_valid", request).valid  # torn message: answered, not crashed


def test_a_torn_graph_is_dropped(bench, navigation):
    message = c.graph_to_msg(tree())
    message.radius = [0.1]
    bench.graphs.publish(message)
    bench.wait(lambda: navigation.diagnostics.dropped["invalid input"] == 1, "not counted")
