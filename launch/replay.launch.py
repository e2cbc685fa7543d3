"""The processing nodes on the inputs of a recorded bag, in the bag's time.

ros2 launch autocar_ros replay.launch.py bag:=FOLDER
"""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from autocar_ros.resources import resource
from launch import LaunchDescription

# argument: type, default ("" = none), meaning
PLAYING = {
    "bag": (str, "", "Bag folder or .mcap file"),
    "rate": (float, "1.0", "Speed against the recording"),
    "loop": (bool, "false", "Start again at the end; the clock jumps back"),
    "topics": (str, "inputs", "inputs, or all to play results too (then start no other nodes)"),
}


def generate_launch_description() -> LaunchDescription:
    """Nodes and arguments; those of biplane.launch.py are passed on."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default or None, description=meaning)
        for name, (_, default, meaning) in PLAYING.items()
    ]
    # declared here first, so that biplane.launch.py takes this default
    clock = DeclareLaunchArgument("use_sim_time", default_value="true", description="Take the time from /clock")
    biplane = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(resource("launch", "biplane.launch.py"))))
    # a bag holds absolute names: it is not moved by the namespace
    options = {
        name: ParameterValue(LaunchConfiguration(name), value_type=kind) for name, (kind, _, _) in PLAYING.items()
    }
    player = Node(
        package="autocar_ros",
        executable="bag_player",
        parameters=[options, {"delay": 5.0}],  # the nodes need some seconds to come up
        output="screen",
    )
    return LaunchDescription([*arguments, clock, biplane, player])
