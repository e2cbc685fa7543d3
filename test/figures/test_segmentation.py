"""Pictures of segmentations."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.figures.segmentation import (
    CATHETER,
    STRIP,
    TRUE,
    VESSEL,
    contact_sheet,
    draw_recall,
    draw_robustness,
    outlined,
)

IMAGE = np.full((60, 80), 120, np.uint16)
AREA = np.zeros((60, 80), np.uint8)
AREA[20:40, 20:60] = 255
DONE = {"mean": 0.8, "std": 0.1, "n": 3}
NONE = {"mean": None, "std": None, "n": 0}


def test_outlines_leave_the_frame_below_visible():
    picture = outlined(IMAGE, AREA, np.roll(AREA, 15, 0), np.roll(AREA, -15, 0))
    assert tuple(picture[20, 30]) == VESSEL
    assert tuple(picture[54, 30]) == CATHETER
    assert tuple(picture[5, 30]) == TRUE
    assert len(set(picture[30, 40])) == 1  # inside: as before
    assert (picture.max(2) != picture.min(2)).mean() < 0.15


def test_contact_sheet(tmp_path):
    path = tmp_path / "deep" / "sheet.png"
    contact_sheet([IMAGE] * 5, [AREA] * 5, [None, AREA, None, None, None], 2, path, list("abcde"), edge=100)
    assert cv2.imread(str(path)).shape == (3 * (100 + STRIP), 200, 3)
    for images, masks, names in (([], [], []), ([IMAGE], [AREA] * 2, []), ([IMAGE], [AREA], ["a", "b"])):
        with pytest.raises(InvalidInputError, match="contact sheet"):
            contact_sheet(images, masks, [None] * len(images), 2, path, names)


def test_recall_by_width():
    methods = {"one": {"recall_0_to_1_mm": DONE, "recall_from_1_mm": NONE}, "two": {}}
    with pytest.raises(InvalidInputError, match="nothing to draw"):
        draw_recall({"two": {}}, ["0_to_1_mm"])
    methods["two"] = methods["one"]
    axes = draw_recall(methods, ["0_to_1_mm", "from_1_mm"]).axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["0 to 1 mm", "from 1 mm"]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["one", "two"]


def test_robustness_has_a_panel_a_factor():
    factor = {"label": "dose", "levels": [1.0, 2.0], "methods": {"one": [{"dice": DONE}, {"dice": NONE}]}}
    figure = draw_robustness({name: factor for name in ("noise", "motion_blur", "contrast", "rotation")})
    assert [a.get_title() for a in figure.axes if a.get_visible()] == ["noise", "motion blur", "contrast", "rotation"]
    with pytest.raises(InvalidInputError, match="no factor"):
        draw_robustness({})
