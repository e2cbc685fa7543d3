"""All processing nodes, from frames to catheter paths; frames come from elsewhere (C-arm, simulator, player)."""

from launch.actions import DeclareLaunchArgument, GroupAction, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue

from autocar_ros.resources import resource
from autocar_ros.ros.middleware import middleware_environment
from launch import LaunchDescription

STAGES = ("synchronization", "reconstruction", "tracking", "navigation", "visualization")
USE_SIM_TIME = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)


def generate_launch_description() -> LaunchDescription:
    """Nodes and arguments."""
    arguments = [
        DeclareLaunchArgument("namespace", default_value="", description="Namespace of all topics and nodes"),
        DeclareLaunchArgument("use_sim_time", default_value="false", description="Take the time from /clock"),
        DeclareLaunchArgument("params", default_value=str(resource("config", "biplane.yaml")), description="Options"),
        DeclareLaunchArgument("rviz", default_value="false", description="Open rviz"),
    ]
    transport = [SetEnvironmentVariable(name, value) for name, value in middleware_environment().items()]
    nodes = [stage("segmentation", namespace=f"plane_{plane}") for plane in "ab"] + [stage(name) for name in STAGES]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(resource("rviz", "autocar.rviz"))],
        parameters=[{"use_sim_time": USE_SIM_TIME}],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    group = GroupAction([PushRosNamespace(LaunchConfiguration("namespace")), *nodes, rviz])
    return LaunchDescription([*arguments, *transport, group])


def stage(name: str, namespace: str = "") -> Node:
    """Node that walks to active by itself and comes again when it dies (once in 5 s: a wrong option ends it too)."""
    return Node(
        package="autocar_ros",
        executable=name,
        name=name,
        namespace=namespace,
        parameters=[LaunchConfiguration("params"), {"use_sim_time": USE_SIM_TIME}],
        output="screen",
        respawn=True,
        respawn_delay=5.0,
    )
