"""Vessels and catheters in X-ray frames: by the trained network, or by ridges where there are no weights."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch

from autocar_ros.config import SegmentationConfig
from autocar_ros.imaging.enhance import Float32Array
from autocar_ros.imaging.vessel_absorption import vessel_absorption
from autocar_ros.imaging.vessel_network import ANSWER, KIND, Architecture, VesselNetwork, fast, footing
from autocar_ros.imaging.vesselness import filter_vessels
from autocar_ros.types import Image, Mask, Vessels, check_image
from autocar_ros.weights import bundled_weights, check_device, load_model, number_type

LARGEST = 768  # px: larger frames are looked at in half, a third ... of their size
SURE = 0.7  # an island of vessel must be as sure as this somewhere
SMALLEST = 16  # px: in a smaller image there is nothing to find


class Segmentation(NamedTuple):
    """What a frame shows: two masks (rows, columns) uint8, 128 and more is vessel, or catheter or guidewire."""

    vessel: Mask
    catheter: Mask


class Segmenter(Protocol):
    """Finds the vessels in frames."""

    def segment(self, image: Image) -> Segmentation:
        """Masks of a frame (rows, columns) uint8 or uint16, vessels dark, any gain; `InvalidInputError` if it is none.

        Masks are all zero when there is nothing to find.
        """


def find_vessels(segmenter: Segmenter, image: Image) -> Vessels:
    """Vessels of a frame (rows, columns) and what they absorb; raises `InvalidInputError` as the segmenter does."""
    found = segmenter.segment(image)
    return Vessels(found.vessel, vessel_absorption(image, *found))


def segmenter_for(config: SegmentationConfig | None = None) -> Segmenter:
    """Segmenter that a configuration asks for.

    Raises
    ------
    WeightsError
        When the weights are missing or damaged, or there is no such device.
    """
    config = config or SegmentationConfig()
    if config.method == "vesselness":
        return FilterSegmenter(config)
    check_device(config.device)
    return NetworkSegmenter(load_network(config.weights), config)


class FilterSegmenter:
    """Segmentation by the ridge filter, which tells no catheter from a vessel."""

    def __init__(self, config: SegmentationConfig) -> None:
        self._config = config

    def segment(self, image: Image) -> Segmentation:
        """Masks of a frame, that of the catheter empty."""
        return Segmentation(filter_vessels(image, self._config), np.zeros(image.shape, np.uint8))


class NetworkSegmenter:
    """Segmentation by the network."""

    def __init__(self, network: VesselNetwork, config: SegmentationConfig) -> None:
        self._threshold = network.threshold
        self._multiple = network.architecture.multiple
        self._type = number_type(config.precision, config.device)
        self._network = fast(network).to(config.device, self._type)
        self._config = config

    def segment(self, image: Image) -> Segmentation:
        """Masks of a frame."""
        check_image(image)
        if min(image.shape) < SMALLEST:
            return Segmentation(np.zeros(image.shape, np.uint8), np.zeros(image.shape, np.uint8))
        reduction = -(-max(image.shape) // LARGEST)
        vessel, catheter = self._chances(footing(_reduced(image, reduction)))
        size = image.shape[::-1]
        whole = _without_islands(vessel, self._config.min_length / (ANSWER * reduction))
        return Segmentation(*(_enlarged(chance, size) for chance in (whole, catheter)))

    def _chances(self, picture: Float32Array) -> Float32Array:
        """Chance (2, rows / ANSWER, columns / ANSWER) of vessel and catheter, 0.5 at the threshold."""
        rows, columns = picture.shape
        below, right = -rows % self._multiple, -columns % self._multiple
        padded = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
        with torch.inference_mode():
            x = torch.from_numpy(padded)[None, None].to(self._config.device, self._type)
            logits = self._network(x)[0].float()
            logits[0] -= float(np.log(self._threshold / (1 - self._threshold)))
            chances: Float32Array = torch.sigmoid(logits).cpu().numpy()
        return chances[:, : -(-rows // ANSWER), : -(-columns // ANSWER)]


def load_network(weights: str = "") -> VesselNetwork:
    """Network with the weights of a file, or with those that come with the package.

    Raises
    ------
    WeightsError
        When the file is missing, damaged, or holds another network.
    """
    path = Path(weights) if weights else bundled_weights(KIND, "segment with method vesselness")
    return load_model(path, KIND, lambda text: VesselNetwork(Architecture.from_json(text)))


def _reduced(image: Image, reduction: int) -> Image:
    rows, columns = image.shape
    size = (-(-columns // reduction), -(-rows // reduction))
    smaller: Image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return image if reduction == 1 else smaller


def _without_islands(chance: Float32Array, shortest: float) -> Float32Array:
    """Chance (rows, columns) without pieces that are short or nowhere sure; `shortest` in px, across corners."""
    _, label, stats, _ = cv2.connectedComponentsWithStats((chance >= 0.5).astype(np.uint8), connectivity=8)
    long = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) >= shortest
    sure = np.zeros(len(stats), bool)
    sure[label[chance >= SURE]] = True
    good = long & sure
    good[0] = True  # everything else, below 0.5
    return np.where(good[label], chance, np.float32(0))


def _enlarged(chance: Float32Array, size: tuple[int, int]) -> Mask:
    small = np.minimum(chance * np.float32(256), np.float32(255)).astype(np.uint8)
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.uint8)
