"""Cases: exact without disturbances, and disturbed by as much as asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autocar_ros.config import CaseConfig
from autocar_ros.errors import ConfigError
from autocar_ros.geometry.carm import camera_from_pose, mm_per_pixel
from autocar_ros.synthetic.anatomy import draw_anatomy
from autocar_ros.synthetic.cases import SPLITS, Case, bend, case_rng, draw_case, misplaced
from autocar_ros.synthetic.heart import draw_heart
from autocar_ros.synthetic.motion import draw_motion
from autocar_ros.types import SeenBy
from autocar_ros.vessels.export import save_graph

SMALL = 256
POINTS = np.random.default_rng(0).uniform(-40, 40, (300, 3))


def draw(k: int = 0, split: str = "train", **changes: object) -> Case:
    return draw_case(case_rng(split, 5, k), CaseConfig(image_size=SMALL, **changes))


def same_masks(first: Case, second: Case) -> bool:
    a, b = first.pair, second.pair
    return np.array_equal(a.mask_a, b.mask_a) and np.array_equal(a.mask_b, b.mask_b)


def shares_of_truth(case: Case) -> list[float]:
    """Share of the truth's nodes at least as thick as a pixel that project into the mask of each plane."""
    found = []
    for mask, pose in ((case.pair.mask_a, case.pair.pose_a), (case.pair.mask_b, case.pair.pose_b)):
        thick = 2 * case.truth.radius > mm_per_pixel(pose)  # a narrower stenosis may fall between pixels
        column, row = np.rint(camera_from_pose(pose).project(case.truth.position[thick])[0]).astype(int).T
        near = [mask[np.clip(row + i, 0, SMALL - 1), np.clip(column + j, 0, SMALL - 1)]
                for i in (-1, 0, 1) for j in (-1, 0, 1)]  # fmt: skip
        found.append(float(np.mean(np.max(near, axis=0) > 0)))
    return found


@pytest.mark.parametrize("k", range(6))
def test_an_undisturbed_case_is_exact(k):
    case = draw(k)
    assert min(shares_of_truth(case)) == 1.0
    assert set(np.unique(case.pair.mask_a)) <= {0, 255}
    assert case.pair.key_frame
    assert (case.truth.seen_by == SeenBy.BOTH).all()
    assert len(case.truth.edges) > 50


def test_a_case_is_its_numbers():
    assert same_masks(draw(3, damage=0.5), draw(3, damage=0.5))
    assert not same_masks(draw(3), draw(4))


def test_splits_share_nothing():
    first = {case_rng(split, seed, k).bytes(16) for split in SPLITS for seed in range(4) for k in range(4)}
    assert len(first) == len(SPLITS) * 16
    with pytest.raises(ConfigError, match="split"):
        case_rng("training", 0, 0)


def test_one_stream_gives_case_after_case():
    rng = case_rng("train", 0, 0)
    config = CaseConfig(image_size=64)
    assert not same_masks(draw_case(rng, config), draw_case(rng, config))


def test_disturbances_leave_patient_and_views_as_they_are():
    plain, damaged, moved = draw(), draw(damage=1.0, elastic=2.0), draw(misalignment=3.0)
    np.testing.assert_array_equal(plain.truth.position, damaged.truth.position)
    assert plain.pair.pose_a == damaged.pair.pose_a == moved.pair.pose_a
    assert not same_masks(plain, damaged)
    assert not same_masks(plain, moved)


@pytest.mark.parametrize("disturbance", [{"misalignment": 4.0}, {"elastic": 4.0}])
def test_disturbances_move_the_masks_off_the_truth(disturbance):
    exact, off = ([np.mean(shares_of_truth(draw(k, **d))) for k in range(5)] for d in ({}, disturbance))
    assert np.mean(off) < np.mean(exact) - 0.1


def test_pose_noise_changes_what_is_believed_alone():
    plain, noisy = draw(), draw(pose_angle=1.0, pose_shift=2.0)
    assert same_masks(plain, noisy)
    assert plain.pair.pose_a != noisy.pair.pose_a
    assert plain.pair.pose_a.source_to_detector == noisy.pair.pose_a.source_to_detector


