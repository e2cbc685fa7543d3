"""Latency pictures show every stage and refuse to show nothing."""

from __future__ import annotations

import numpy as np
import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.figures.timing import latency_histogram, latency_timeline


def test_histogram_names_every_stage_with_its_median():
    figure = latency_histogram({"mask": np.array([10.0, 20, 30]), "graph": np.full(5, 55.0), "none": np.array([])})
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["mask: median 20 ms", "graph: median 55 ms"]


def test_histogram_keeps_outliers_in_its_last_bin():
    values = np.r_[np.full(999, 10.0), 1e6]
    heights = [patch.get_height() for patch in latency_histogram({"x": values}).axes[0].patches]
    assert sum(heights) == 1000


def test_timeline_marks_events_once_in_the_legend():
    figure = latency_timeline({"graph": (np.arange(3.0), np.array([50.0, 60, 70]))}, events=[0.5, 1.5])
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["graph", "new graph"]


def test_nothing_to_draw():
    with pytest.raises(InvalidInputError, match="no latency"):
        latency_histogram({"x": np.array([])})
    with pytest.raises(InvalidInputError, match="no latency"):
        latency_timeline({"x": (np.array([]), np.array([]))})
