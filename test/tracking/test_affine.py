"""Affine motion of a tree, told across its vessels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracking.scenes import CAMERAS, TREE, mask

from autocar_ros.config import TrackingConfig
from autocar_ros.tracking.affine import affinely_moved
from autocar_ros.tracking.fitting import Refit
from autocar_ros.tracking.observation import observe
from autocar_ros.vessels.tree import chain_tangents

SHAPE = TREE.position
ALL = np.ones(len(SHAPE))


def stretched(seed, size):
    """The tree moved affinely."""
    rng = np.random.default_rng(seed)
    middle = SHAPE.mean(0)
    return (SHAPE - middle) @ (np.eye(3) + size * rng.normal(size=(3, 3))) + middle + rng.normal(size=3)


@given(st.integers(0, 10**6), st.floats(0, 5))
def test_motion_along_the_vessels_does_not_count_and_is_told_by_that_across_them(seed, slip):
    moved = stretched(seed, 0.03)
    tangent = chain_tangents(moved, TREE.edges)
    slid = moved + slip * np.random.default_rng(seed).uniform(-1, 1, (len(SHAPE), 1)) * tangent
    found = affinely_moved(SHAPE, slid, tangent, ALL)
    np.testing.assert_allclose(found, affinely_moved(SHAPE, moved, tangent, ALL), atol=1e-8)
    error, motion = (np.linalg.norm(p - moved, axis=1).mean() for p in (found, SHAPE))
    assert error < 0.3 * motion + 0.05


def test_what_no_vessel_shows_stays():
    line = np.zeros((20, 3))
    line[:, 2] = np.arange(20)
    found = affinely_moved(line, line * 1.3, np.tile([0.0, 0.0, 1.0], (20, 1)), np.ones(20))
    np.testing.assert_allclose(found, line, atol=1e-9)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_nodes_move_on(count):
    shift = np.array([1.0, 2.0, 3.0])
    tangent = chain_tangents(SHAPE, TREE.edges)[:count]
    found = affinely_moved(SHAPE[:count], SHAPE[:count] + shift, tangent, ALL[:count])
    across = (found - SHAPE[:count] - shift) - ((found - SHAPE[:count] - shift) * tangent).sum(1)[:, None] * tangent
    np.testing.assert_allclose(across, 0, atol=0.1)


def test_nodes_without_weight_are_carried_along():
    moved = stretched(3, 0.03)
    lost = TREE.branch == 0
    astray = moved + np.where(lost[:, None], 5.0, 0.0)
    tangent = chain_tangents(moved, TREE.edges)
    found = affinely_moved(SHAPE, astray, tangent, np.where(lost, 0.0, 1.0))
    assert np.linalg.norm(found - moved, axis=1)[lost].mean() < 2.0


def test_a_refit_follows_the_nodes_along_their_vessels():
    middle = SHAPE.mean(0)
    moved = TREE.with_(position=middle + (SHAPE - middle) * 0.9)
    views = [observe(mask(k, moved), CAMERAS[k]) for k in (0, 1)]
    refit, position = Refit(TREE, TrackingConfig()), SHAPE
    for _ in range(3):
        position = refit(position, views).position
    tangent = chain_tangents(moved.position, TREE.edges)
    before, after = (np.median(np.abs(((p - moved.position) * tangent).sum(1))) for p in (SHAPE, position))
    assert after < 0.6 * before