def test_tree_is_chosen():
    left, right = ({name for k in range(3) for name in draw(k, tree=t).truth.branch_label} for t in ("left", "right"))
    assert "LAD" in left
    assert "RCA" in right
    assert not left & {"RCA"}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), misalignment=st.floats(0.1, 8.0))
def test_misalignment_is_as_asked(seed, misalignment):
    rng = np.random.default_rng(seed)
    motion = draw_motion(rng, draw_heart(rng), 70.0, 0.03, 4.9)
    a, b = misplaced(rng, motion, POINTS, misalignment)
    assert np.sqrt(np.mean(np.sum((a - b) ** 2, axis=1))) == pytest.approx(misalignment)
    # Neighbours are displaced alike: nothing tears.
    near = np.argsort(np.linalg.norm(POINTS - POINTS[0], axis=1))[1]
    step = np.linalg.norm((a - b)[near] - (a - b)[0])
    assert step < misalignment * (0.1 + 0.2 * np.linalg.norm(POINTS[near] - POINTS[0]))


def test_half_of_the_misalignment_falls_on_each_view():
    def drawn(misalignment: float) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(1)
        motion = draw_motion(rng, draw_heart(rng), 70.0, 0.03, 4.9)
        return misplaced(rng, motion, POINTS, misalignment)

    still, (a, b) = drawn(0.0), drawn(3.0)
    np.testing.assert_array_equal(*still)
    np.testing.assert_allclose((a + b) / 2, still[0], atol=1e-9)


@pytest.mark.parametrize("amount", [0.5, 2.0])
def test_bending_moves_a_mask_by_as_much_as_asked(amount):
    size, pixel = 256, 0.5
    dots = np.arange(36, size - 30, 24)
    mask = np.zeros((size, size), np.uint8)
    square = np.add.outer(dots, np.arange(-1, 2)).ravel()
    mask[np.ix_(square, square)] = 255
    moved = []
    for seed in range(6):
        bent = bend(np.random.default_rng(seed), mask, pixel, amount)
        for row in dots:
            for column in dots:
                found = np.argwhere(bent[row - 11 : row + 12, column - 11 : column + 12] > 0) - 11
                if len(found):
                    moved.append(np.linalg.norm(found.mean(axis=0)) * pixel)
    assert np.sqrt(np.mean(np.square(moved))) == pytest.approx(amount, rel=0.2)


@settings(max_examples=10, deadline=None)
@given(
    k=st.integers(0, 1000),
    misalignment=st.floats(0, 5),
    elastic=st.floats(0, 3),
    damage=st.floats(0, 1),
    angle=st.floats(0, 3),
    tree=st.sampled_from(["left", "right", "both"]),
)
def test_every_case_is_a_valid_pair(k, misalignment, elastic, damage, angle, tree):
    case = draw(k, misalignment=misalignment, elastic=elastic, damage=damage, pose_angle=angle, tree=tree)
    for mask in (case.pair.mask_a, case.pair.mask_b):
        assert mask.shape == (SMALL, SMALL)
        assert set(np.unique(mask)) <= {0, 255}
    assert np.isfinite(case.truth.position).all()
    assert case.truth.radius.min() > 0


def test_trees_of_the_user_are_drawn(tmp_path):
    graph = draw_anatomy(np.random.default_rng(700009), "left").graph
    save_graph(graph.with_(position=graph.position + 100.0), tmp_path / "mine.json")
    case = draw_case(case_rng("train", 700009, 0), CaseConfig(trees=str(tmp_path)))
    # the same vessels, brought to the isocentre
    assert np.isin(np.round(case.truth.radius, 6), np.round(graph.radius, 6)).all()
    assert np.abs(case.truth.position).max() < 100
    with pytest.raises(ConfigError, match="autocar prepare"):
        draw_case(case_rng("train", 700009, 0), CaseConfig(trees=str(tmp_path / "none")))
