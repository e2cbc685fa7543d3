"""Bags: MCAP files in the rosbag2 layout, through `rosbags`, readable by `ros2 bag` and Foxglove.

Bytes are moved as they are on the wire; a message is decoded only where the caller asks for objects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.interfaces import Connection, Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from autocar_ros.errors import AutocarError, BagError
from autocar_ros.resources import PACKAGE, resource
from autocar_ros.ros.message_types import message_class, type_name
from autocar_ros.ros.sequence import SequenceNumbers

# topics of the middleware itself: neither recorded nor played
PLUMBING = ("/clock", "/rosout", "/parameter_events")
_INFINITE = QosTime(2147483647, 4294967295)
_RECORD_DEPTH = 50


@dataclass(frozen=True)
class BagMessage:
    """One message of a bag, undecoded."""

    topic: str
    type_name: str
    stamp_ns: int  # log time: when it was received; the exposure time is in the message's header
    data: bytes  # CDR

    def decode(self) -> Any:
        """Generated message object; raises `BagError` when the bytes do not fit the type."""
        try:
            return deserialize_message(self.data, message_class(self.type_name))
        except Exception as e:  # rclpy raises its own C++ exception class
            raise BagError(f"a message on {self.topic} is not a valid {self.type_name}: {e}") from e


class BagWriter:
    """Write messages into a new bag folder; a context manager.

    Raises `BagError` when the folder exists or cannot be written.
    """

    def __init__(self, path: Path | str) -> None:
        self._store = our_typestore()
        self._connections: dict[str, Connection] = {}
        self.counts: dict[str, int] = {}
        try:
            self._writer = Writer(Path(path), version=Writer.VERSION_LATEST, storage_plugin=StoragePlugin.MCAP)
            self._writer.open()
        except Exception as e:
            raise BagError(f"cannot write a bag at {path}: {e}") from e

    def write(self, topic: str, stamp_ns: int, message: Any, qos: QoSProfile | None = None) -> None:
        """Append a message object; the first one on a topic fixes the topic's type and `qos`."""
        self.write_raw(topic, type_name(type(message)), stamp_ns, serialize_message(message), qos)

    def write_raw(self, topic: str, type_name: str, stamp_ns: int, data: bytes, qos: QoSProfile | None = None) -> None:
        """Append a serialized (CDR) message."""
        connection = self._connections.get(topic) or self._connect(topic, type_name, qos)
        self._writer.write(connection, stamp_ns, data)
        self.counts[topic] += 1

    def require_type(self, type_name: str) -> None:
        """Raise `BagError` when messages of this type cannot be written."""
        if type_name not in self._store.types:
            raise BagError(f"the definition of {type_name} is not known")

    def _connect(self, topic: str, type_name: str, qos: QoSProfile | None) -> Connection:
        self.require_type(type_name)
        profiles = [_bag_qos(qos)] if qos else []
        connection = self._writer.add_connection(topic, type_name, typestore=self._store, offered_qos_profiles=profiles)
        self._connections[topic] = connection
        self.counts[topic] = 0
        return connection

    def close(self) -> None:
        """Write index and metadata; a bag that was not closed cannot be read."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class BagReader:
    """Read a bag (folder or bare .mcap file); a context manager. Raises `BagError` for what is no readable bag."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self._reader = Reader(self.path)
            self._reader.open()
        except FileNotFoundError as e:
            raise BagError(f"no bag at {path}: {e}") from e
        except Exception as e:  # a corrupt file fails in many ways
            raise BagError(f"{path} is not a readable bag ({e}): was its recording closed?") from e

    @property
    def topics(self) -> dict[str, str]:
        """Type name of every topic."""
        return {c.topic: c.msgtype for c in self._reader.connections}

    @property
    def counts(self) -> dict[str, int]:
        """Messages of every topic."""
        return {c.topic: c.msgcount for c in self._reader.connections}

    @property
    def start_ns(self) -> int:
        """Log time of the first message."""
        return self._reader.start_time

    @property
    def end_ns(self) -> int:
        """Just after the log time of the last message."""
        return self._reader.end_time

    def qos(self, topic: str) -> QoSProfile:
        """Profile that the topic was recorded with; reliable, depth 10 when the bag has none."""
        profiles = [q for c in self._reader.connections if c.topic == topic for q in c.ext.offered_qos_profiles]
        return _ros_qos(profiles[0]) if profiles else QoSProfile(depth=10)

    def messages(self, topics: Iterable[str] | None = None) -> Iterator[BagMessage]:
        """Messages in the order of their log time, of all or of some topics."""
        wanted = None if topics is None else set(topics)
        connections = [c for c in self._reader.connections if wanted is None or c.topic in wanted]
        try:
            for c, stamp, data in self._reader.messages(connections):
                yield BagMessage(c.topic, c.msgtype, stamp, bytes(data))
        except Exception as e:
            raise BagError(f"{self.path} is damaged: {e}") from e

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class Recorder:
    """Records topics of a running system through `node`, undecoded, each as soon as somebody publishes it.

    `wanted` gets every topic name (absolute) and says whether to record it. Spin the node to record. Topics of a type
    that is not installed here are left out with a warning, as are messages before the clock's first tick.
    """

    def __init__(self, node: Node, writer: BagWriter, wanted: Callable[[str], bool]) -> None:
        self._node, self._writer, self._wanted = node, writer, wanted
        self._subscriptions: dict[str, Any] = {}
        self.missed: Counter[str] = Counter()  # messages that never arrived here, by topic
        self._timer = node.create_timer(0.2, self.discover, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.discover()

    def discover(self) -> None:
        """Subscribe to the wanted topics that have a publisher by now."""
        for topic, types in self._node.get_topic_names_and_types():
            hidden = types[0].split("/")[1] != "msg"  # feedback and status of actions
            if hidden or topic in self._subscriptions or not self._wanted(topic):
                continue
            if publishers := self._node.get_publishers_info_by_topic(topic):  # dear: asked of new topics only
                try:
                    self._subscribe(topic, types[0], _offered(info.qos_profile for info in publishers))
                except AutocarError as e:
                    self._subscriptions[topic] = None
                    self._node.get_logger().warning(f"{topic} is not recorded: {e}")

    def _subscribe(self, topic: str, type_name: str, qos: QoSProfile) -> None:
        self._writer.require_type(type_name)

        numbers = SequenceNumbers()

        def keep(data: bytes, info: Mapping[str, Any]) -> None:
            if missed := numbers.missed_before(info, self._subscriptions[topic]):
                self.missed[topic] += missed
            if now := self._node.get_clock().now().nanoseconds:  # 0: simulated time, and no clock yet
                self._writer.write_raw(topic, type_name, now, data, qos)

        self._subscriptions[topic] = self._node.create_subscription(
            message_class(type_name), topic, keep, qos, raw=True
        )

    def close(self) -> None:
        """Stop recording (the writer stays open)."""
        self._node.destroy_timer(self._timer)
        for subscription in filter(None, self._subscriptions.values()):
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()


def our_typestore() -> Typestore:
    """Message types of ROS 2 Jazzy and of this package."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for file in sorted(resource("msg").glob("*.msg")):
        types.update(get_types_from_msg(file.read_text(), f"{PACKAGE}/msg/{file.stem}"))
    store.register({name: definition for name, definition in types.items() if name not in store.types})
    return store


def _offered(profiles: Iterable[QoSProfile]) -> QoSProfile:
    """Strictest profile that every publisher of a topic satisfies."""
    every = list(profiles)
    reliable = all(p.reliability == ReliabilityPolicy.RELIABLE for p in every)
    latched = all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in every)
    return QoSProfile(
        depth=_RECORD_DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def _bag_qos(qos: QoSProfile) -> Qos:
    return Qos(
        history=QosHistory.KEEP_ALL if qos.history == HistoryPolicy.KEEP_ALL else QosHistory.KEEP_LAST,
        depth=qos.depth,
        reliability=QosReliability[qos.reliability.name],
        durability=QosDurability[qos.durability.name],
        deadline=_INFINITE,
        lifespan=_INFINITE,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_INFINITE,
        avoid_ros_namespace_conventions=False,
    )


def _ros_qos(qos: Qos) -> QoSProfile:
    best_effort = qos.reliability == QosReliability.BEST_EFFORT
    latched = qos.durability == QosDurability.TRANSIENT_LOCAL
    return QoSProfile(
        depth=max(qos.depth, 1),
        reliability=ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
