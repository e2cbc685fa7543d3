"""The processing nodes that make up the chain, for the command line (launch/biplane.launch.py does the same)."""

from __future__ import annotations

from autocar_ros.ros.processes import NodeSpec


def processing_nodes(use_sim_time: bool = False) -> list[NodeSpec]:
    """Every node between the frames and the paths."""
    time = {"use_sim_time": use_sim_time}
    return [
        *(NodeSpec("segmentation", namespace=f"/plane_{plane}", parameters=time) for plane in "ab"),
        *(
            NodeSpec(name, parameters=time)
            for name in ("synchronization", "reconstruction", "tracking", "navigation", "visualization")
        ),
    ]
