"""Causes of errors, on a fork whose lost nodes and displaced nodes are known by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.evaluation.node_errors import Anatomy, pose_error, unseen_direction
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.types import CArmPose

FRONT, SIDE = (camera_from_pose(CArmPose(a, 0.0, 1100.0, 760.0, (0.4, 0.4), 400, 400)) for a in (0.0, np.pi / 2))


def test_lost_nodes_by_cause(line):
    anatomy = Anatomy()
    half = line.with_(edges=line.edges[:5])  # ends at x = 5, its last sample before: nodes up to 6 are within 2 mm
    anatomy.update(half, line)
    everything = np.ones(11, bool)
    assert anatomy.lost(half, line, everything).not_in_graph == pytest.approx(4 / 11)
    one_dark = everything.copy()
    one_dark[10] = False
    split = anatomy.lost(half, line, one_dark)
    assert (split.found, split.not_segmented, split.not_in_graph) == pytest.approx((7 / 11, 1 / 11, 3 / 11))
    away = half.with_(position=half.position + np.array([0, 5.0, 0]))
    anatomy.update(away, line)  # the same graph_id: it drifted
    assert anatomy.lost(away, line, everything).drifted == pytest.approx(7 / 11)


def test_a_new_graph_id_starts_anew(line):
    anatomy, away = Anatomy(), line.with_(position=line.position + np.array([0, 5.0, 0]), graph_id=1)
    anatomy.update(line, line)
    anatomy.update(away, line)
    assert anatomy.lost(away, line, np.ones(11, bool)).not_in_graph == 1.0


@pytest.mark.parametrize(
    ("offset", "part"),
    [((1.0, 0.0, 0.0), "along_mm"), ((0.0, 1.0, 0.0), "depth_mm"), ((0.0, 0.0, 1.0), "image_mm")],
)
def test_parts_of_an_error(line, offset, part):
    inner = line.with_(position=line.position - [5.0, 0, 0])  # about the isocentre, along x
    truth = inner
    anatomy = Anatomy()
    anatomy.update(inner, truth)
    moved = inner.with_(position=inner.position + np.array(offset))
    errors = anatomy.errors(moved, truth, (FRONT, FRONT))  # both look along y
    assert errors.node_error_mm == pytest.approx(1.0)
    assert getattr(errors, part) == pytest.approx(1.0, abs=0.01)
    assert errors.common_mm == pytest.approx(1.0)
    assert errors.along_mm + errors.depth_mm + errors.image_mm == pytest.approx(1.0, abs=0.05)


def test_nodes_that_grow_are_born_where_they_appear(build, line):
    anatomy = Anatomy()
    short = build(line.position[:6], line.edges[:5])
    anatomy.update(short, line)
    grown = line.with_(position=line.position + np.where(np.arange(11) < 6, 0.0, 1.0)[:, None] * [0, 1.0, 0])
    anatomy.update(grown, line)
    errors = anatomy.errors(grown, line, (FRONT, SIDE))
    assert errors.node_error_mm == errors.born_mm == pytest.approx(5 / 11)  # born 1 mm beside the vessel


def test_the_least_seen_direction_is_half_way_between_the_rays():
    direction = unseen_direction(np.zeros((1, 3)), (FRONT, SIDE))[0]
    assert np.abs(direction) == pytest.approx([0.5**0.5, 0.5**0.5, 0.0], abs=1e-6)


def test_error_of_the_poses():
    points = np.array([[0.0, 0.0, 0.0], [10.0, -5.0, 8.0]])
    assert pose_error(points, (FRONT, SIDE), (FRONT, SIDE)) == pytest.approx(0.0, abs=1e-9)
    way = np.array([1.0, 0.5, -2.0])
    moved = tuple(replace(camera, source=camera.source + way) for camera in (FRONT, SIDE))
    assert pose_error(points, moved, (FRONT, SIDE)) == pytest.approx(np.linalg.norm(way))


def test_what_cannot_be_split(line):
    with pytest.raises(InvalidInputError, match="not the one"):
        Anatomy().errors(line, line, (FRONT, SIDE))
    with pytest.raises(InvalidInputError, match="nothing to lose"):
        Anatomy().lost(line, line.with_(seen_by=np.zeros(11, np.uint8)), np.ones(11, bool))
