"""`autocar view`: a vessel graph in an interactive window."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from autocar_ros.errors import AutocarError
from autocar_ros.types import VesselGraph


def view(graph: Annotated[Path, typer.Argument(help="vessel_graph.json, as `autocar reconstruct` writes it.")]) -> None:
    """Look at a vessel graph in 3D (needs open3d)."""
    from autocar_ros.vessels.export import load_graph

    shown = load_graph(graph)
    open3d = _open3d()
    open3d.visualization.draw_geometries(_tubes(open3d, shown), window_name=f"autocar: {graph.name}")


def _open3d() -> Any:
    try:
        import open3d
    except ImportError as e:
        missing = "the system library libusb-1.0" if "libusb" in str(e) else "the Python package open3d"
        raise AutocarError(
            f"the viewer needs {missing} ({e}): run `pip install open3d` (the extra `viewer`) and "
            "`apt-get install libusb-1.0-0`"
        ) from e
    return open3d


def _tubes(open3d: Any, graph: VesselGraph) -> list[Any]:
    """Spheres of the lumen at the nodes, and the centreline; red where the confidence is low, mm."""
    shapes = []
    for position, radius, sure in zip(graph.position, graph.radius, graph.confidence, strict=True):
        sphere = open3d.geometry.TriangleMesh.create_sphere(radius, resolution=8)
        sphere.translate(position)
        sphere.paint_uniform_color([0.85, 0.75 * sure, 0.65 * sure])
        sphere.compute_vertex_normals()
        shapes.append(sphere)
    lines = open3d.geometry.LineSet(
        open3d.utility.Vector3dVector(graph.position), open3d.utility.Vector2iVector(graph.edges)
    )
    return [*shapes, lines]
