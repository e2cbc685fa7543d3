"""Image messages and pixels. Checking happens here, so that a stage gets an array it can use or nothing."""

from __future__ import annotations

import array
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image as ImageMsg

from autocar_ros.errors import InvalidInputError
from autocar_ros.ros.stamps import header
from autocar_ros.types import Image

_ENCODINGS = {"mono8": "u1", "8UC1": "u1", "mono16": "u2", "16UC1": "u2"}


def image_to_msg(image: NDArray[Any], stamp_ns: int, frame_id: str) -> ImageMsg:
    """Image message: uint8 (rows, columns) mono8, uint16 mono16, uint8 (rows, columns, 3) rgb8."""
    encoding = "rgb8" if image.ndim == 3 else {1: "mono8", 2: "mono16"}[image.itemsize]
    pixels = np.ascontiguousarray(image)
    data = array.array("B")
    data.frombytes(memoryview(pixels.reshape(-1)).cast("B"))
    return ImageMsg(
        header=header(stamp_ns, frame_id),
        height=image.shape[0],
        width=image.shape[1],
        encoding=encoding,
        is_bigendian=int(sys.byteorder == "big"),
        step=pixels.strides[0],
        data=data,
    )


def image_from_msg(message: ImageMsg) -> Image:
    """Pixels (rows, columns) uint8 or uint16 of a mono image, without a copy where the message allows."""
    if message.encoding not in _ENCODINGS:
        raise InvalidInputError(
            f"image encoding {message.encoding!r} is not supported: send mono8 or mono16 (vessels dark)"
        )
    kind = np.dtype(_ENCODINGS[message.encoding]).newbyteorder(">" if message.is_bigendian else "<")
    rows, width = message.height, message.width * kind.itemsize
    if rows == 0 or width == 0:
        raise InvalidInputError(f"image is empty: {message.width} x {message.height}")
    if message.step < width or len(message.data) != rows * message.step:
        raise InvalidInputError(
            f"image of {message.width} x {message.height} {message.encoding} needs rows of at least {width} bytes, "
            f"got step {message.step} and {len(message.data)} bytes in all"
        )
    rowwise = np.frombuffer(message.data, np.uint8).reshape(rows, message.step)[:, :width]
    pixels = np.ascontiguousarray(rowwise).view(kind)
    return np.asarray(pixels, kind.newbyteorder("="))
