"""Pictures of several methods on the same cases: volumes side by side, spread of their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, uniform_filter

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import FloatArray

Volume = NDArray[np.bool_]

NEAR = 1.0  # mm from the truth: what is further away is drawn as false
ZOOM = 25.0  # mm along the edge of the part that is shown larger
RIGHT, FALSE = (0.30, 0.50, 0.80), (0.93, 0.45, 0.10)  # red, green, blue
TRUTH = "ground truth"


def draw_volumes(volumes: Mapping[str, Volume], truth: Volume, voxel_size: float) -> Figure:
    """One column for every method and the truth: a slice, the surface from the front, a part of it larger.

    Blue is not more than 1 mm from the truth, orange further away; in the slice the line is the border of the truth.

    Parameters
    ----------
    volumes : method -> (I, J, K) mask; axes left, posterior, head of the world
    truth : (I, J, K)
    voxel_size : mm

    Raises
    ------
    InvalidInputError
        When the truth is empty or a volume is not on its grid.
    """
    if not truth.any() or any(volume.shape != truth.shape for volume in volumes.values()):
        raise InvalidInputError("the truth must not be empty, and all volumes must lie on its grid")
    near = np.asarray(distance_transform_edt(~truth)) * voxel_size <= NEAR
    cut = int(truth.sum((0, 2)).argmax())
    window = _busiest(np.asarray(truth.any(1)), round(ZOOM / voxel_size))
    shown = {**volumes, TRUTH: truth}
    tall = truth.shape[2] / truth.shape[0]
    figure = Figure(figsize=(2.6 * len(shown), 2.6 * (2 * tall + 1) + 0.6), layout="constrained")
    grid = figure.subplots(3, len(shown), squeeze=False, height_ratios=(tall, tall, 1))
    for column, (name, volume) in enumerate(shown.items()):
        picture = _surface(volume, near)
        _show(grid[0, column], _painted(volume[:, cut], near[:, cut], np.ones(1)), voxel_size)
        grid[0, column].contour(truth[:, cut].T, [0.5], colors="k", linewidths=0.6)
        _show(grid[1, column], picture, voxel_size)
        _show(grid[2, column], picture[window], voxel_size)
        grid[0, column].set_title(name)
    for axes, label in zip(grid[:, 0], ("slice", "from the front", f"{ZOOM:g} mm of it"), strict=True):
        axes.set_ylabel(label)
    return figure


def draw_scores(
    cases: Mapping[str, Sequence[Mapping[str, float]]], metrics: Sequence[str] = ("dice", "cl_dice")
) -> Figure:
    """Box plot of each metric (quartiles, whiskers at 5 and 95 %, cross = mean), one box a method.

    `cases` are the scores of every case by method; raises `InvalidInputError` when there are none.
    """
    if not any(cases.values()):
        raise InvalidInputError("there are no scores: nothing to draw")
    names = [name for name, scores in cases.items() if scores]
    figure = Figure(figsize=(4.5 * len(metrics), 1.2 + 0.4 * len(names)), layout="constrained")
    for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        values = [np.array([score[metric] for score in cases[name]], float) for name in names]
        finite = [v[np.isfinite(v)] for v in values]
        style = {"marker": "x", "markeredgecolor": "k"}
        axes.boxplot(finite, orientation="horizontal", tick_labels=names, whis=(5, 95), showmeans=True,
                     widths=0.5,                      meanprops=style, flierprops={"markersize": 3})  # fmt: skip
        axes.invert_yaxis()
        axes.set(title=metric, xlim=(0, 1) if metric in ("dice", "cl_dice") else None)
        axes.grid(axis="x", alpha=0.3)
    return figure


def _surface(volume: Volume, near: Volume) -> FloatArray:
    """What a viewer before the patient sees, (I, K, 3): the first voxels, lit from where the viewer stands."""
    hit, depth = np.asarray(volume.any(1)), volume.argmax(1)
    slope = np.stack(np.gradient(np.where(hit, depth, volume.shape[1]).astype(float)))
    light = 0.35 + 0.65 / np.sqrt(1 + 0.15 * np.minimum(np.sum(slope**2, axis=0), 100))
    first = near[np.arange(len(volume))[:, None], depth, np.arange(volume.shape[2])]
    return _painted(hit, first, light)


def _painted(shown: NDArray[np.bool_], near: NDArray[np.bool_], light: FloatArray) -> FloatArray:
    """Colours (I, K, 3) on white."""
    color = np.where(near[..., None], RIGHT, FALSE) * light[..., None]
    return np.where(shown[..., None], color, 1.0)


def _show(axes: Axes, picture: FloatArray, voxel_size: float) -> None:
    axes.imshow(picture.swapaxes(0, 1), origin="lower", interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    bar = 10.0 / voxel_size
    axes.plot([2, 2 + bar], [2, 2], "k", linewidth=2)  # 10 mm


def _busiest(shadow: NDArray[np.bool_], edge: int) -> tuple[slice, slice]:
    """Square part of (I, K) with as much in it as any."""
    edge = min(edge, *shadow.shape)
    crowd = uniform_filter(shadow.astype(np.float32), edge, mode="constant")
    middle = np.unravel_index(int(crowd.argmax()), shadow.shape)
    first = [int(np.clip(m - edge // 2, 0, n - edge)) for m, n in zip(middle, shadow.shape, strict=True)]
    return slice(first[0], first[0] + edge), slice(first[1], first[1] + edge)
