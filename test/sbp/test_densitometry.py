"""What vessels absorb: equal cuts in both views, whatever the exposure, and vessels told apart that look alike."""

from dataclasses import replace

import numpy as np
import pytest
from sbp.tubes import c_arm, curve
from scipy.spatial import KDTree

from autocar_ros.config import ReconstructionConfig
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.sbp.densitometry import SURE_SINE, compared_cuts
from autocar_ros.sbp.observation import centrelines, observe
from autocar_ros.synthetic.tubes import Tubes
from autocar_ros.types import ABSORPTION_STEP, FramePair

CONFIG = ReconstructionConfig()
POSES = c_arm(-30.0, 10.0), c_arm(35.0, -5.0)
IODINE = 0.1  # 1/mm


def seen(*vessels, exposures=(1.0, 1.0), poses=POSES):
    """Pair of views of vessels (points (N, 3) mm, radius mm, share of contrast agent); exposures scale what is seen."""
    position = np.concatenate([points for points, _, _ in vessels])
    radius = np.concatenate([np.full(len(points), r) for points, r, _ in vessels])
    amount = np.concatenate([np.full(len(points), IODINE * share) for points, _, share in vessels])
    label = np.concatenate([np.full(len(points), k) for k, (points, _, _) in enumerate(vessels)])
    follows = np.flatnonzero(label[1:] == label[:-1])
    tubes = Tubes(position, radius, np.stack([follows, follows + 1], 1), label)
    shown = [e * tubes.chords(camera_from_pose(p), position, amount) for e, p in zip(exposures, poses, strict=True)]
    masks = [np.where(s > 0, np.uint8(255), np.uint8(0)) for s in shown]
    told = [np.minimum(np.rint(s / ABSORPTION_STEP), 255).astype(np.uint8) for s in shown]
    return FramePair(0, 0, *masks, *poses, absorption_a=told[0], absorption_b=told[1])


def cuts(pair):
    a, b = (camera_from_pose(p) for p in (pair.pose_a, pair.pose_b))
    line_a, line_b = centrelines(pair)
    return (line_a, line_b), compared_cuts(line_a, a, line_b, b)


@pytest.mark.parametrize("exposures", [(1.0, 1.0), (0.7, 1.4)])
def test_both_views_cut_the_same_out_of_a_vessel(exposures):
    """A bent tube that tapers not: what a plane cuts out of it changes with its direction, in both views alike."""
    points = curve((-30, -20, 45), (-10, 10, 20), (10, 5, -10), (35, 25, -40))
    pair = seen((points, 1.5, 1.0), exposures=exposures)
    lines, found = cuts(pair)
    amount, sure = [], []
    for line, cut, pose in zip(lines, found, POSES, strict=True):
        near = KDTree(line.points).query(camera_from_pose(pose).project(points[20:-20])[0])[1]
        amount.append(cut.amount[near])
        sure.append(cut.sure[near])
    well = np.minimum(*sure) > 0.99
    assert well.mean() > 0.5
    difference = (amount[1] - amount[0])[well]
    assert np.quantile(np.abs(difference), 0.9) < 0.15
    assert amount[0].max() - amount[0].min() > 0.3


def test_a_vessel_along_the_epipolar_lines_tells_nothing():
    a, b = (camera_from_pose(p) for p in POSES)
    way = (b.source - a.source) / np.linalg.norm(b.source - a.source)
    across = np.cross(way, a.source) / np.linalg.norm(np.cross(way, a.source))
    _, (along_a, along_b) = cuts(seen((curve(-30 * way, 30 * way), 1.5, 1.0)))
    _, (across_a, across_b) = cuts(seen((curve(-30 * across, 30 * across), 1.5, 1.0)))
    for along, straight in ((along_a, across_a), (along_b, across_b)):
        assert np.median(along.sure) < 0.1 < SURE_SINE
        assert np.median(straight.sure) == 1.0


def test_without_absorption_nothing_is_sure():
    pair = seen((curve((-30, -20, 45), (35, 25, -40)), 1.5, 1.0))
    for known in ({"absorption_a": None}, {"absorption_b": None}):
        _, found = cuts(replace(pair, **known))
        assert not any(cut.sure.any() for cut in found)
        alone = observe(replace(pair, absorption_a=None, absorption_b=None), CONFIG)
        for one, other in zip(observe(replace(pair, **known), CONFIG).lifted, alone.lifted, strict=True):
            np.testing.assert_array_equal(one.points, other.points)


def test_two_views_from_one_source_tell_nothing():
    """Of three runs the first two may be from one angle."""
    pair = seen((curve((-30, -20, 45), (35, 25, -40)), 1.5, 1.0), poses=POSES[:1] * 2)
    _, found = cuts(pair)
    assert not any(cut.sure.any() for cut in found)
    assert all(np.isfinite(lifted.points).all() for lifted in observe(pair, CONFIG).lifted)


@pytest.mark.parametrize("swapped", [False, True])
def test_absorption_tells_vessels_of_equal_width_apart(swapped):
    """Two tubes on the same epipolar lines can be two others that cast the same shadows."""
    a, b = (camera_from_pose(p) for p in POSES)
    way = np.cross(b.source - a.source, a.source)
    way = 30 * way / np.linalg.norm(way)
    places = np.array([[0.0, 0.0, 0.0], [-14.0, 4.0, 0.0]])
    if swapped:  # where the ray of one in A meets the ray of the other in B
        rays_a, rays_b = places - a.source, places[::-1] - b.source
        places = np.array([_meeting(a.source, r, b.source, s) for r, s in zip(rays_a, rays_b, strict=True)])
    tubes = [(curve(p - way, p + way), 1.5, share) for p, share in zip(places, (1.0, 0.4), strict=True)]
    lifted, _ = observe(seen(*tubes), CONFIG).lifted
    truth = np.concatenate([points for points, _, _ in tubes])
    assert np.quantile(KDTree(truth).query(lifted.points)[0], 0.9) < 1.5


def _meeting(start_a, ray_a, start_b, ray_b):
    """Point nearest to two rays."""
    along = np.linalg.lstsq(np.stack([ray_a, -ray_b], 1), start_b - start_a, rcond=None)[0]
    return (start_a + along[0] * ray_a + start_b + along[1] * ray_b) / 2
