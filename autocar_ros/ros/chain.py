"""The processing nodes that make up the chain, for the command line (launch/biplane.launch.py does the same)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autocar_ros.ros.processes import NodeSpec

_STAGES = ("synchronization", "reconstruction", "tracking", "navigation", "visualization")


def processing_nodes(use_sim_time: bool = False, **options: Mapping[str, Any]) -> list[NodeSpec]:
    """Every node between the frames and the paths; `options` are parameters by executable."""
    places = [("segmentation", "/plane_a"), ("segmentation", "/plane_b"), *((name, "/") for name in _STAGES)]
    return [
        NodeSpec(name, namespace=namespace, parameters={"use_sim_time": use_sim_time, **options.get(name, {})})
        for name, namespace in places
    ]
