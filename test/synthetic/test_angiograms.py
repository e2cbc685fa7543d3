"""Angiograms with known truth."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autocar_ros.synthetic import bench_phantoms
from autocar_ros.synthetic.angiograms import DOUBTFUL, SURE, develop, draw_angiogram
from autocar_ros.synthetic.bench_phantoms import draw_phantom
from autocar_ros.synthetic.clutter import RealFrame, blades, clips, devices, drawn_background, real_background

SIZE = 128


def frame(trusted=False):
    """A frame with a mark of vessel in its upper left and of catheter in its lower right quarter."""
    image = np.full((SIZE, SIZE), 180, np.uint8)
    vessel, catheter = np.zeros((2, SIZE, SIZE), np.uint8)
    image[40:48, 20:60] = 60
    vessel[40:48, 20:60] = 255
    catheter[90:96, 70:110] = 255
    return RealFrame(image, vessel, catheter, trusted)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_truth_and_picture_belong_together(seed):
    drawn = draw_angiogram(np.random.default_rng(seed), SIZE)
    again = draw_angiogram(np.random.default_rng(seed), SIZE)
    for first, second in zip(drawn, again, strict=True):
        np.testing.assert_array_equal(first, second)
    assert drawn.image.shape == drawn.vessel.shape == drawn.catheter.shape == (SIZE, SIZE)
    assert drawn.image.dtype in (np.uint8, np.uint16)
    assert set(np.unique(drawn.vessel)) <= {0, 255}
    assert set(np.unique(drawn.catheter)) <= {0, 255}
    assert drawn.known.all()  # a drawn background holds nothing unknown


def test_vessels_are_darker_than_what_is_beside_them():
    darker = []
    for k in range(12):
        drawn = draw_angiogram(np.random.default_rng(k), SIZE)
        near = cv2.dilate(drawn.vessel, np.ones((9, 9))) > 0
        beside = near & (drawn.vessel == 0) & (drawn.catheter == 0)
        if drawn.vessel.any():
            darker.append(drawn.image[drawn.vessel > 0].mean() / drawn.image[beside].mean())
    assert np.median(darker) < 0.95


def test_what_a_real_background_may_show_is_not_known():
    drawn = [draw_angiogram(np.random.default_rng(k), SIZE, [frame()]) for k in range(12)]
    unknown = [d for d in drawn if not d.known.all()]
    assert 4 <= len(unknown) < 12  # the others have a drawn background
    assert all(np.count_nonzero(~d.known) < 0.5 * SIZE**2 for d in unknown)


def test_a_trusted_frame_is_learned_from_as_it_is(monkeypatch):
    monkeypatch.setattr("autocar_ros.synthetic.angiograms.ITSELF", 1.0)
    drawn = draw_angiogram(np.random.default_rng(0), SIZE, [frame(trusted=True)])
    assert drawn.vessel.any()
    assert drawn.image[drawn.vessel > 0].mean() < 0.8 * drawn.image[drawn.vessel == 0].mean()
    unsure = RealFrame(frame().image, *(np.full((SIZE, SIZE), (SURE + DOUBTFUL) // 2, np.uint8) for _ in "ab"), True)
    assert not draw_angiogram(np.random.default_rng(0), SIZE, [unsure]).known[SIZE // 2, SIZE // 2]


def test_marks_turn_with_their_frame():
    for k in range(5):
        behind = real_background(np.random.default_rng(k), frame(), SIZE)
        inside = cv2.erode((behind.vessel == 255).astype(np.uint8), np.ones((3, 3))) > 0
        assert inside.any()
        beside = (cv2.dilate(behind.vessel, np.ones((9, 9))) > 0) & (behind.vessel == 0)
        assert behind.light[inside].mean() < 0.7 * behind.light[beside].mean()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_parts_are_finite_and_of_their_size(seed):
    rng = np.random.default_rng(seed)
    dark = drawn_background(rng, SIZE)
    wires, covered = devices(rng, SIZE)
    opening = blades(rng, SIZE)
    for part in (dark, wires, clips(rng, SIZE), opening):
        assert part.shape == (SIZE, SIZE)
        assert np.isfinite(part).all()
    assert dark.min() == pytest.approx(0)
    assert (wires[covered] > 0).all()
    assert opening.min() >= -1e-6
    assert opening.max() <= 1 + 1e-6
    assert develop(rng, np.exp(-dark), opening).shape == (SIZE, SIZE)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_tubes_of_a_phantom_absorb_where_they_are_filled(seed):
    absorbed, filled = draw_phantom(np.random.default_rng(seed), SIZE)
    assert absorbed.shape == filled.shape == (SIZE, SIZE)
    assert (absorbed >= 0).all()
    inner = cv2.erode(filled.astype(np.uint8), np.ones((3, 3))) > 0
    assert (absorbed[inner] > 0).all()


def test_a_phantom_has_no_catheter(monkeypatch):
    monkeypatch.setattr("autocar_ros.synthetic.angiograms.PHANTOM", 1.0)
    drawn = [draw_angiogram(np.random.default_rng(k), SIZE) for k in range(4)]
    assert any(d.vessel.any() for d in drawn)
    assert not any(d.catheter.any() for d in drawn)
    assert all(d.known.all() for d in drawn)


def test_walls_and_residues_of_a_phantom_are_no_vessels(monkeypatch):
    def drawn(boxed, residue):
        monkeypatch.setattr(bench_phantoms, "BOXED", boxed)
        monkeypatch.setattr(bench_phantoms, "RESIDUE", residue)
        return draw_phantom(np.random.default_rng(3), 256)

    (bare, vessels), (boxed, same), (littered, still) = drawn(0.0, 0.0), drawn(1.0, 0.0), drawn(0.0, 20.0)
    np.testing.assert_array_equal(vessels, same)
    np.testing.assert_array_equal(vessels, still)
    for more in (boxed, littered):
        added = more - bare
        assert added.min() >= 0
        assert (added[~vessels] > 0).sum() > 50
