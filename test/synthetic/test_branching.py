"""Calibres: r^k is conserved wherever a vessel divides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autocar_ros.synthetic.branching import MIN_RADIUS, STEP, UNSEEN, Grower, divided
from autocar_ros.synthetic.coronaries import grow_left, grow_right, grow_twigs
from autocar_ros.synthetic.courses import SPACING
from autocar_ros.synthetic.heart import draw_heart

exponents = st.floats(7 / 3, 3)
shares = st.lists(st.floats(0.05, 1), min_size=1, max_size=6)


def grown(seed: int, grow=grow_left) -> Grower:
    rng = np.random.default_rng(seed)
    grower = Grower(rng, draw_heart(rng))
    ostium = grow(grower, "right")
    grow_twigs(grower)
    grower.calibrate(ostium)
    return grower


@given(st.floats(1, 3), st.floats(0.3, 0.95), shares, exponents)
def test_side_branches_take_what_their_parent_loses(first, ratio, shares, k):
    starts = 10 * np.arange(1, len(shares) + 1)
    radius, branches = divided(first, first * ratio, 100, starts, np.array(shares), k)
    assert radius[0] == pytest.approx(first)
    assert radius[-1] == pytest.approx(first * ratio)
    assert (np.diff(radius) <= 1e-12).all()
    lost = first**k * (1 - ratio**k)
    unseen = lost - np.sum(branches**k)
    assert unseen == pytest.approx(lost * UNSEEN / (sum(shares) + UNSEEN))
    width = int(STEP / SPACING)
    for start, branch in zip(starts, branches, strict=True):
        step = radius[start] ** k - radius[start + width] ** k
        assert step == pytest.approx(branch**k + unseen * width / 99)


@given(st.floats(1, 3), shares, exponents)
def test_the_last_branches_divide_what_is_left(first, shares, k):
    starts = np.full(len(shares), 49)
    radius, branches = divided(first, 0.8 * first, 50, starts, np.array(shares), k)
    assert np.sum(branches**k) == pytest.approx(radius[-1] ** k)
    assert branches**k / np.sum(branches**k) == pytest.approx(np.array(shares) / sum(shares))


def test_a_vessel_without_branches_tapers():
    radius, branches = divided(2.0, 1.0, 30, np.zeros(0, np.int64), np.zeros(0), 2.5)
    assert branches.size == 0
    assert (np.diff(radius) < 0).all()
    assert radius[[0, -1]] == pytest.approx([2.0, 1.0])


@pytest.mark.parametrize("grow", [grow_left, grow_right])
def test_branches_begin_on_their_parents_and_are_no_thicker(grow):
    for seed in range(5):
        grower = grown(seed, grow)
        assert grower.branches[0].parent == -1
        for b in grower.branches[1:]:
            parent = grower.branches[b.parent]
            np.testing.assert_allclose(b.points[0], parent.points[b.start], atol=1e-9)
            ripple = 1 + 4 * grower.irregularity
            assert b.radius[0] <= max(parent.radius[b.start] * ripple**2, grower.thinnest)
            assert b.radius.min() >= MIN_RADIUS


def test_places_on_the_heart_are_found_again():
    grower = grown(3)
    for branch, node in ((1, 30), (2, 20)):
        theta, phi, height = grower.place(branch, node)
        point = grower.heart.surface(np.radians(theta), np.radians(phi), height)
        np.testing.assert_allclose(point, grower.branches[branch].points[node], atol=0.3)
