"""Single pictures on disk: angiograms in, masks out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import Image, Mask


def read_image(path: str | Path) -> Image:
    """Read a PNG, JPEG or TIFF picture as (rows, columns) uint8 or uint16; colour becomes grey.

    Raises `InvalidInputError` for a missing, empty or damaged file and for other sample types.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidInputError(f"{path}: {'is a folder, give one file' if path.is_dir() else 'no such file'}")
    data = np.fromfile(path, np.uint8)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH) if data.size else None
    except cv2.error:
        image = None
    if image is None:
        raise InvalidInputError(f"{path}: not a readable picture (PNG, JPEG or TIFF), or damaged")
    if image.dtype == np.uint8:
        return image.astype(np.uint8)
    if image.dtype == np.uint16:
        return image.astype(np.uint16)
    raise InvalidInputError(f"{path}: samples are {image.dtype}, need 8 or 16 bit")


def write_mask(path: str | Path, mask: Mask) -> None:
    """Write a vessel probability as a black and white PNG: 255 where it is 128 or more; raises `OSError`."""
    _, data = cv2.imencode(".png", np.where(mask >= 128, 255, 0).astype(np.uint8))
    Path(path).write_bytes(data.tobytes())
