"""Poses for geometry tests: literal ones and hypothesis strategies over what a C-arm can do."""

import numpy as np
from hypothesis import strategies as st

from autocar_ros.types import CArmPose


def pose(primary_deg: float = 0.0, secondary_deg: float = 0.0, **changes) -> CArmPose:
    """A C-arm pose with everyday numbers; angles in degrees."""
    values = {
        "source_to_detector": 1100.0,
        "source_to_isocenter": 760.0,
        "pixel_spacing": (0.3, 0.3),
        "rows": 512,
        "columns": 512,
    }
    return CArmPose(np.radians(primary_deg), np.radians(secondary_deg), **{**values, **changes})


def number(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


poses = st.builds(
    pose,
    primary_deg=number(-120, 120),
    secondary_deg=number(-60, 60),
    source_to_detector=number(900, 1300),
    source_to_isocenter=number(600, 850),
    pixel_spacing=st.tuples(number(0.1, 0.5), number(0.1, 0.5)),
    rows=st.integers(64, 1024),
    columns=st.integers(64, 1024),
    principal_point=st.none() | st.tuples(number(0, 500), number(0, 500)),
    isocenter_offset=st.tuples(number(-50, 50), number(-50, 50), number(-50, 50)),
)
points = st.lists(st.tuples(*[number(-100, 100)] * 3), min_size=1, max_size=20).map(np.array)
