"""Vessel graphs in files: vtp (ParaView, 3D Slicer), swc (neuron and vessel tools), csv, graphml, json. Metres in json.

VTK, SWC, CSV and GraphML files are in mm, as those tools expect of medical data; json is what `vessel_graph` says on
ROS topics, in metres (REP-103), and is the one that is read back.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import networkx as nx
import numpy as np

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import FloatArray, GraphStatus, VesselGraph

FRAME = "carm_isocenter"
METRE = 1000.0  # mm
NODE_FIELDS = ("radius", "confidence", "sigma", "seen_by", "branch")


def save_graph(graph: VesselGraph, path: str | Path, format: str | None = None) -> Path:
    """Write a graph and return where.

    Parameters
    ----------
    path : file to write; its folder is made
    format : "vtp", "swc", "csv", "graphml" or "json"; without it the ending of `path` tells

    Raises
    ------
    InvalidInputError
        Unknown format, or a path that cannot be written.
    """
    path = Path(path)
    kind = (format or path.suffix.lstrip(".")).lower()
    if kind not in WRITERS:
        raise InvalidInputError(f"unknown graph format {kind!r}: choose one of {', '.join(WRITERS)}")
    text = WRITERS[kind](graph)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInputError(f"cannot write {path}: {error.strerror}") from error
    return path


def load_graph(path: str | Path) -> VesselGraph:
    """Read a graph that `save_graph` wrote as json; raises `InvalidInputError` when that is not what the file holds."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        return from_dict(data)
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(f"{path} is not a vessel graph as json ({type(error).__name__}: {error})") from error


def to_dict(graph: VesselGraph) -> dict[str, Any]:
    """Graph as plain lists; lengths in metres, NaN as None."""
    nodes = {name: _plain(column / METRE) for name, column in zip("xyz", graph.position.T, strict=True)}
    nodes |= {"radius": _plain(graph.radius / METRE), "confidence": _plain(graph.confidence)}
    nodes |= {"sigma": _plain(graph.sigma / METRE), "seen_by": graph.seen_by.tolist(), "branch": graph.branch.tolist()}
    return {
        "frame_id": FRAME,
        "unit": "m",
        "nodes": nodes,
        "edges": graph.edges.tolist(),
        "branch_label": list(graph.branch_label),
        "graph_id": graph.graph_id,
        "sequence": graph.sequence,
        "status": graph.status.name,
        "status_reason": graph.status_reason,
        "stamp_a_ns": graph.stamp_a_ns,
        "stamp_b_ns": graph.stamp_b_ns,
        "phase": _plain(graph.phase),
        "residual_px": _plain(np.array(graph.residual)),
        "coverage": _plain(np.array(graph.coverage)),
        "processing_time_s": _plain(graph.processing_time),
    }


def from_dict(data: dict[str, Any]) -> VesselGraph:
    """Inverse of `to_dict`; only frame, unit, nodes (x, y, z, radius) and edges are required."""
    scale = {"m": METRE, "mm": 1.0}[data["unit"]]
    nodes = data["nodes"]
    count = len(nodes["x"])
    return VesselGraph(
        position=np.stack([_array(nodes[k]) for k in "xyz"], 1).reshape(-1, 3) * scale,
        radius=_array(nodes["radius"]) * scale,
        edges=np.array(data["edges"], np.int64).reshape(-1, 2),
        branch=np.array(nodes.get("branch", np.zeros(count)), np.int64),
        branch_label=tuple(data.get("branch_label", ())),
        confidence=_array(nodes.get("confidence", [])),
        sigma=_array(nodes.get("sigma", [])) * scale,
        seen_by=np.array(nodes.get("seen_by", []), np.uint8),
        graph_id=int(data.get("graph_id", 0)),
        sequence=int(data.get("sequence", 0)),
        status=GraphStatus[data.get("status", "OK")],
        status_reason=str(data.get("status_reason", "")),
        phase=float(_array(data.get("phase"))),
        stamp_a_ns=int(data.get("stamp_a_ns", 0)),
        stamp_b_ns=int(data.get("stamp_b_ns", 0)),
        residual=_two(data.get("residual_px", (None, None))),
        coverage=_two(data.get("coverage", (None, None))),
        processing_time=float(_array(data.get("processing_time_s"))),
    )


