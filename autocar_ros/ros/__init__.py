"""The ROS 2 half: nodes, conversions, bags. The only part of the package that imports rclpy or generated messages."""
