"""Pictures of segmentations: masks on many frames, recall over the width of vessels, what makes frames hard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from autocar_ros.errors import InvalidInputError
from autocar_ros.figures.overlay import eight_bits
from autocar_ros.types import MASK_THRESHOLD, Image, Mask

VESSEL, CATHETER, TRUE = (255, 60, 50), (0, 200, 255), (80, 220, 80)  # red, green, blue
MARGIN = 4  # px between the pictures of a sheet
STRIP = 24  # px above a picture for its label

Spread = Mapping[str, Any]  # mean, std, n (`evaluation.report.spread`)


def outlined(image: Image, vessel: Mask, catheter: Mask | None = None, truth: Mask | None = None) -> NDArray[np.uint8]:
    """Frame (rows, columns) with thin outlines as RGB: vessels red, catheters cyan, true vessels green."""
    picture = cv2.cvtColor(eight_bits(image), cv2.COLOR_GRAY2RGB)
    for mask, color in ((truth, TRUE), (catheter, CATHETER), (vessel, VESSEL)):
        if mask is not None:
            area = (mask >= MASK_THRESHOLD).astype(np.uint8)
            contours, _ = cv2.findContours(area, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, contours, -1, color, 1)
    return np.asarray(picture, np.uint8)


def contact_sheet(
    images: Sequence[Image],
    vessel_masks: Sequence[Mask],
    catheter_masks: Sequence[Mask | None],
    columns: int,
    path: Path,
    names: Sequence[str] = (),
    edge: int = 512,
) -> None:
    """Write a picture of many frames with the outlines of their masks (`outlined`).

    Parameters
    ----------
    images, vessel_masks, catheter_masks : of every frame; a catheter mask may be None
    columns : frames beside each other
    path : PNG or JPEG
    names : a label for every frame, or none
    edge : px, of the square that a frame is fitted into

    Raises
    ------
    InvalidInputError
        When there is no frame, or not as many masks or names.
    """
    if len(images) == 0 or not len(images) == len(vessel_masks) == len(catheter_masks) or len(names) not in (
        0, len(images),
    ):  # fmt: skip
        raise InvalidInputError("a contact sheet needs frames, as many masks of each kind, and a name for each or none")
    frames = zip(images, vessel_masks, catheter_masks, names or [""] * len(images), strict=True)
    tiles = [tile(outlined(image, vessel, catheter), name, edge) for image, vessel, catheter, name in frames]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[k : k + columns]) for k in range(0, len(tiles), columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR)):
        raise InvalidInputError(f"{path}: cannot be written as a picture (PNG or JPEG)")


def tile(picture: NDArray[np.uint8], name: str, edge: int) -> NDArray[np.uint8]:
    """Picture (rows, columns, 3) fitted into a square with a margin, a strip with its label above."""
    scale = (edge - 2 * MARGIN) / max(picture.shape[:2])
    size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
    fitted = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    square = np.zeros((STRIP + edge, edge, 3), np.uint8)
    square[STRIP + MARGIN : STRIP + MARGIN + size[1], MARGIN : MARGIN + size[0]] = fitted
    cv2.putText(square, name, (MARGIN, STRIP - MARGIN), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return square


def draw_recall(methods: Mapping[str, Mapping[str, Spread]], bins: Sequence[str]) -> Figure:
    """Share of the true centreline that is held, over the width of the vessel; bars of one standard deviation.

    `methods` has the spread of every metric, `bins` the names of those to draw (`evaluation.segmentation.Widths`);
    raises `InvalidInputError` when no method has them.
    """
    if not any(f"recall_{name}" in scores for scores in methods.values() for name in bins):
        raise InvalidInputError("no method has a recall by width: nothing to draw")
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axes = figure.subplots()
    for k, (method, scores) in enumerate(methods.items()):
        spreads = [scores[f"recall_{name}"] for name in bins]
        place = np.arange(len(bins)) + (k - (len(methods) - 1) / 2) * 0.8 / len(methods)
        axes.bar(place, _means(spreads), 0.75 / len(methods), yerr=_deviations(spreads), label=method,
                 error_kw={"ecolor": "0.4", "elinewidth": 1})  # fmt: skip
    axes.set(ylabel="centreline held", ylim=(0, 1.05), xlabel="width of the vessel")
    axes.set_xticks(range(len(bins)), [name.replace("_", " ") for name in bins])
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=len(methods), loc="lower right")
    return figure


def draw_robustness(factors: Mapping[str, Mapping[str, Any]]) -> Figure:
    """DICE of every method over everything that makes a frame harder; bands of one standard deviation.

    Parameters
    ----------
    factors : name -> {"label", "levels", "methods": method -> spread of every metric at each level}

    Raises
    ------
    InvalidInputError
        When there is no factor.
    """
    if not factors:
        raise InvalidInputError("there is no factor: nothing to draw")
    rows = (len(factors) + 2) // 3
    figure = Figure(figsize=(12, 3.2 * rows), layout="constrained")
    grid = figure.subplots(rows, 3, squeeze=False, sharey=True).ravel()
    for axes, (name, factor) in zip(grid, factors.items(), strict=False):
        place = np.arange(len(factor["levels"]))
        for k, (method, scores) in enumerate(factor["methods"].items()):
            spreads = [score["dice"] for score in scores]
            mean, deviation = np.array(_means(spreads)), np.array(_deviations(spreads))
            axes.plot(place, mean, "o-", color=f"C{k}", label=method)
            axes.fill_between(place, mean - deviation, mean + deviation, color=f"C{k}", alpha=0.15, linewidth=0)
        axes.set(title=name.replace("_", " "), xlabel=factor["label"], ylim=(0, 1))
        axes.set_xticks(place, [f"{level:g}" for level in factor["levels"]])
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[::3][:rows]:
        axes.set_ylabel("DICE")
    for axes in grid[len(factors) :]:
        axes.set_visible(False)
    grid[0].legend(frameon=False)
    return figure


def _means(spreads: Sequence[Spread]) -> list[float]:
    return [np.nan if s["mean"] is None else float(s["mean"]) for s in spreads]


def _deviations(spreads: Sequence[Spread]) -> list[float]:
    return [float(s["std"] or 0.0) for s in spreads]
