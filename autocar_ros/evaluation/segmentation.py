"""Masks of angiograms against the true ones, and against a centreline that is known in three dimensions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial import KDTree

from autocar_ros.config import SegmentationConfig
from autocar_ros.errors import InvalidInputError, WeightsError
from autocar_ros.evaluation.metrics import Volume, cl_dice, dice, skeleton
from autocar_ros.imaging.pictures import read_image
from autocar_ros.imaging.segmentation import Segmentation, Segmenter, segmenter_for
from autocar_ros.types import MASK_THRESHOLD, FloatArray, Image, Mask
from autocar_ros.vessels.skeleton import Centreline, extract_centreline

METHODS = {
    "network": SegmentationConfig(),
    "network_float32": SegmentationConfig(precision="float32"),
    "vesselness": SegmentationConfig(method="vesselness"),
}
COMPARED = ("network", "vesselness")  # unless others are named
BESIDE = 2.0  # px from the true vessel: a predicted centreline that runs further away is false
NEAR = 3.0  # mm at the isocentre: eps_v of the paper
CLOSE = 1.0  # mm at the isocentre: about as good as a centreline is registered to X-ray views


class Picture(NamedTuple):
    """A frame whose vessels are known, and its catheter where there is a true mask of it."""

    image: Image
    vessel: Mask
    catheter: Mask | None
    scale: float  # width of a pixel in the unit of `Widths`


class Widths(NamedTuple):
    """Bins of vessel width."""

    edges: tuple[float, ...]  # rising, from 0 on; the last bin is open
    unit: str

    def bins(self) -> dict[str, tuple[float, float]]:
        """Name of every bin, such as "1_to_2_mm", -> least and largest width."""
        inner = {f"{low:g}_to_{high:g}_{self.unit}": (low, high) for low, high in pairwise(self.edges)}
        return inner | {f"from_{self.edges[-1]:g}_{self.unit}": (self.edges[-1], np.inf)}


IN_MM = Widths((0.0, 1.0, 1.5, 2.0, 3.0), "mm")  # at the isocentre
IN_PIXELS = Widths((0.0, 4.0, 6.0, 9.0, 13.0), "px")


def load_segmenters(methods: Sequence[str] = (), weights: Path | None = None) -> dict[str, Segmenter]:
    """Segmenters by method, the network with other `weights` than the package's if given.

    Without `methods` those of `COMPARED` that need no weights or have some.

    Raises
    ------
    InvalidInputError
        For a method that is not in `METHODS`.
    WeightsError
        When the weights of a method that was asked for are missing or damaged.
    """
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise InvalidInputError(f"there is no segmentation {', '.join(unknown)}, choose from {', '.join(METHODS)}")
    found: dict[str, Segmenter] = {}
    for method in methods or COMPARED:
        with nullcontext() if methods or weights else suppress(WeightsError):
            found[method] = segmenter_for(replace(METHODS[method], weights=str(weights or "")))
    return found


def score_picture(found: Segmentation, picture: Picture, widths: Widths = IN_MM) -> dict[str, float]:
    """Agreement of a mask with the true one; NaN where the picture has nothing that a metric could tell.

    Returns
    -------
    dice, cl_dice (`evaluation.metrics`), precision, recall : of pixels
    recall_<bin> : share of the true centreline of vessels of that width that the mask holds
    false_length_<unit> : centreline of the mask more than `BESIDE` px away from any true vessel
    catheter_dice : 0 for a method that tells no catheter
    catheter_taken : share of the catheter outside the vessels that is taken for vessel

    Raises
    ------
    InvalidInputError
        When the masks are not of one size.
    """
    mask, truth = found.vessel >= MASK_THRESHOLD, picture.vessel >= MASK_THRESHOLD
    if mask.shape != truth.shape:
        raise InvalidInputError(f"the mask is {mask.shape} px, the true one {truth.shape} px: they must be of one size")
    hits = float(np.count_nonzero(mask & truth))
    return {
        "dice": dice(mask, truth) if truth.any() else np.nan,
        "cl_dice": cl_dice(mask, truth) if truth.any() else np.nan,
        "precision": float(hits / mask.sum()) if mask.any() else np.nan,
        "recall": float(hits / truth.sum()) if truth.any() else np.nan,
        **_recall_by_width(mask, truth, picture.scale, widths),
        f"false_length_{widths.unit}": _false_length(mask, truth) * picture.scale,
        **_catheter(found, picture),
    }


def timed_scores(segmenter: Segmenter, picture: Picture, widths: Widths = IN_MM) -> dict[str, float]:
    """`score_picture` of a method, and `ms`, the processor time of all its threads."""
    start = time.process_time()
    found = segmenter.segment(picture.image)
    spent = time.process_time() - start
    return score_picture(found, picture, widths) | {"ms": spent * 1e3}


def score_registered_view(mask: Mask, projected: FloatArray, mm_per_pixel: float) -> dict[str, float]:
    """Compare a mask with the projection of a centreline that is registered to the view.

    Parameters
    ----------
    mask : (rows, columns), 128 and more is vessel
    projected : (N, 2) px, points along the centreline inside the image
    mm_per_pixel : at the isocentre

    Returns
    -------
    recall_inside, recall_1mm, recall_3mm : share of the points inside the mask, or so near to it
    precision_3mm : share of the mask's centreline so near to a point; NaN when the mask has none
    """
    outside = cv2.distanceTransform((mask < MASK_THRESHOLD).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    column, row = np.rint(projected).astype(int).T
    far = outside[row, column] * mm_per_pixel if (mask >= MASK_THRESHOLD).any() else np.full(len(row), np.inf)
    try:
        precision = agreement(projected, extract_centreline(mask), mm_per_pixel).coverage
    except InvalidInputError:  # an empty mask
        precision = np.nan
    return {
        "recall_inside": float(np.mean(far == 0)),
        f"recall_{CLOSE:g}mm": float(np.mean(far <= CLOSE)),
        f"recall_{NEAR:g}mm": float(np.mean(far <= NEAR)),
        f"precision_{NEAR:g}mm": precision,
    }


class Agreement(NamedTuple):
    """Projected vessels against the centreline of a mask; shares 0..1."""

    coverage: float  # of the mask's centreline that is near to the projection
    precision: float  # of the projection that is near to the mask's centreline


def agreement(projected: FloatArray, line: Centreline, mm_per_pixel: float, within: float = NEAR) -> Agreement:
    """Share of a centreline near to projected points (N, 2) px, and of the points near to it.

    `within` is in mm at the isocentre. Without any point both are 0.
    """
    if len(projected) == 0:
        return Agreement(0.0, 0.0)
    there = np.asarray(KDTree(projected).query(line.points)[0])
    back, _ = line.query(projected)
    return Agreement(float(np.mean(there * mm_per_pixel <= within)), float(np.mean(back * mm_per_pixel <= within)))


def read_pictures(images: Path, masks: Path) -> dict[str, Picture]:
    """Read the user's pictures and true masks of the same file stem, by stem; the unit of width is px.

    A mask is vessel where it has half its largest possible value or more. Raises `InvalidInputError` when no picture
    has a mask, or one of another size.
    """
    there = {path.stem: path for path in sorted(masks.iterdir()) if path.is_file()}
    found: dict[str, Picture] = {}
    for path in sorted(images.iterdir()):
        if path.is_file() and path.stem in there:
            found[path.stem] = _picture(path, there[path.stem])
    if not found:
        raise InvalidInputError(f"no picture in {images} has a mask in {masks}: both must have the same file stem")
    return found


def by_method(cases: Sequence[Mapping[str, dict[str, float]]]) -> dict[str, list[dict[str, float]]]:
    """Turn the scores of every case by method into the scores of every method by case."""
    return {name: [case[name] for case in cases] for name in cases[0]}


def _picture(image: Path, mask: Path) -> Picture:
    frame, truth = read_image(image), read_image(mask)
    if frame.shape != truth.shape:
        raise InvalidInputError(f"{mask} is {truth.shape} px, its picture {frame.shape} px: they must be of one size")
    half = (int(np.iinfo(truth.dtype).max) + 1) // 2
    return Picture(frame, np.where(truth >= half, np.uint8(255), np.uint8(0)), None, 1.0)


def _recall_by_width(mask: Volume, truth: Volume, scale: float, widths: Widths) -> dict[str, float]:
    line = skeleton(truth) if truth.any() else truth
    inside = cv2.distanceTransform(np.pad(truth.astype(np.uint8), 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    width, held = (2 * inside[line] - 1) * scale, mask[line]
    recall = {}
    for name, (low, high) in widths.bins().items():
        chosen = held[(width >= low) & (width < high)]
        recall[f"recall_{name}"] = float(chosen.mean()) if len(chosen) else np.nan
    return recall


def _false_length(mask: Volume, truth: Volume) -> float:
    """Pixels of the mask's centreline that run beside all true vessels."""
    if not mask.any():
        return 0.0
    line = skeleton(mask)
    if not truth.any():
        return float(line.sum())
    far = cv2.distanceTransform((~truth).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float(np.count_nonzero(far[line] > BESIDE))


def _catheter(found: Segmentation, picture: Picture) -> dict[str, float]:
    if picture.catheter is None:
        return {}
    truth, vessel = picture.catheter >= MASK_THRESHOLD, picture.vessel >= MASK_THRESHOLD
    alone = truth & ~vessel
    taken = float(np.mean(found.vessel[alone] >= MASK_THRESHOLD)) if alone.any() else np.nan
    told = dice(found.catheter >= MASK_THRESHOLD, truth) if truth.any() else np.nan
    return {"catheter_taken": taken, "catheter_dice": told}
