"""Scores of masks whose answer is known by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.segmentation import (
    IN_MM,
    IN_PIXELS,
    Picture,
    agreement,
    by_method,
    load_segmenters,
    read_pictures,
    score_picture,
    score_registered_view,
    timed_scores,
)
from autocar_ros.imaging.segmentation import Segmentation
from autocar_ros.vessels.skeleton import extract_centreline

SIZE = 128
EMPTY = np.zeros((SIZE, SIZE), np.uint8)


def bar(row, width, start=10, stop=110):
    """A vessel along the rows; `width` px across."""
    mask = EMPTY.copy()
    mask[row : row + width, start:stop] = 255
    return mask


def picture(vessel, catheter=None, scale=1.0):
    return Picture(EMPTY, vessel, catheter, scale)


def test_a_perfect_mask():
    truth = bar(30, 7) | bar(60, 3)
    score = score_picture(Segmentation(truth, EMPTY), picture(truth), IN_PIXELS)
    for name in ("dice", "cl_dice", "precision", "recall", "recall_0_to_4_px", "recall_6_to_9_px"):
        assert score[name] == 1.0
    assert np.isnan(score["recall_from_13_px"])
    assert score["false_length_px"] == 0
    assert "catheter_dice" not in score


def test_a_thin_vessel_missed_and_a_false_one():
    wide, thin, false = bar(30, 7), bar(60, 3), bar(90, 3)
    score = score_picture(Segmentation(wide | false, EMPTY), picture(wide | thin, scale=0.5), IN_PIXELS)
    assert score["recall"] == pytest.approx(0.7)
    assert score["precision"] == pytest.approx(0.7)
    assert score["dice"] == pytest.approx(0.7)
    assert score["false_length_px"] == pytest.approx(50, abs=3)  # 100 px of half a unit


def test_widths_are_in_the_unit_of_the_scale():
    truth = bar(30, 7)
    score = score_picture(Segmentation(EMPTY, EMPTY), picture(truth, scale=0.25), IN_MM)  # 1.75 mm
    known = {name for name, value in score.items() if name.startswith("recall_") and np.isfinite(value)}
    assert known <= {"recall_1.5_to_2_mm", "recall_1_to_1.5_mm"}  # its very ends are narrower
    assert score["recall_1.5_to_2_mm"] == 0


def test_a_mask_one_pixel_off_has_no_false_length():
    score = score_picture(Segmentation(np.roll(bar(30, 5), 1, 0), EMPTY), picture(bar(30, 5)), IN_PIXELS)
    assert score["false_length_px"] == 0
    assert score["recall"] == pytest.approx(0.8)


def test_pictures_without_vessels():
    found, nothing = Segmentation(bar(40, 5), EMPTY), Segmentation(EMPTY, EMPTY)
    score = score_picture(found, picture(EMPTY, EMPTY), IN_PIXELS)
    assert np.isnan(score["dice"])
    assert score["false_length_px"] == pytest.approx(100, abs=6)
    assert score_picture(nothing, picture(EMPTY, EMPTY), IN_PIXELS)["false_length_px"] == 0
    assert score_picture(nothing, picture(bar(40, 5)), IN_PIXELS)["dice"] == 0


def test_the_catheter_is_a_class_of_its_own():
    vessel, catheter = bar(30, 5), bar(70, 5)
    good = score_picture(Segmentation(vessel, catheter), picture(vessel, catheter))
    assert (good["catheter_taken"], good["catheter_dice"]) == (0.0, 1.0)
    mixed = score_picture(Segmentation(vessel | catheter, EMPTY), picture(vessel, catheter))
    assert mixed["catheter_taken"] == 1.0
    assert mixed["catheter_dice"] == 0.0


@given(st.integers(0, 2**32 - 1))
def test_scores_are_shares(seed):
    rng = np.random.default_rng(seed)
    mask, truth = (cv2.GaussianBlur(rng.normal(128, 400, (64, 64)), (0, 0), 3).clip(0, 255).astype(np.uint8)
                   for _ in range(2))  # fmt: skip
    score = score_picture(Segmentation(mask, EMPTY), picture(truth), IN_PIXELS)
    for name, value in score.items():
        assert np.isnan(value) or 0 <= value <= (np.inf if name.startswith("false") else 1)
    if (truth >= 128).any():
        turned = score_picture(Segmentation(mask.T.copy(), EMPTY), picture(truth.T.copy()), IN_PIXELS)
        assert turned["dice"] == pytest.approx(score["dice"])


def test_masks_of_two_sizes():
    with pytest.raises(InvalidInputError, match="one size"):
        score_picture(Segmentation(EMPTY[:64], EMPTY), picture(bar(30, 5)))


def test_agreement_of_a_projection():
    line = extract_centreline(bar(30, 5))
    along = np.stack([np.arange(12.0, 108), np.full(96, 32.0)], 1)
    assert agreement(along, line, 1.0) == (1.0, 1.0)
    half = agreement(np.concatenate([along[:48], along[:48] + np.array([0, 20])]), line, 1.0)
    assert half.coverage == pytest.approx(0.5, abs=0.06)
    assert half.precision == pytest.approx(0.5)
    assert min(agreement(along + np.array([0, 5]), line, 0.5)) > 0.98  # 2.5 mm
    assert max(agreement(along + np.array([0, 7]), line, 0.5)) == 0.0  # 3.5 mm
    assert agreement(along[:0], line, 1.0) == (0.0, 0.0)


def test_a_registered_view():
    projected = np.stack([np.arange(10.0, 110), np.full(100, 32.0)], 1)
    score = score_registered_view(bar(30, 5, stop=60), projected, 0.5)
    assert score["recall_inside"] == pytest.approx(0.5)
    assert score["recall_1mm"] == pytest.approx(0.51, abs=0.011)
    assert score["precision_3mm"] == 1.0
    empty = score_registered_view(EMPTY, projected, 0.5)
    assert empty["recall_3mm"] == 0
    assert np.isnan(empty["precision_3mm"])


def test_segmenters_by_name():
    image = np.full((SIZE, SIZE), 200, np.uint8) - bar(30, 7) // 3
    score = timed_scores(
        load_segmenters(["vesselness"])["vesselness"], Picture(image, bar(30, 7), None, 1.0), IN_PIXELS
    )
    assert score["dice"] > 0.8
    assert score["ms"] > 0
    with pytest.raises(InvalidInputError, match="vesselness"):
        load_segmenters(["magic"])


def test_own_pictures(tmp_path):
    images, masks = tmp_path / "images", tmp_path / "masks"
    for folder in (images, masks):
        folder.mkdir()
    cv2.imwrite(str(images / "one.jpg"), np.full((32, 40), 100, np.uint8))
    cv2.imwrite(str(images / "alone.png"), np.full((32, 40), 100, np.uint8))
    with pytest.raises(InvalidInputError, match="same file stem"):
        read_pictures(images, masks)
    truth = np.zeros((32, 40), np.uint16)
    truth[4] = 65535
    cv2.imwrite(str(masks / "one.png"), truth)
    found = read_pictures(images, masks)
    assert list(found) == ["one"]
    assert found["one"].vessel.sum() == 40 * 255
    cv2.imwrite(str(masks / "alone.png"), truth[:, :8])
    with pytest.raises(InvalidInputError, match=r"alone.*one size"):
        read_pictures(images, masks)


def test_scores_by_method():
    assert by_method([{"a": {"x": 1.0}}, {"a": {"x": 2.0}}]) == {"a": [{"x": 1.0}, {"x": 2.0}]}
