"""Quality of service, in one place (docs/interfaces.md).

Every profile can be overridden by parameters:
``qos_overrides./TOPIC.subscription.reliability: reliable`` and likewise ``publisher``, ``depth``, ``history``.

Functions, not constants: rclpy writes the overrides into the profile that it is given.
"""

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy


def newest() -> QoSProfile:
    """Profile of streams that a stage works on: best effort takes any publisher; depth 1 leaves no backlog."""
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def stream() -> QoSProfile:
    """Profile of small inputs of which each counts (poses, ECG, TF): best effort with room for a busy moment."""
    return QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)


def event() -> QoSProfile:
    """Profile of rare inputs that must not be missed (clicks, new reconstructions)."""
    return QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


def output() -> QoSProfile:
    """Profile of every output: reliable, volatile."""
    return QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


def latched(depth: int = 1) -> QoSProfile:
    """Profile of what late joiners must get: the newest `depth` messages are kept for them."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
