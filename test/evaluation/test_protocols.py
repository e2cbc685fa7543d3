"""Scoring of a case: one vessel seen from two sides, and the phantom's reference."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from evaluation.bent_vessel import bent_vessel, masks_of
from scipy.spatial.transform import Rotation

from autocar_ros.errors import InvalidInputError, ReconstructionError
from autocar_ros.evaluation.methods import Prediction, load_method
from autocar_ros.evaluation.protocols import read_centreline, score_registered, score_static
from autocar_ros.evaluation.voxels import grid_around, lumen
from autocar_ros.types import SparseVolume


@pytest.fixture
def vessel():
    return bent_vessel()


@pytest.fixture
def pair(vessel):
    return masks_of(vessel)


@pytest.mark.parametrize("method", ["lifting", "visual_hull"])
def test_every_method_finds_a_single_vessel(pair, vessel, method):
    score = score_static(pair, vessel, load_method(method))
    assert score["recall_2mm"] > 0.9
    assert score["dice"] > 0.5
    assert score["coverage"] > 0.9
    assert score["failed"] == 0
    assert score["seconds"] > 0


def test_a_perfect_method(pair, vessel):
    grid = grid_around(vessel.position)
    voxels = np.argwhere(lumen(vessel, grid))
    ones = np.ones(len(voxels))
    volume = SparseVolume(voxels, grid.origin, grid.voxel_size, ones, ones)
    score = score_static(pair, vessel, lambda _: Prediction(volume, vessel))
    assert score["dice"] == score["cl_dice"] == score["recall_1mm"] == score["precision_1mm"] == 1.0
    assert score["chamfer_mm"] == score["hd95_mm"] == 0.0
    assert score["ostium_found"] == 1.0


def test_a_method_that_gives_up_scores_nothing(pair, vessel):
    def give_up(_):
        raise ReconstructionError("no vessel in common")

    score = score_static(pair, vessel, give_up)
    assert score["failed"] == 1
    assert score["dice"] == score["recall_2mm"] == score["accuracy"] == 0
    assert math.isnan(score["hd95_mm"])


def test_masks_without_a_common_voxel(pair):
    blank = np.zeros_like(pair.mask_a)
    with pytest.raises(ReconstructionError, match="no voxel"):
        load_method("visual_hull")(replace(pair, mask_b=blank))


def test_rigid_motion_does_not_matter_to_a_registered_score(vessel):
    turn = Rotation.from_euler("xyz", [5, -8, 3], degrees=True)
    away = vessel.with_(position=turn.apply(vessel.position) + np.array([30.0, -5, 8]))
    score, moved = score_registered(away, vessel)
    assert score.recall_1mm > 0.98
    assert np.linalg.norm(moved.position - vessel.position, axis=1).max() < 0.5


def test_reference_of_a_csv_joins_within_branches_only(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("branch,x_mm,y_mm,z_mm\nLAD,0,0,0\nLAD,1,0,0\nLCx,0,5,0\nLCx,0,6,0\nLCx,0,7,0\n")
    reference = read_centreline(path)
    assert reference.edges.tolist() == [[0, 1], [2, 3], [3, 4]]
    assert reference.branch_label == ("LAD", "LCx")


@pytest.mark.parametrize("text", ["branch,x_mm,y_mm\nLAD,0,0\n", "branch,x_mm,y_mm,z_mm\nLAD,0,zero,0\n"])
def test_reference_that_is_none(tmp_path, text):
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match="needs columns"):
        read_centreline(path)
