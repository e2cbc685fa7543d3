"""One module a node; `python -m autocar_ros.ros.nodes.NAME` or `ros2 run autocar_ros NAME` starts it."""
