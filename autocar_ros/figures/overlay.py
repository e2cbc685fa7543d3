"""The projected graph drawn on an X-ray frame."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

from autocar_ros.geometry.camera import Camera
from autocar_ros.types import FloatArray, Image, VesselGraph

GOLDEN = 0.618033988749895  # turn of the colour circle from branch to branch: neighbours differ
FAR = 1 << 14  # px; OpenCV's drawing overflows beyond


def branch_color(branch: int) -> tuple[float, float, float]:
    """Red, green, blue in 0..1 of a branch."""
    return colorsys.hsv_to_rgb(branch * GOLDEN % 1.0, 0.75, 1.0)


def overlay(image: Image, graph: VesselGraph, camera: Camera) -> NDArray[np.uint8]:
    """X-ray frame (rows, columns) with the graph on it as (rows, columns, 3) RGB; one colour a branch."""
    picture = cv2.cvtColor(eight_bits(image), cv2.COLOR_GRAY2RGB)
    pixels, depth = camera.project(graph.position)
    for parent, child in graph.edges[(depth[graph.edges] > 0).all(1)]:
        color = [round(255 * part) for part in branch_color(int(graph.branch[child]))]
        cv2.line(picture, _point(pixels[parent]), _point(pixels[child]), color, 1, cv2.LINE_AA)
    for root in np.flatnonzero((graph.parent < 0) & (depth > 0)):
        cv2.circle(picture, _point(pixels[root]), 5, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


def eight_bits(image: Image) -> NDArray[np.uint8]:
    """Frame (rows, columns) of any depth, its grey stretched to 0..255."""
    low, high = np.percentile(image, (0.5, 99.5))
    scaled = (image.astype(np.float32) - low) * (255 / max(high - low, 1.0))
    return np.asarray(np.clip(scaled, 0, 255), np.uint8)


def _point(pixel: FloatArray) -> tuple[int, int]:
    column, row = np.clip(pixel, -FAR, FAR)
    return round(float(column)), round(float(row))
