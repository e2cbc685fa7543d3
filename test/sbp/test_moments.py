"""Clouds of several moments made one."""

from dataclasses import replace

import numpy as np
from sbp.tubes import c_arm, fork_pair
from scipy.spatial import KDTree

from autocar_ros.config import ReconstructionConfig
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.sbp.moments import CONFIRMED, CONFIRMING, FEWEST, LEAST, confirmed, other_looks
from autocar_ros.sbp.observation import observe
from autocar_ros.sbp.prediction import pair_cloud
from autocar_ros.vessels.graph import Cloud

CONFIG = ReconstructionConfig()
CAMERAS = camera_from_pose(c_arm(0, 0)), camera_from_pose(c_arm(90, 0))  # along y and along x


def cloud(points, sure=1.0):
    points = np.array(points, float)
    n = len(points)
    return Cloud(points, np.full(n, 1.5), np.full(n, sure), np.full(n, 0.5))


def line(start, count=20):
    return np.array(start, float) + np.arange(count)[:, None] * np.array([1.0, 0.0, 0.0])


def test_too_few_moments_leave_the_first():
    first = cloud(line((0, 0, 0)))
    assert confirmed([first], CAMERAS) is first
    assert confirmed([first, *[cloud(line((0, 30, 0)))] * (FEWEST - 2)], CAMERAS) is first


def test_what_few_moments_show_is_left_out_and_what_the_first_lacks_is_added():
    vessel, branch, ghost = line((0.5, 0.5, 0.5)), line((0.5, 20.5, 0.5)), line((0.5, -40.5, 0.5))
    clouds = [cloud(np.vstack([vessel, ghost]))] + [cloud(np.vstack([vessel, branch]))] * 4
    found = confirmed(clouds, CAMERAS)
    rows = {tuple(np.round(p, 6)) for p in found.points}
    assert rows == {tuple(p) for p in np.vstack([vessel, branch])}
    on_branch = found.points[:, 1] > 10
    np.testing.assert_allclose(found.confidence[~on_branch], 1.0)
    np.testing.assert_allclose(found.confidence[on_branch], 0.8)  # one of five lacks it
    assert 4 / 5 >= CONFIRMING > 1 / 5
    np.testing.assert_allclose(found.radius, 1.5)


def test_what_few_clouds_show_stays_unless_both_views_have_better():
    """Two vessels along the body; the views look along y and x. What is where their rays cross is a ghost of them."""

    def upright(x, y):
        return line((0.5, x, y))[:, [1, 2, 0]]

    vessels = np.vstack([upright(0.5, 0.5), upright(12.5, 12.5)])

    def kept(rare, few=4):
        clouds = [*[cloud(np.vstack([vessels, rare]))] * few, *[cloud(vessels)] * (20 - few)]
        assert few / len(clouds) < CONFIRMING
        found = confirmed(clouds, CAMERAS).points
        assert KDTree(found).query(vessels)[0].max() < 0.1
        return np.mean(KDTree(found).query(rare)[0] < 0.1)

    assert kept(upright(30.5, 30.5)) == 1  # beside the vessels in both views
    assert kept(upright(0.5, 30.5)) == 1  # in one
    assert kept(upright(12.5, 0.5)) == 0  # in none
    assert kept(upright(30.5, 30.5), few=2) == 0  # fewer than `LEAST`


def test_one_moment_of_few_is_chance():
    vessel, other = line((0.5, 0.5, 0.5)), line((0.5, 20.5, 20.5))
    clouds = [*[cloud(np.vstack([vessel, other]))] * 2, *[cloud(vessel)] * 6]  # one moment from both sides, and three
    assert 2 / len(clouds) > LEAST
    assert confirmed(clouds, CAMERAS).points[:, 1].max() < 1


def test_noise_is_averaged(rng):
    true = line((0.5, 0.5, 0.5), 40)
    clouds = [cloud(true + rng.normal(0, 0.3, true.shape)) for _ in range(10)]
    found = confirmed(clouds, CAMERAS)
    across, usual = (np.abs(points[:, 1:] - 0.5).mean() for points in (found.points, clouds[0].points))
    assert across < 0.5 * usual


def test_looks_from_both_sides():
    pair = fork_pair()
    blind = replace(pair, mask_a=np.zeros_like(pair.mask_a))
    found = list(other_looks(pair, [pair, blind], CONFIG, None))
    assert len(found) == 3  # the first from its other side, the second from both; the blind one from none
    first = pair_cloud(observe(pair, CONFIG), CONFIG, None)[0]
    np.testing.assert_array_equal(found[1].points, first.points)
    for cloud in found:  # all say the same of a clear case
        assert np.quantile(KDTree(first.points).query(cloud.points)[0], 0.95) < CONFIRMED
