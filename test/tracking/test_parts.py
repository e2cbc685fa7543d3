"""Pieces of the tracker: centreline views and what matches them, carrying a graph."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tracking.scenes import CAMERAS, EMPTY, FULL, TREE, mask, truth

from autocar_ros.tracking.cells import near_edges, nearest_line, sort_into_cells
from autocar_ros.tracking.observation import SLANT, View, observe
from autocar_ros.tracking.thinning import thin
from autocar_ros.tracking.warp import carry
from autocar_ros.vessels.tree import chain_tangents

numbers = st.floats(-10, 10, allow_nan=False)


@pytest.mark.parametrize("plane", [0, 1])
def test_view_lies_on_the_projected_tree(plane):
    view = observe(mask(plane, truth(0.0)), CAMERAS[plane])
    assert isinstance(view, View)
    position = truth(0.0).position
    match = view.match(position, chain_tangents(position, TREE.edges))
    assert match.inside.all()
    assert np.median(match.distance / match.size) < 0.5
    assert np.median(match.alignment) > 0.99
    np.testing.assert_allclose(np.linalg.norm(view.direction, axis=1), 1)


def on_plane(pixels, ahead=(1.0, 0.0)):
    """Points at the isocentre behind pixels of plane A, tangents there along (column, row), and mm of a pixel."""
    camera = CAMERAS[0]
    depth = np.full(len(pixels), 760.0)
    points, there = (camera.back_project(np.asarray(at, float), depth) for at in (pixels, np.add(pixels, ahead)))
    size = float(camera.mm_per_pixel(760.0))
    return points, (there - points) / np.linalg.norm(there - points, axis=1, keepdims=True), size


def bar():
    picture = EMPTY.copy()
    picture[100:107, 20:200] = 255
    return observe(picture, CAMERAS[0])


def test_offset_is_signed_along_the_normal():
    view = bar()
    points, tangent, size = on_plane([[100.0, 108.0], [100.0, 98.0]])
    match = view.match(points, tangent)
    normal_down = view.direction[match.point][:, 0]
    np.testing.assert_allclose(match.offset * normal_down / size, [5.0, -5.0], atol=0.1)
    np.testing.assert_allclose(view.radius[match.point], 3.5, atol=0.6)


def test_gradient_is_that_of_the_offset():
    view = bar()
    points, tangent, _ = on_plane([[100.0, 108.0]])
    match = view.match(points, tangent)
    for axis in range(3):
        step = np.eye(3)[axis] * 1e-4
        change = view.match(points + step, tangent).offset - view.match(points - step, tangent).offset
        assert change[0] / 2e-4 == pytest.approx(match.gradient[0, axis], abs=1e-2)


def test_beyond_the_end_the_distance_is_to_the_end():
    points, tangent, size = on_plane([[230.0, 103.0]])
    assert bar().match(points, tangent).distance[0] / size == pytest.approx(30.0, abs=7.0)


def test_a_point_behind_the_source_is_not_in_the_image():
    points, tangent, _ = on_plane([[100.0, 108.0]])
    behind = 2 * CAMERAS[0].source - points
    assert not bar().match(behind, tangent).inside.any()


@given(st.integers(0, 10**6), st.integers(1, 60))
def test_match_is_the_best_of_all_lines(seed, count):
    rng = np.random.default_rng(seed)
    cells, order = sort_into_cells(rng.uniform(0, 90, (count, 2)))
    angle = rng.uniform(0, np.pi, count)
    direction = np.stack([np.cos(angle), np.sin(angle)], 1)[order]
    for x, y, turn in rng.uniform([-60, -60, 0], [150, 150, 3], (20, 3)):
        cosine = np.abs(direction @ [np.cos(turn), np.sin(turn)])
        cost = np.hypot(*(cells.points - [x, y]).T) + SLANT * (1 - cosine)
        found = nearest_line(x, y, np.cos(turn), np.sin(turn), cells, direction, SLANT, rng.integers(count))
        assert cost[found] == pytest.approx(cost.min())


@given(st.integers(0, 10**6), st.integers(0, 12), st.floats(0.5, 30))
def test_near_edges_is_that_of_all_pairs(seed, count, reach):
    rng = np.random.default_rng(seed)
    cells, _ = sort_into_cells(rng.uniform(-50, 50, (40, 2)))
    pixels, edges = rng.uniform(-70, 70, (8, 2)), rng.integers(0, 8, (count, 2))
    way = np.linspace(0, 1, 2001)[:, None]
    lines = np.concatenate([np.zeros((0, 2)), *(pixels[i] + way * (pixels[j] - pixels[i]) for i, j in edges)])
    distance = np.linalg.norm(cells.points[:, None] - lines, axis=2).min(1, initial=np.inf)
    clear = np.abs(distance - reach) > 0.01
    np.testing.assert_array_equal(near_edges(cells, pixels, edges, reach)[clear], (distance <= reach)[clear])


@pytest.mark.parametrize("shape", [(60, 80), (3, 3), (200, 5)])
def test_thinning_keeps_parts_and_leaves_lines(rng, shape):
    noise = cv2.GaussianBlur(rng.random(shape), (0, 0), 2)
    vessel = np.pad((noise > np.median(noise)).astype(np.uint8), 1)
    left = np.zeros_like(vessel)
    left[tuple(thin(vessel).T)] = 1
    assert (left <= vessel).all()
    assert cv2.connectedComponents(left, connectivity=8)[0] == cv2.connectedComponents(vessel, connectivity=8)[0]
    assert not (left[:-1, :-1] & left[1:, :-1] & left[:-1, 1:] & left[1:, 1:]).any()


def test_thinning_finds_the_middle_of_a_bar():
    row, column = thin(np.pad(np.ones((7, 100), np.uint8), 1)).T
    assert set(row[(column > 10) & (column < 90)]) == {4}


@pytest.mark.parametrize(("picture", "words"), [(EMPTY, "no vessels"), (FULL, "segmentation failed")])
def test_a_useless_mask_says_why(picture, words):
    assert words in observe(picture, CAMERAS[0])


@given(arrays(float, 3, elements=numbers), arrays(float, (5, 3), elements=numbers))
def test_carry_moves_points_with_their_surroundings(shift, points):
    np.testing.assert_allclose(carry(points, TREE.position, TREE.position + shift), points + shift, atol=1e-9)


def test_carry_leaves_a_node_on_its_node():
    now = truth(0.3).position
    np.testing.assert_allclose(carry(TREE.position, TREE.position, now), now, atol=0.1)
