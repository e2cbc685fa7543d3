"""Pieces of the tracker: smooth displacement fields, centreline views, carrying a graph."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tracking.scenes import CAMERAS, EMPTY, FULL, TREE, mask, truth

from autocar_ros.tracking.observation import View, observe
from autocar_ros.tracking.smoothness import Smoothness
from autocar_ros.tracking.warp import carry

numbers = st.floats(-10, 10, allow_nan=False)


@pytest.mark.parametrize(("stretch", "bend"), [(4.0, 0.0), (0.0, 9.0), (16.0, 100.0)])
def test_banded_solution_is_the_dense_one(rng, stretch, bend):
    smoothness = Smoothness(TREE)
    n = len(TREE)
    root = rng.normal(size=(n, 3, 3))
    blocks = root @ root.transpose(0, 2, 1) + np.eye(3)
    right = rng.normal(size=(n, 3))
    matrix = np.kron((stretch * smoothness.stretch + bend * smoothness.bend).toarray(), np.eye(3))
    for i in range(n):
        matrix[3 * i : 3 * i + 3, 3 * i : 3 * i + 3] += blocks[i]
    expected = np.linalg.solve(matrix, right.ravel()).reshape(n, 3)
    found = smoothness.solve(smoothness.band(stretch, bend), blocks, right)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@given(arrays(float, 3, elements=numbers))
def test_a_translation_costs_nothing(shift):
    smoothness = Smoothness(TREE)
    field = np.tile(shift, (len(TREE), 1))
    np.testing.assert_allclose(smoothness.stretch @ field, 0, atol=1e-9)
    np.testing.assert_allclose(smoothness.bend @ field, 0, atol=1e-9)


def test_a_steady_stretch_along_a_branch_bends_nothing():
    smoothness = Smoothness(TREE)
    trunk = np.flatnonzero(TREE.branch == 0)
    field = np.zeros((len(TREE), 1))
    field[trunk, 0] = trunk * 0.1
    assert np.abs(smoothness.bend @ field)[trunk[2:-4]].max() < 1e-12
    assert float((field.T @ (smoothness.stretch @ field))[0, 0]) > 0


@pytest.mark.parametrize("plane", [0, 1])
def test_view_lies_on_the_projected_tree(plane):
    view = observe(mask(plane, truth(0.0)), CAMERAS[plane])
    assert isinstance(view, View)
    pixels, _ = CAMERAS[plane].project(truth(0.0).position)
    match = view.match(
        pixels, np.gradient(pixels, axis=0) / np.linalg.norm(np.gradient(pixels, axis=0), axis=1)[:, None]
    )
    assert np.median(match.distance) < 0.5
    assert np.median(match.alignment) > 0.99
    np.testing.assert_allclose(np.linalg.norm(view.direction, axis=1), 1)


def test_offset_is_signed_along_the_normal():
    picture = EMPTY.copy()
    picture[100:107, 20:200] = 255
    view = observe(picture, CAMERAS[0])
    match = view.match(np.array([[100.0, 108.0], [100.0, 98.0]]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    np.testing.assert_allclose(match.offset * match.normal[:, 1], [5.0, -5.0], atol=0.1)
    np.testing.assert_allclose(view.radius[match.index], 3.5, atol=0.6)


def test_beyond_the_end_the_distance_is_to_the_end():
    picture = EMPTY.copy()
    picture[100:107, 20:200] = 255
    view = observe(picture, CAMERAS[0])
    match = view.match(np.array([[230.0, 103.0]]), np.array([[1.0, 0.0]]))
    assert match.distance[0] == pytest.approx(30.0, abs=7.0)


@pytest.mark.parametrize(("picture", "words"), [(EMPTY, "no vessels"), (FULL, "segmentation failed")])
def test_a_useless_mask_says_why(picture, words):
    assert words in observe(picture, CAMERAS[0])


@given(arrays(float, 3, elements=numbers), arrays(float, (5, 3), elements=numbers))
def test_carry_moves_points_with_their_surroundings(shift, points):
    np.testing.assert_allclose(carry(points, TREE.position, TREE.position + shift), points + shift, atol=1e-9)


def test_carry_leaves_a_node_on_its_node():
    now = truth(0.3).position
    np.testing.assert_allclose(carry(TREE.position, TREE.position, now), now, atol=0.1)
