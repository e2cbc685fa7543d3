"""A test's side of the topics: start nodes in this process, send, collect, wait for conditions."""

import gc
import time
from collections import defaultdict

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.context import Context
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy

from autocar_ros.ros.executor import LeanExecutor

BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
TIMEOUT = 20.0


class Bench:
    """Nodes under test and a probe node on one executor; everything is torn down at exit."""

    def __init__(self, domain=None):
        self.domain = domain

    def __enter__(self):
        self.context = Context()
        rclpy.init(context=self.context, domain_id=self.domain)
        self.executor = LeanExecutor(context=self.context)
        self.probe = rclpy.create_node("probe", context=self.context)
        self.executor.add_node(self.probe)
        self.nodes = []
        self.got = defaultdict(list)  # topic -> messages
        self.status = {}  # node -> newest DiagnosticStatus
        self.probe.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 50)
        return self

    def __exit__(self, *_):
        self.executor.shutdown()
        while self.nodes:
            self.nodes.pop().destroy_node()
        self.probe.destroy_node()
        self.context.try_shutdown()
        # a lifecycle node's state machine keeps its participant until it is collected; it would answer another test
        gc.collect()

    def _on_diagnostics(self, message):
        for status in message.status:
            self.status[status.name] = status

    def start(self, node_class, autostart=True, namespace="", **parameters):
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = node_class(context=self.context, namespace=namespace, parameter_overrides=overrides)
        self.nodes.append(node)
        self.executor.add_node(node)
        if autostart:
            node.autostart()
        return node

    def collect(self, kind, topic, qos=BEST_EFFORT):
        self.probe.create_subscription(kind, topic, self.got[topic].append, qos)
        return self.got[topic]

    def sender(self, kind, topic, qos=10):
        """Publisher that is connected when this returns (if anybody listens at all)."""
        publisher = self.probe.create_publisher(kind, topic, qos)
        self.wait(lambda: publisher.get_subscription_count() > 0, f"nobody subscribes to {topic}")
        return publisher

    def wait(self, condition, what, timeout=TIMEOUT):
        """Spin until the condition holds."""
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"waited {timeout} s: {what}; diagnostics: {self.messages()}"
            self.executor.spin_once(timeout_sec=0.02)

    def wait_matched(self, topic, publishers=1):
        """Wait until the probe's subscription is known to the node's publisher, so that nothing is missed."""
        self.wait(lambda: self.probe.count_publishers(topic) >= publishers, f"nobody publishes {topic}")

    def spin(self, seconds):
        """Let things happen that must not have an effect."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def messages(self):
        return {name: s.message for name, s in self.status.items()}

    def value(self, node, key):
        """Figure of a node in its newest diagnostics, "" when absent."""
        status = self.status.get(node.get_fully_qualified_name())
        return next((v.value for v in status.values if v.key == key), "") if status else ""

    def call(self, kind, name, request, timeout=TIMEOUT):
        client = self.probe.create_client(kind, name)
        self.wait(client.service_is_ready, f"no service {name}")
        future = client.call_async(request)
        self.wait(future.done, f"no answer from {name}", timeout)
        return future.result()

    def change_state(self, node, transition):
        request = ChangeState.Request()
        request.transition.label = transition
        return self.call(ChangeState, f"{node.get_fully_qualified_name()}/change_state", request).success

    def state(self, node):
        return self.call(
            GetState, f"{node.get_fully_qualified_name()}/get_state", GetState.Request()
        ).current_state.label
