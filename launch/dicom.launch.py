"""The processing nodes on two recorded DICOM runs.

ros2 launch autocar_ros dicom.launch.py run_a:=IM3 run_b:=IM4 pixel_spacing:=0.390625
"""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from autocar_ros.resources import resource
from launch import LaunchDescription

# argument: type, default ("" = none), meaning
RECORDING = {
    "run_a": (str, "", "DICOM file of plane A"),
    "run_b": (str, "", "DICOM file of plane B"),
    "pixel_spacing": (float, "0.0", "Pixel spacing at the detector in mm where the files name none; 0 = theirs"),
    "frame_rate": (float, "0.0", "Frame rate in Hz where the files name none; 0 = theirs"),
    "order": (str, "together", "together or in turn"),
    "rate": (float, "1.0", "Speed against the recording"),
    "loop": (bool, "true", "Start again at the end"),
}


def generate_launch_description() -> LaunchDescription:
    """Nodes and arguments; those of biplane.launch.py are passed on."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default or None, description=meaning)
        for name, (_, default, meaning) in RECORDING.items()
    ]
    # declared here first, so that biplane.launch.py takes this default
    params = DeclareLaunchArgument(
        "params", default_value=str(resource("config", "dicom.yaml")), description="Options of the processing nodes"
    )
    biplane = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(resource("launch", "biplane.launch.py"))))
    player = Node(
        package="autocar_ros",
        executable="dicom_player",
        namespace=LaunchConfiguration("namespace"),
        parameters=[
            {
                name: ParameterValue(LaunchConfiguration(name), value_type=kind)
                for name, (kind, _, _) in RECORDING.items()
            },
            {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)},
        ],
        output="screen",
    )
    return LaunchDescription([*arguments, params, biplane, player])
