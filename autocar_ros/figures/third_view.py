"""Pictures of reconstructions in the views they were made from, and in one that had no part in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from autocar_ros.errors import InvalidInputError
from autocar_ros.figures.overlay import overlay
from autocar_ros.figures.segmentation import tile
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.types import MASK_THRESHOLD, CArmPose, Image, Mask, VesselGraph

EDGE = 512  # px of a picture


class Panel(NamedTuple):
    """A view, its mask, and the graph that is drawn over it; without a graph only the mask."""

    label: str
    image: Image
    mask: Mask
    pose: CArmPose
    graph: VesselGraph | None


def draw_panels(rows: Sequence[Sequence[Panel]], path: Path) -> None:
    """Write a picture with a row of panels for every case: the border of the mask grey, the graph coloured.

    Raises `InvalidInputError` when there are no panels, or rows of different length.
    """
    if not rows or len({len(row) for row in rows}) != 1 or not rows[0]:
        raise InvalidInputError("need at least one panel, and rows of equal length")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = np.vstack([np.hstack([tile(_drawn(panel), panel.label, EDGE) for panel in row]) for row in rows])
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


def draw_outcomes(cases: Sequence[Mapping[str, Any]]) -> Figure:
    """Coverage and precision of every case over the correlation of its two views, and what luck gives (grey).

    Parameters
    ----------
    cases : `evaluation.patients.figures_of`; those without a reconstruction are left out

    Raises
    ------
    InvalidInputError
        When no case has a reconstruction.
    """
    good = [case for case in cases if not case["failed"]]
    if not good:
        raise InvalidInputError("no case has a reconstruction: there is nothing to draw")
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, metric in zip(figure.subplots(1, 2, sharey=True), ("coverage", "precision"), strict=True):
        everywhere = [case["correlation"] for case in good]
        axes.plot(everywhere, [case[f"chance_{metric}"] for case in good], "x", color="0.6", label="by chance")
        for patient in dict.fromkeys(case["patient"] for case in good):
            chosen = [case for case in good if case["patient"] == patient]
            axes.plot([c["correlation"] for c in chosen], [c[metric] for c in chosen], "o", label=patient)
        axes.set(title=metric, xlabel="correlation of the two views", ylim=(0, 1))
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def _drawn(panel: Panel) -> NDArray[np.uint8]:
    nothing = VesselGraph(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 2), np.int64), np.zeros(0, np.int64))
    picture = overlay(panel.image, panel.graph or nothing, camera_from_pose(panel.pose))
    border, _ = cv2.findContours((panel.mask >= MASK_THRESHOLD).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    shade = picture.copy()
    cv2.drawContours(shade, border, -1, (255, 255, 255), 1)
    return np.asarray(cv2.addWeighted(picture, 0.6, shade, 0.4, 0), np.uint8)
