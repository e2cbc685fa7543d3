"""Growing the living graph: branches that a new reconstruction adds, nodes that the images contradict.

Branches are appended: nodes that were there keep their index, their branch and their edges.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from autocar_ros.tracking.observation import View
from autocar_ros.tracking.quality import explained
from autocar_ros.types import FloatArray, IntArray, VesselGraph
from autocar_ros.vessels.tree import components, keep_nodes, rooted

KNOWN = 3.0  # mm to the living graph within which a new node that runs the same way shows the same vessel
PARALLEL = 0.7  # |cosine| of directions that are the same way
APART = 1.0  # mm; a branch begins this far from the living graph
SHORTEST = 6.0  # mm, of a branch that is worth adding
HANGING = 8.0  # mm from a branch to the living graph
BESIDE = 1.0  # mm outside a vessel in the image
MOST_SEEN = 0.7  # share of a branch's nodes that must lie on vessels, in both views
UNEXPLAINED = 0.5  # share of those where the living graph must leave the centreline unexplained, in one view


class Grown(NamedTuple):
    """A graph that was changed, and where its nodes come from."""

    graph: VesselGraph
    origin: IntArray  # (N,) the node it was before; for an added node the nearest one
    added: NDArray[np.bool_]  # (N,)


def graft(living: VesselGraph, new: VesselGraph, views: tuple[View | str, View | str]) -> Grown | None:
    """Append the branches of a new graph that show vessels the living graph does not explain; None without any.

    Parameters
    ----------
    living, new : VesselGraph
        Both as they are at the time of the views.
    views : the centrelines of both planes; nothing is added when one has none
    """
    a, b = views
    if isinstance(a, str) or isinstance(b, str):
        return None
    tree = KDTree(living.position)
    distance, nearest = (np.asarray(found) for found in tree.query(new.position))
    cosine = np.abs(np.einsum("nc,nc->n", directions(new), directions(living)[nearest]))
    unknown = (distance > KNOWN) | (cosine < PARALLEL) & (distance > APART)
    looks = [(view, KDTree(view.points), ~explained(living.position, living.edges, view)) for view in (a, b)]
    taken, joints = np.zeros(len(new), np.bool_), []
    for run in _runs(new, unknown):
        seen = [_seen_new(new.position[run], *look) for look in looks]
        joint = _joint(new, run, nearest, distance)
        if joint and min(on for on, _ in seen) >= MOST_SEEN and max(free for _, free in seen) >= UNEXPLAINED:
            whole = _towards_living(new, run, distance)
            taken[whole] = True
            joints.append(_joint(new, whole, nearest, distance) or joint)
    return _appended(living, new, taken, joints, nearest) if joints else None


def cut(living: VesselGraph, gone: NDArray[np.bool_]) -> Grown | None:
    """Remove ends of branches all of whose nodes are marked in `gone` (N,); None when nothing is left or removed."""
    keep = ~gone
    order, parent = rooted(len(living), living.edges, np.flatnonzero(living.parent < 0))
    for node in order[::-1]:
        if keep[node] and parent[node] >= 0:
            keep[parent[node]] = True
    if keep.all() or keep.sum() < 2:
        return None
    origin = np.flatnonzero(keep)
    graph = _selected(living, origin).with_(edges=keep_nodes(len(living), living.edges, keep))
    return Grown(graph, origin, np.zeros(len(origin), np.bool_))


def _runs(new: VesselGraph, unknown: NDArray[np.bool_]) -> list[IntArray]:
    """Connected parts of the unknown nodes that are long enough."""
    edges = new.edges[unknown[new.edges].all(1)]
    label = components(len(new), edges)
    length = np.bincount(
        label[edges[:, 0]], np.linalg.norm(np.diff(new.position[edges], axis=1)[:, 0], axis=1), label.max() + 1
    )
    return [np.flatnonzero(label == k) for k in np.flatnonzero(length >= SHORTEST)]


def _towards_living(new: VesselGraph, run: IntArray, distance: FloatArray) -> IntArray:
    """Run with the nodes that lead from it to the living graph, as long as they come nearer to it."""
    inside = np.zeros(len(new), np.bool_)
    inside[run] = True
    while True:
        ends = np.vstack([new.edges, new.edges[:, ::-1]])
        ends = ends[inside[ends[:, 0]] & ~inside[ends[:, 1]]]
        ends = ends[(distance[ends[:, 1]] > APART) & (distance[ends[:, 1]] < distance[ends[:, 0]])]
        if len(ends) == 0:
            return np.flatnonzero(inside)
        inside[ends[:, 1]] = True


def _joint(new: VesselGraph, run: IntArray, nearest: IntArray, distance: FloatArray) -> tuple[int, int] | None:
    """Node of the living graph and node of the run to join: over an edge of the new graph, else the nearest two."""
    inside = np.isin(new.edges, run)
    out = new.edges[inside.sum(1) == 1]
    if len(out):
        ours, theirs = np.where(np.isin(out[:, 0], run), out.T, out[:, ::-1].T)
        best = int(distance[theirs].argmin())
        if distance[theirs[best]] <= HANGING:
            return int(nearest[theirs[best]]), int(ours[best])
    end = int(run[distance[run].argmin()])
    return (int(nearest[end]), end) if distance[end] <= HANGING else None


def _seen_new(points: FloatArray, view: View, tree: KDTree, unexplained: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of points (N, 3) on the vessels of a view, and share of those where their centreline is unexplained."""
    pixels, depth = view.camera.project(points)
    distance, index = (np.asarray(found) for found in tree.query(pixels))
    outside = (distance - view.radius[index]) * view.camera.mm_per_pixel(depth)
    on = view.camera.contains(pixels) & (outside <= BESIDE)
    return float(on.mean()), float(unexplained[index[on]].mean()) if on.any() else 0.0


