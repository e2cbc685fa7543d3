"""The vessel graph as a weighted network with a start and a goal on its edges."""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

import networkx as nx
import numpy as np

from autocar_ros.config import NavigationConfig
from autocar_ros.types import FloatArray, IntArray, VesselGraph

TOO_NARROW = 100.0  # cost factor where the device does not fit: taken only when there is no other way


class Place(NamedTuple):
    """A point on the graph: `fraction` of the way from node `first` to node `second`."""

    first: int
    second: int
    fraction: float
    position: FloatArray  # (3,) mm
    distance: float  # mm from the point that was asked for

    @property
    def nearest_node(self) -> int:
        """The end of the edge that is nearer."""
        return self.first if self.fraction < 0.5 else self.second

    def mix(self, values: FloatArray) -> float:
        """Value (N,) of the nodes, interpolated to this place."""
        return float((1 - self.fraction) * values[self.first] + self.fraction * values[self.second])


class Route(NamedTuple):
    """A way from place to place over nodes (K,) of the graph."""

    nodes: IntArray
    cost: float
    length: float  # mm


def at_node(graph: VesselGraph, node: int) -> Place:
    """Return a node as a place."""
    return Place(node, node, 0.0, graph.position[node], 0.0)


def nearest_places(graph: VesselGraph, point: FloatArray) -> list[Place]:
    """Nearest place on every branch to a point (3,) mm, nearest first; an edge belongs to its child's branch."""
    if len(graph.edges) == 0:
        distance = np.linalg.norm(graph.position - point, axis=1)
        node = int(np.argmin(distance))
        return [at_node(graph, node)._replace(distance=float(distance[node]))]
    a, b = graph.position[graph.edges].transpose(1, 0, 2)
    along = b - a
    squared = np.maximum((along**2).sum(1), 1e-12)
    fraction = np.clip(((point - a) * along).sum(1) / squared, 0.0, 1.0)
    foot = a + fraction[:, None] * along
    distance = np.linalg.norm(foot - point, axis=1)
    order = np.argsort(distance, kind="stable")
    _, first = np.unique(graph.branch[graph.edges[order, 1]], return_index=True)
    best = order[np.sort(first)]
    edges = graph.edges[best]
    return [
        Place(int(e[0]), int(e[1]), float(fraction[k]), foot[k], float(distance[k]))
        for k, e in zip(best, edges, strict=True)
    ]


class Network:
    """Undirected network of a vessel graph whose edge costs stand for length, narrowness, bends and doubt.

    Parameters
    ----------
    graph : VesselGraph
    device_radius : mm
    config : NavigationConfig
    """

    def __init__(self, graph: VesselGraph, device_radius: float, config: NavigationConfig) -> None:
        self._graph = graph
        self._factor = _cost_factor(graph, device_radius, config)
        self._net: nx.Graph[int | str] = nx.Graph()
        self._net.add_nodes_from(range(len(graph)))
        for a, b in graph.edges.tolist():
            self._link(a, b, graph.position[a], graph.position[b], (self._factor[a] + self._factor[b]) / 2)
        parts = nx.number_connected_components(self._net)
        self._cyclic = self._net.number_of_edges() > len(graph) - parts

    def connected(self, a: Place, b: Place) -> bool:
        """Whether any way leads from one place to the other."""
        return bool(nx.has_path(self._net, a.first, b.first))

    def main_component(self) -> set[int | str]:
        """Nodes of the component with the longest vessels."""
        parts = nx.connected_components(self._net)
        return max(parts, key=lambda part: self._net.subgraph(part).size("length"))

    def routes(self, start: Place, goal: Place, count: int) -> list[Route]:
        """At most `count` simple routes, cheapest first; more than one exists only where the graph has cycles."""
        self._attach("start", start)
        self._attach("goal", goal)
        if start.first != start.second and (start.first, start.second) == (goal.first, goal.second):
            self._link("start", "goal", start.position, goal.position, self._factor[[start.first, start.second]].mean())
        ways = nx.shortest_simple_paths(self._net, "start", "goal", weight="cost")
        found = [self._route(way) for way in islice(ways, count if self._cyclic else 1)]
        self._net.remove_nodes_from(["start", "goal"])
        return found

    def _route(self, way: list[int | str]) -> Route:
        nodes = np.array([n for n in way if not isinstance(n, str)], np.int64)
        return Route(nodes, *(float(nx.path_weight(self._net, way, of)) for of in ("cost", "length")))

    def _attach(self, name: str, place: Place) -> None:
        for node in {place.first, place.second}:
            self._link(name, node, place.position, self._graph.position[node], self._factor[node])

    def _link(self, a: int | str, b: int | str, from_: FloatArray, to: FloatArray, factor: float) -> None:
        length = float(np.linalg.norm(to - from_))
        self._net.add_edge(a, b, length=length, cost=length * factor)


def _cost_factor(graph: VesselGraph, device_radius: float, config: NavigationConfig) -> FloatArray:
    """(N,) cost per mm of vessel at every node, at least 1."""
    narrow = np.clip(device_radius / np.maximum(graph.radius, 1e-6), 0.0, 1.0)
    factor = (
        1.0
        + config.narrowness_weight * narrow
        + config.curvature_weight * _node_curvature(graph)
        + config.confidence_weight * (1.0 - np.clip(graph.confidence, 0.0, 1.0))
    )
    return np.where(graph.radius < device_radius, TOO_NARROW, 1.0) * factor


def _node_curvature(graph: VesselGraph) -> FloatArray:
    """(N,) turn per mm at nodes inside a branch, 0 at bifurcations and ends."""
    curvature = np.zeros(len(graph))
    parent = graph.parent
    children = np.bincount(graph.edges[:, 0], minlength=len(graph))
    middle = graph.edges[(parent[graph.edges[:, 0]] >= 0) & (children[graph.edges[:, 0]] == 1)]
    node, after = middle.T
    arriving = graph.position[node] - graph.position[parent[node]]
    leaving = graph.position[after] - graph.position[node]
    length = np.linalg.norm(arriving, axis=1), np.linalg.norm(leaving, axis=1)
    cosine = (arriving * leaving).sum(1) / np.maximum(length[0] * length[1], 1e-12)
    curvature[node] = np.arccos(np.clip(cosine, -1.0, 1.0)) / np.maximum((length[0] + length[1]) / 2, 1e-6)
    return curvature
