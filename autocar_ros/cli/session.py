"""Recorded sessions: bags read back into core types."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from autocar_ros.errors import BagError, InvalidInputError
from autocar_ros.evaluation.session import PLANES, TIMED, Session
from autocar_ros.types import Image

_MARKS = ("plane_a/image_raw", "plane_a/mask")  # one is in every session; what comes before is its namespace
_Keep = Callable[[Any, int], None]  # takes a message and its log time


def read_session(path: Path | str) -> Session:
    """Read a bag with the topics of docs/interfaces.md; raises `BagError`."""
    from autocar_ros.ros.bag import BagReader

    with BagReader(path) as bag:
        namespace = _namespace(bag.topics, path)
        counts = {topic.removeprefix(namespace): n for topic, n in sorted(bag.counts.items())}
        session = Session(counts, bag.start_ns, bag.end_ns)
        keepers = {namespace + topic: keep for topic, keep in _keepers(session).items()}
        keepers["/diagnostics"] = lambda message, at: _keep_diagnostics(session, message, at)
        for message in bag.messages(keepers):
            keepers[message.topic](message.decode(), message.stamp_ns)
    for plane in PLANES:  # a session of masks has no images
        session.exposures[plane] = session.exposures[plane] or list(session.arrivals[f"plane_{plane}/mask"])
    return session


def read_images(path: Path | str, topic: str, stamps: set[int]) -> dict[int, Image]:
    """Images (rows, columns) with these exposure stamps, of a topic relative to the session's namespace."""
    from autocar_ros.ros.bag import BagReader
    from autocar_ros.ros.images import image_from_msg
    from autocar_ros.ros.stamps import to_ns

    with BagReader(path) as bag:
        messages = (m.decode() for m in bag.messages([_namespace(bag.topics, path) + topic]))
        return {to_ns(m.header.stamp): image_from_msg(m) for m in messages if to_ns(m.header.stamp) in stamps}


def _namespace(topics: dict[str, str], path: Path | str) -> str:
    """Prefix of the session's topics, such as "/" or "/lab/"."""
    found = [topic.removesuffix(mark) for mark in _MARKS for topic in topics if topic.endswith("/" + mark)]
    if not found:
        there = ", ".join(sorted(topics)) or "nothing"
        raise BagError(f"{path} is no session: it has no {' and no '.join(_MARKS)}, only {there}")
    return min(found, key=len)


def _keepers(session: Session) -> dict[str, _Keep]:
    """What to do with the messages of each topic."""
    from autocar_ros.ros.conversions import graph_from_msg, pose_from_msg, suggestion_from_msg
    from autocar_ros.ros.stamps import to_ns

    def exposure(plane: str) -> _Keep:
        return lambda message, _: session.exposures[plane].append(to_ns(message.header.stamp))

    def pose(plane: str) -> _Keep:
        def keep(message: Any, _: int) -> None:
            with suppress(InvalidInputError):  # the nodes refused it too, and the diagnostics tell
                session.poses[plane][to_ns(message.header.stamp)] = pose_from_msg(message)

        return keep

    def arrival(topic: str) -> _Keep:
        return lambda message, at: session.arrivals[topic].setdefault(to_ns(message.header.stamp), at)

    def graph(message: Any, at: int) -> None:
        arrival("vessel_graph")(message, at)
        session.graphs.append(graph_from_msg(message))

    def truth(message: Any, _: int) -> None:
        session.truths[to_ns(message.stamp_a)] = graph_from_msg(message)

    def paths(message: Any, _: int) -> None:
        if message.suggestions:
            session.paths = tuple(suggestion_from_msg(s) for s in message.suggestions)
            session.path_stamp_ns = to_ns(message.header.stamp)

    return {
        **{f"plane_{plane}/image_raw": exposure(plane) for plane in PLANES},
        **{f"plane_{plane}/carm_pose": pose(plane) for plane in PLANES},
        **{topic: arrival(topic) for topic in TIMED},
        "vessel_graph": graph,
        "ground_truth/vessel_graph": truth,
        "catheter/path_suggestions": paths,
    }


def _keep_diagnostics(session: Session, message: Any, at: int) -> None:
    for status in message.status:
        drops = {v.key.removeprefix("dropped "): int(v.value) for v in status.values if v.key.startswith("dropped ")}
        session.drops[status.name] = drops
        if status.level != b"\x00":
            session.complaints.append((at, status.name, status.message))