def _appended(
    living: VesselGraph,
    new: VesselGraph,
    taken: NDArray[np.bool_],
    joints: list[tuple[int, int]],
    nearest: IntArray,
) -> Grown:
    """Graph with the taken nodes at its end, joined; rooted where it was, or at the new root if that was taken."""
    extra = np.flatnonzero(taken)
    place = np.full(len(new), -1)
    place[extra] = len(living) + np.arange(len(extra))
    inner = place[new.edges[taken[new.edges].all(1)]]
    joined = np.array([(old, place[added]) for old, added in joints])
    roots, new_roots = np.flatnonzero(living.parent < 0), place[np.flatnonzero((new.parent < 0) & taken)]
    edges = np.vstack([living.edges, inner, joined])
    parent = rooted(len(living) + len(extra), edges, np.concatenate([new_roots, roots])).parent
    edges = np.where((parent[edges[:, 1]] == edges[:, 0])[:, None], edges, edges[:, ::-1])
    old, added = living, _selected(new, extra)
    branch, labels = _branches(living, added.branch)
    graph = living.with_(
        **{k: np.concatenate([getattr(old, k), getattr(added, k)]) for k in _PER_NODE if k != "branch"},
        branch=np.concatenate([living.branch, branch]),
        branch_label=labels,
        edges=edges,
    )
    origin = np.concatenate([np.arange(len(living)), nearest[extra]])
    return Grown(graph, origin, np.arange(len(graph)) >= len(living))


_PER_NODE = ("position", "radius", "branch", "confidence", "sigma", "seen_by")


def _selected(graph: VesselGraph, nodes: IntArray) -> VesselGraph:
    """Some nodes of a graph, without edges."""
    return graph.with_(edges=np.zeros((0, 2), np.int64), **{name: getattr(graph, name)[nodes] for name in _PER_NODE})


def _branches(living: VesselGraph, added: IntArray) -> tuple[IntArray, tuple[str, ...]]:
    """Branch (M,) of added nodes after those of the living graph, and the labels of all."""
    first = max(len(living.branch_label), int(living.branch.max(initial=-1)) + 1)
    kinds, branch = np.unique(added, return_inverse=True)
    missing = range(len(living.branch_label), first + len(kinds))
    return first + branch, living.branch_label + tuple(f"branch_{k}" for k in missing)


def directions(graph: VesselGraph) -> FloatArray:
    """Unit vector (N, 3) from every node's parent to it; at roots to a child."""
    along = np.zeros((len(graph), 3))
    step = graph.position[graph.edges[:, 1]] - graph.position[graph.edges[:, 0]]
    along[graph.edges[:, 0]] = step
    along[graph.edges[:, 1]] = step
    return np.asarray(along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9))
