"""The processing nodes on simulated X-ray with known truth."""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from autocar_ros.resources import resource
from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    """Nodes and arguments; those of biplane.launch.py are passed on."""
    biplane = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(resource("launch", "biplane.launch.py"))))
    use_sim_time = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)
    simulator = Node(
        package="autocar_ros",
        executable="simulator",
        namespace=LaunchConfiguration("namespace"),
        parameters=[LaunchConfiguration("simulation"), {"use_sim_time": use_sim_time}],
        output="screen",
    )
    options = DeclareLaunchArgument(
        "simulation", default_value=str(resource("config", "simulation.yaml")), description="Options of the simulator"
    )
    return LaunchDescription([biplane, options, simulator])
