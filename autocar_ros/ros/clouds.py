"""PointCloud2 and numpy structured arrays."""

from __future__ import annotations

import array
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

_FIELD_TYPES = {np.dtype(np.float32): PointField.FLOAT32, np.dtype(np.uint32): PointField.UINT32}
_NUMPY_TYPES = {number: kind for kind, number in _FIELD_TYPES.items()}


def pack_cloud(
    header: Header, columns: Mapping[str, NDArray[Any]], integers: Mapping[str, NDArray[Any]] | None = None
) -> PointCloud2:
    """Unordered cloud of float32 `columns` and uint32 `integers`, each (N,), in this order."""
    integers = integers or {}
    kind = np.dtype([(n, np.float32) for n in columns] + [(n, np.uint32) for n in integers])
    points = np.zeros(len(next(iter(columns.values()))), kind)
    for name, values in {**columns, **integers}.items():
        points[name] = values
    data = array.array("B")
    data.frombytes(points.tobytes())
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=[_field(name, kind) for name in kind.names or ()],
        is_bigendian=sys.byteorder == "big",
        point_step=kind.itemsize,
        row_step=len(data),
        data=data,
        is_dense=True,
    )


def unpack_cloud(cloud: PointCloud2) -> NDArray[Any]:
    """Structured array (N,) with one field per point field."""
    names, kinds = [f.name for f in cloud.fields], [_NUMPY_TYPES[f.datatype] for f in cloud.fields]
    offsets = [f.offset for f in cloud.fields]
    kind = np.dtype({"names": names, "formats": kinds, "offsets": offsets, "itemsize": cloud.point_step})
    return np.frombuffer(cloud.data, kind)


def _field(name: str, kind: np.dtype[Any]) -> PointField:
    item, offset = (kind.fields or {})[name][:2]
    return PointField(name=name, offset=offset, datatype=_FIELD_TYPES[item], count=1)
