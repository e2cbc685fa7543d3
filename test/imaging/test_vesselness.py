"""Vessel masks: course and width of known tubes, nothing where there is nothing, the phantom."""

import csv
import json
from math import radians

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from imaging.tubes import line, tube_frame
from scipy.ndimage import distance_transform_edt
from skimage.morphology import skeletonize

from autocar_ros.config import SegmentationConfig, SimulationConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.imaging.dicom import read_run
from autocar_ros.imaging.lumen import lumen
from autocar_ros.imaging.vesselness import filter_vessels, vesselness
from autocar_ros.synthetic.scene import Scene
from autocar_ros.types import CArmPose


def dice(a, b):
    return 2 * (a & b).sum() / max(a.sum() + b.sum(), 1)


@pytest.mark.parametrize("radius", [2, 3, 4, 5, 6, 8, 10])
@pytest.mark.parametrize("angle", [0.0, 0.5, 2.0])
def test_width_of_a_tube(radius, angle):
    """Area over length gives the radius to less than half a pixel."""
    frame = tube_frame([(line(angle), radius)])
    mask = filter_vessels(frame.image) >= 128
    inner = np.s_[40:-40, 40:-40]
    length = 176 / max(abs(np.cos(angle)), abs(np.sin(angle)))
    assert mask[inner].sum() / length / 2 == pytest.approx(radius, abs=0.5)
    assert dice(mask, frame.lumen) > 0.8


def test_a_branching_tree():
    t = np.linspace(0, 1, 40)[:, None]
    trunk = np.hstack([30 + 200 * t, 60 + 120 * t**2])
    branch = np.hstack([100 + 20 * t + 60 * t**2, 75 + 150 * t])
    thin = np.hstack([150 + 80 * t, 105 - 70 * t])
    frame = tube_frame([(trunk, 5.0), (branch, 3.0), (thin, 2.0)])
    mask = filter_vessels(frame.image) >= 128
    skeleton = skeletonize(mask)
    assert (frame.axis_distance[skeleton] < 3).mean() > 0.95
    assert (distance_transform_edt(~skeleton)[frame.axis_distance < 0.5] < 3).mean() > 0.9
    assert dice(mask, frame.lumen) > 0.85


def test_probability_falls_from_axis_to_wall():
    frame = tube_frame([(line(0.7), 8.0)], photons=4000)
    probability = filter_vessels(frame.image)
    means = [probability[(frame.axis_distance >= d) & (frame.axis_distance < d + 1)].mean() for d in range(10)]
    assert (np.diff(means) < 1).all()
    assert means[0] > 240
    assert probability[frame.axis_distance > 14].max() == 0


@pytest.mark.parametrize("gain", [1, 3, 257])
def test_depth_and_gain_do_not_matter(gain):
    image = tube_frame([(line(1.2), 4.0)]).image
    mask = filter_vessels(image.astype(np.uint16) * gain)
    assert mask.dtype == np.uint8
    assert dice(mask >= 128, filter_vessels(image) >= 128) > 0.99


def test_few_used_bits():
    """A frame of 16-bit samples that uses 6 of them."""
    frame = tube_frame([(line(1.2), 5.0)])
    mask = filter_vessels((frame.image // 4).astype(np.uint16)) >= 128
    assert dice(mask, frame.lumen) > 0.9


@pytest.mark.parametrize("value", [0, 1, 128, 255])
def test_blank_image_gives_an_empty_mask(value):
    assert not filter_vessels(np.full((256, 256), value, np.uint8)).any()
    assert not filter_vessels(np.full((256, 256), 257 * value, np.uint16)).any()


def test_noise_and_edges_give_an_empty_mask(rng):
    noise = rng.normal(120, 10, (256, 256))
    assert not filter_vessels(noise.clip(0, 255).astype(np.uint8)).any()
    noise[:, 128:] -= 60
    assert not filter_vessels(noise.clip(0, 255).astype(np.uint8)).any()


def test_collimator_border_is_no_vessel(rng):
    frame = tube_frame([(line(0.8), 5.0)])
    image = frame.image.copy()
    image[:, :24] = 0
    image[-24:] = 0
    mask = filter_vessels(image) >= 128
    assert not mask[:, :24].any()
    assert not mask[-24:].any()
    assert not mask[frame.axis_distance > 9].any()


def test_short_things_are_left_out():
    short = np.array([[60.0, 200.0], [74.0, 200.0]])
    frame = tube_frame([(line(-0.7), 4.0), (short, 3.0)])
    assert filter_vessels(frame.image)[200, 67] == 0
    assert filter_vessels(frame.image, SegmentationConfig(min_length=5.0, min_share=0.0))[200, 67] >= 128


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (15, 15), (16, 17), (301, 203)])
def test_any_size(shape, rng):
    mask = filter_vessels(rng.integers(0, 255, shape).astype(np.uint8))
    assert mask.shape == shape
    assert mask.dtype == np.uint8


