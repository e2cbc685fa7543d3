"""Data handed between stages: checks on construction and derived values."""

import numpy as np
import pytest
from geometry.cases import pose

from autocar_ros.errors import InvalidInputError, PoseError
from autocar_ros.types import Frame, FramePair, SparseVolume, VesselGraph


def graph(**changes) -> VesselGraph:
    values = {
        "position": np.arange(9.0).reshape(3, 3),
        "radius": np.ones(3),
        "edges": np.array([[0, 1], [1, 2]]),
        "branch": np.zeros(3, np.int64),
    }
    return VesselGraph(**{**values, **changes})


def test_graph_defaults_and_parents():
    g = graph()
    assert len(g) == 3
    np.testing.assert_array_equal(g.parent, [-1, 0, 1])
    np.testing.assert_array_equal(g.confidence, 1)
    assert np.isnan(g.sigma).all()
    assert graph(stamp_a_ns=5_000_000_000, stamp_b_ns=5_020_000_000).skew == pytest.approx(0.02)


def test_an_empty_graph_is_a_graph():
    empty = VesselGraph(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 2), int), np.zeros(0, int))
    assert len(empty) == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"radius": np.ones(2)}, "radius"),
        ({"position": np.ones((3, 2))}, "position"),
        ({"edges": np.array([[0, 3]])}, "edges name nodes"),
        ({"edges": np.zeros((2, 3), int)}, "edges must be"),
        ({"confidence": np.ones(4)}, "confidence"),
    ],
)
def test_inconsistent_graphs_are_refused(change, named):
    with pytest.raises(InvalidInputError, match=named):
        graph(**change)


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.uint8), np.zeros((4, 4))])
def test_wrong_images_are_refused(image):
    with pytest.raises(InvalidInputError):
        Frame(0, image)


def test_pairs_check_mask_against_pose():
    mask = np.zeros((512, 512), np.uint8)
    pair = FramePair(0, 10_000_000, mask, mask, pose(), pose(90))
    assert pair.skew == pytest.approx(0.01)
    with pytest.raises(InvalidInputError, match="plane B"):
        FramePair(0, 0, mask, mask[:-1], pose(), pose(90))
    with pytest.raises(PoseError, match="primary_angle"):
        FramePair(0, 0, mask, mask, pose(np.nan), pose(90))


def test_voxel_centres():
    volume = SparseVolume(np.array([[0, 1, 2]]), np.array([-10.0, 0.0, 10.0]), 0.5, np.ones(1), np.ones(1))
    np.testing.assert_allclose(volume.points, [[-9.75, 0.75, 11.25]])