def _plain(values: FloatArray | float) -> Any:
    """Lists or a number with None for NaN, which json does not know."""
    array = np.asarray(values, float).astype(object)
    array[~np.isfinite(np.asarray(values, float))] = None
    return array.tolist()


def _array(values: Any) -> FloatArray:
    return np.array(values, float)  # None becomes NaN


def _two(values: Any) -> tuple[float, float]:
    a, b = _array(values)
    return float(a), float(b)


def _json(graph: VesselGraph) -> str:
    return json.dumps(to_dict(graph), allow_nan=False)


def _csv(graph: VesselGraph) -> str:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    lengths = ["x_mm", "y_mm", "z_mm", "radius_mm"]
    table.writerow(["node", "parent", *lengths, "confidence", "sigma_mm", "seen_by", "branch"])
    for k, parent in enumerate(graph.parent):
        place = [f"{value:.4f}" for value in (*graph.position[k], graph.radius[k], graph.confidence[k], graph.sigma[k])]
        table.writerow([k, parent, *place, int(graph.seen_by[k]), _label(graph, k)])
    return out.getvalue()


def _swc(graph: VesselGraph) -> str:
    """SWC (Cannon et al. 1998): id from 1, type 0 (undefined), x y z radius in mm, parent or -1."""
    lines = ["# vessel graph of autocar_ros, mm, carm_isocenter (LPS)", "# id type x y z radius parent"]
    for k, parent in enumerate(graph.parent):
        x, y, z = graph.position[k]
        lines.append(f"{k + 1} 0 {x:.4f} {y:.4f} {z:.4f} {graph.radius[k]:.4f} {parent + 1 if parent >= 0 else -1}")
    return "\n".join(lines) + "\n"


def _graphml(graph: VesselGraph) -> str:
    tree: nx.DiGraph[int] = nx.DiGraph(frame_id=FRAME, unit="mm")
    for k, (x, y, z) in enumerate(graph.position.tolist()):
        tree.add_node(
            k, x=x, y=y, z=z, radius=float(graph.radius[k]), confidence=float(graph.confidence[k]),
            sigma=float(graph.sigma[k]), seen_by=int(graph.seen_by[k]), branch=_label(graph, k),
        )  # fmt: skip
    tree.add_edges_from(graph.edges.tolist())
    return "\n".join(nx.generate_graphml(tree)) + "\n"


def _vtp(graph: VesselGraph) -> str:
    """VTK XML PolyData: one line per edge, point data per node."""
    root = Xml.Element("VTKFile", type="PolyData", version="1.0", byte_order="LittleEndian")
    counts = {"NumberOfPoints": str(len(graph)), "NumberOfLines": str(len(graph.edges))}
    piece = Xml.SubElement(Xml.SubElement(root, "PolyData"), "Piece", counts)
    data = Xml.SubElement(piece, "PointData", Scalars="radius")
    for name in NODE_FIELDS:
        values = getattr(graph, name)
        _vtk_array(data, "Int32" if values.dtype.kind in "ui" else "Float32", values, Name=name)
    _vtk_array(Xml.SubElement(piece, "Points"), "Float32", graph.position, Name="Points", NumberOfComponents="3")
    lines = Xml.SubElement(piece, "Lines")
    _vtk_array(lines, "Int32", graph.edges, Name="connectivity")
    _vtk_array(lines, "Int32", 2 * np.arange(1, len(graph.edges) + 1), Name="offsets")
    return '<?xml version="1.0"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _vtk_array(parent: Xml.Element, kind: str, values: Any, **attributes: str) -> None:
    form = "{:d}" if kind == "Int32" else "{:.5f}"
    element = Xml.SubElement(parent, "DataArray", {"type": kind, "format": "ascii", **attributes})
    element.text = " ".join(form.format(value) for value in np.ravel(values).tolist())


def _label(graph: VesselGraph, node: int) -> str:
    branch = int(graph.branch[node])
    return graph.branch_label[branch] if branch < len(graph.branch_label) else str(branch)


WRITERS: dict[str, Callable[[VesselGraph], str]] = {
    "vtp": _vtp, "swc": _swc, "csv": _csv, "graphml": _graphml, "json": _json,
}  # fmt: skip