@settings(max_examples=40)
@given(arrays(np.uint8, st.tuples(st.integers(16, 60), st.integers(16, 60))))
def test_never_a_full_mask(image):
    assert (filter_vessels(image) >= 128).mean() < 0.9


@pytest.mark.parametrize("image", [np.zeros((64, 64)), np.zeros((64, 64, 3), np.uint8), np.zeros((0, 0), np.uint8)])
def test_what_is_no_frame_is_refused(image):
    with pytest.raises(InvalidInputError):
        filter_vessels(image)


def test_vesselness_answers_to_ridges_not_to_blobs_or_edges():
    column, row = np.meshgrid(np.arange(128.0), np.arange(128.0))
    ridge = np.exp(-0.5 * ((column - 64) / 4) ** 2).astype(np.float32)
    blob = np.exp(-0.5 * (((column - 64) / 4) ** 2 + ((row - 64) / 4) ** 2)).astype(np.float32)
    scales = (4.0,)
    strength = vesselness(ridge, scales)[32, 32]
    assert strength == pytest.approx(0.5**1.5, rel=0.15)  # s^2 times the curvature of a Gaussian of variance 2 s^2
    assert vesselness(blob, scales)[31:33, 31:33].max() < 0.1 * strength
    assert vesselness(-ridge, scales)[32, 32] == 0


def test_lumen_never_loses_the_skeleton(rng):
    core = np.zeros((32, 32), bool)
    core[16, 4:28] = True
    mask = lumen(rng.normal(0, 0.1, (64, 63)).astype(np.float32), core, 40)
    assert mask.shape == (64, 63)
    assert (mask[32:34, 10:50] >= 128).all()


class TestPhantom:
    """Mask centreline against the projected registered centreline, within 3 px."""

    @pytest.mark.parametrize(("name", "recall", "precision"), [("IM3", 0.7, 0.7), ("IM4", 0.65, 0.75)])
    def test_centreline(self, data_dir, name, recall, precision):
        run = read_run(data_dir / "phantom" / f"{name}.dcm", pixel_spacing=0.390625)
        skeleton = skeletonize(filter_vessels(run.images[len(run) // 2]) >= 128)
        truth = self.truth(data_dir, name)
        assert (distance_transform_edt(~skeleton)[truth] <= 3).mean() > recall
        assert (distance_transform_edt(~truth)[skeleton] <= 3).mean() > precision

    @staticmethod
    def truth(data_dir, name):
        views = json.loads((data_dir / "phantom" / "registered_cameras.json").read_text())["views"]
        v = next(v for v in views if v["file"] == name)
        pose = CArmPose(
            radians(v["primary_deg"]), radians(v["secondary_deg"]), v["sid_mm"], v["sod_mm"],
            (v["pixel_spacing_mm"],) * 2, 512, 512, (256 + v["shift_col_px"], 256 + v["shift_row_px"]),
        )  # fmt: skip
        with (data_dir / "phantom" / "centreline_lps_mm.csv").open() as file:
            rows = np.array([[float(x) for x in row] for row in list(csv.reader(file))[1:]])
        drawn = np.zeros((512, 512), bool)
        for branch in np.unique(rows[:, 0]):
            pixels, _ = camera_from_pose(pose).project(rows[rows[:, 0] == branch, 1:4])
            steps = np.linspace(0, len(pixels) - 1, 20 * len(pixels))
            fine = [np.interp(steps, np.arange(len(pixels)), pixels[:, k]) for k in (0, 1)]
            column, row = np.rint(fine).astype(int)
            inside = (column >= 0) & (column < 512) & (row >= 0) & (row < 512)
            drawn[row[inside], column[inside]] = True
        return drawn


@pytest.mark.parametrize("plane", ["a", "b"])
def test_simulated_angiogram(plane):
    """Against the true lumen; the catheter, seen as a vessel, is a part of what is too much."""
    scene = Scene(SimulationConfig(contrast="full"))
    mask = filter_vessels(scene.image(plane, 1.3)) >= 128
    assert dice(mask, scene.mask(plane, 1.3) >= 128) > 0.75


@pytest.mark.parametrize("width", [3, 5, 9])
def test_a_picture_without_noise(width):
    """Drawn test pictures have no noise to measure ridges against."""
    image = np.full((256, 256), 200, np.uint8)
    cv2.line(image, (40, 60), (210, 190), 80, width)
    mask = filter_vessels(image) >= 128
    truth = image < 140
    assert dice(mask, truth) > 0.8
