"""Import everything the environment must hold, and tell which versions these are."""

import importlib
from importlib import metadata

MODULES = """
    rclpy action_msgs.msg builtin_interfaces.msg diagnostic_msgs.msg geometry_msgs.msg lifecycle_msgs.srv nav_msgs.msg
    rosgraph_msgs.msg sensor_msgs.msg std_msgs.msg std_srvs.srv tf2_msgs.msg visualization_msgs.msg
    autocar_ros.msg autocar_ros.srv autocar_ros.action
    array_api_compat cv2 gdcm matplotlib networkx numba numpy pydicom rich rosbags safetensors scipy skimage
    torch typer
"""
SHOWN = ("autocar_ros", "ros-rclpy", "numpy", "torch", "numba", "opencv-python-headless")


def main() -> None:
    """Fail with the ImportError of the first module that is missing."""
    for module in MODULES.split():
        importlib.import_module(module)
    print("Environment ready:", ", ".join(f"{name} {metadata.version(name)}" for name in SHOWN))


if __name__ == "__main__":
    main()
