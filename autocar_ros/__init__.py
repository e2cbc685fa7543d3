"""Real-time coronary vessel navigation from biplane X-ray, for ROS 2."""

from pkgutil import extend_path

# The generated modules msg, srv and action lie elsewhere on the path than these sources
# (editable install, tests from a checkout): join the two halves.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
