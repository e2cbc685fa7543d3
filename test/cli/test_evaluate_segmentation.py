"""`autocar evaluate segmentation` on simulated frames, own pictures and the phantom."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from autocar_ros.cli.segmentation_cases import FACTORS, expose, segmentation_shot, varied

LEAST = {"noise": 25.0, "motion_blur": 80.0, "contrast": 0.2}


def test_a_shot_is_its_seed():
    one, again, other = segmentation_shot(7), segmentation_shot(7), segmentation_shot(8)
    assert one == again != other
    assert np.array_equal(expose(one).image, expose(again).image)


def test_pictures_have_true_masks():
    frame = expose(segmentation_shot(5000))
    assert frame.image.shape == frame.vessel.shape == frame.catheter.shape == (512, 512)
    assert 0.15 < frame.scale < 0.5
    for mask in (frame.vessel, frame.catheter):
        around = cv2.dilate(mask, np.ones((21, 21))) & ~cv2.dilate(
            mask | frame.vessel | frame.catheter, np.ones((5, 5))
        )
        assert frame.image[mask > 0].mean() < frame.image[around > 0].mean() - 10


def test_varied_pictures_are_their_seed():
    assert all(np.array_equal(a, b) for a, b in zip(varied(1), varied(1), strict=True))
    assert varied(1).vessel.shape == (512, 512)


@pytest.mark.parametrize("name", LEAST)
def test_harder_frames_keep_their_truth(name):
    shot = segmentation_shot(5000)
    plain, hard = expose(shot), FACTORS[name].picture(shot, LEAST[name])
    assert np.array_equal(plain.vessel, hard.vessel)
    assert hard.image.dtype == plain.image.dtype
    contrast = [np.median(p.image[p.vessel == 0]) - np.median(p.image[p.vessel > 0]) for p in (plain, hard)]
    assert contrast[1] < contrast[0] * (0.5 if name == "contrast" else 1.1)


def test_a_long_exposure_may_begin_a_scene():
    shot = segmentation_shot(5000)
    start = shot._replace(config=replace(shot.config, image_size=64), time=0.0)
    assert FACTORS["motion_blur"].picture(start, 80.0).image.shape == (64, 64)


def test_rotation_resolution_and_catheter():
    shot = segmentation_shot(5000)
    plain = expose(shot)
    turned = FACTORS["rotation"].picture(shot, 90.0)
    assert np.mean(turned.vessel != np.rot90(plain.vessel)) < 0.005
    assert np.abs(turned.image - np.rot90(plain.image).astype(float)).mean() < 2
    small = FACTORS["resolution"].picture(shot, 256.0)
    assert small.image.shape == (256, 256)
    assert small.scale == pytest.approx(2 * plain.scale, rel=0.01)
    assert not FACTORS["catheter"].picture(shot, 0.0).catheter.any()


def test_simulated_frames(autocar, tmp_path):
    result = autocar(
        "evaluate", "segmentation", "--cases", 2, "--jobs", 1, "--methods", "vesselness", "--out", tmp_path
    )
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "metrics.json").read_text())
    scores = found["methods"]["vesselness"]
    assert scores["dice"]["n"] == 2
    assert scores["dice"]["mean"] > 0.7
    assert scores["recall_from_3_mm"]["mean"] > 0.9
    assert found["seed"] == 5000
    assert len(found["cases"]["vesselness"]) == 2
    assert {"scores.png", "widths.png", "sheet_vesselness.png"} <= {p.name for p in tmp_path.iterdir()}
    assert "cl_dice" in result.stdout
    assert "seed" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_robustness(autocar, tmp_path, monkeypatch):
    for name, factor in FACTORS.items():
        monkeypatch.setitem(FACTORS, name, factor._replace(levels=factor.levels[:: len(factor.levels) - 1]))
    options = ("--cases", 1, "--jobs", 1, "--methods", "vesselness", "--robustness", "--out", tmp_path)
    result = autocar("evaluate", "segmentation", *options)
    assert result.exit_code == 0, result.output
    curves = json.loads((tmp_path / "metrics.json").read_text())["robustness"]
    assert set(curves) == set(FACTORS)
    dose = [score["dice"]["mean"] for score in curves["noise"]["methods"]["vesselness"]]
    assert dose[-1] > dose[0]
    assert (tmp_path / "robustness.png").exists()


def test_own_pictures(autocar, tmp_path):
    frame = expose(segmentation_shot(5000))
    for folder, picture in (("images", frame.image), ("masks", frame.vessel)):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "one.png"), picture)
    folders = ("--images", tmp_path / "images", "--masks", tmp_path / "masks")
    options = (*folders, "--methods", "vesselness", "--out", tmp_path / "out")
    result = autocar("evaluate", "segmentation", *options)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["methods"]["vesselness"]["dice"]["mean"] > 0.8
    assert found["protocol"]["pictures"] == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--methods", "magic"), "no segmentation magic"),
        (("--images", "."), "both --images and --masks"),
        (("--images", ".", "--masks", ".", "--robustness"), "leave out --images"),
        (("--kind", "varied", "--robustness"), "leave out --images and --kind"),
    ],
)
def test_what_cannot_be_done(autocar, tmp_path, options, reason):
    result = autocar("evaluate", "segmentation", *options, "--out", tmp_path)
    assert result.exit_code == 1
    assert reason in result.stderr


@pytest.mark.slow
def test_phantom(autocar, data_dir, tmp_path):
    options = ("--phantom", data_dir / "phantom", "--cases", 1, "--jobs", 1, "--methods", "vesselness")
    result = autocar("evaluate", "segmentation", *options, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "metrics.json").read_text())["phantom"]["vesselness"]
    assert set(found) == {"all", "IM3", "IM4", "IM7", "IM8"}
    assert found["all"]["recall_3mm"]["mean"] > 0.7
    assert found["all"]["precision_3mm"]["mean"] > 0.8
