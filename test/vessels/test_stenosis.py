"""Narrowings of drawn vessels: how narrow and long they are is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sbp.tubes import c_arm

from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.types import VesselGraph
from autocar_ros.vessels.stenosis import closing, find_stenoses, hidden

LENGTH = 80  # nodes, 1 mm apart


def narrowing(at, depth, length, count=LENGTH):
    """Factor (N,) of the radius: a Gaussian that is `length` mm wide at half its depth."""
    return 1 - depth * np.exp(-4 * np.log(2) * ((np.arange(count) - at) / length) ** 2)


def vessel(radius):
    count = len(radius)
    position = np.stack([np.arange(count, dtype=float), np.zeros(count), np.zeros(count)], 1)
    edges = np.stack([np.arange(count - 1), np.arange(1, count)], 1)
    return VesselGraph(position, np.asarray(radius, float), edges, np.zeros(count, np.int64))


def fork(trunk, side, at=40):
    """A vessel from whose node `at` a side branch leaves at right angles."""
    main, count = vessel(trunk), len(side)
    position = main.position[at] + np.stack([np.zeros(count), np.arange(1.0, count + 1), np.zeros(count)], 1)
    new = np.arange(len(trunk), len(trunk) + count)
    edges = np.concatenate([main.edges, np.stack([np.concatenate([[at], new[:-1]]), new], 1)])
    branch = np.repeat([0, 1], [len(trunk), count])
    return VesselGraph(np.concatenate([main.position, position]), np.concatenate([trunk, side]), edges, branch)


@pytest.mark.parametrize("depth", [0.35, 0.5, 0.8])
@pytest.mark.parametrize("length", [6.0, 10.0, 15.0])
def test_a_narrowing_is_measured(depth, length):
    (found,) = find_stenoses(vessel(1.5 * narrowing(40, depth, length)))
    assert found.node == pytest.approx(40, abs=1)
    assert found.branch == 0
    assert found.diameter_stenosis == pytest.approx(depth, abs=0.03)
    assert found.minimal_lumen_diameter == pytest.approx(3 * (1 - depth), abs=0.08)
    assert found.reference_diameter == pytest.approx(3.0, abs=0.12)
    assert found.length == pytest.approx(length, rel=0.1)
    assert found.confidence > 0.9


def test_the_reference_follows_the_taper():
    taper = np.linspace(2.0, 1.0, LENGTH)
    (found,) = find_stenoses(vessel(taper * narrowing(50, 0.6, 10)))
    assert found.reference_diameter == pytest.approx(2 * taper[50], rel=0.05)
    assert found.diameter_stenosis == pytest.approx(0.6, abs=0.03)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.8, 2.5), st.floats(0.3, 1.0), st.integers(5, 75), st.floats(0.5, 1.0), st.integers(0, 1000))
def test_taper_steps_and_noise_are_no_narrowings(start, end, at, step, seed):
    radius = start * np.linspace(1.0, end, LENGTH)
    radius[at:] *= step  # as behind a bifurcation
    noise = 1 + 0.03 * np.random.default_rng(seed).standard_normal(LENGTH)
    assert find_stenoses(vessel(radius * noise)) == ()


@settings(max_examples=30, deadline=None)
@given(st.floats(0.45, 0.9), st.floats(6, 15), st.integers(30, 55), st.integers(0, 1000))
def test_a_clear_narrowing_is_found_in_noise(depth, length, at, seed):
    noise = 1 + 0.03 * np.random.default_rng(seed).standard_normal(LENGTH)
    (found,) = find_stenoses(vessel(1.6 * narrowing(at, depth, length) * noise))
    assert abs(found.node - at) <= 3
    assert found.diameter_stenosis == pytest.approx(depth, abs=0.1)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.7, 3.0))
def test_scaling_a_vessel_scales_the_diameters_alone(scale):
    (one,) = find_stenoses(vessel(1.5 * narrowing(40, 0.6, 9)))
    (other,) = find_stenoses(vessel(scale * 1.5 * narrowing(40, 0.6, 9)))
    assert other.diameter_stenosis == pytest.approx(one.diameter_stenosis)
    assert other.reference_diameter == pytest.approx(scale * one.reference_diameter)
    assert other.length == pytest.approx(one.length)


def test_two_narrowings_are_told_worst_first():
    radius = 1.5 * narrowing(25, 0.5, 7) * narrowing(55, 0.7, 7)
    assert [s.node for s in find_stenoses(vessel(radius))] == [55, 25]
    assert [s.node for s in find_stenoses(vessel(radius), reported=0.6)] == [55]


def test_a_step_inside_a_narrowing_takes_the_side_of_the_narrowest_place():
    trunk = np.where(np.arange(LENGTH) < 40, 1.8, 1.5) * narrowing(44, 0.6, 10)
    found = find_stenoses(fork(trunk, np.full(30, 1.0)))
    assert [s.branch for s in found] == [0]
    assert found[0].reference_diameter == pytest.approx(3.0, rel=0.03)


def test_a_side_branch_may_be_narrow_from_its_ostium_on_but_a_bulge_at_its_start_is_nothing():
    trunk = np.full(LENGTH, 1.8)
    (found,) = find_stenoses(fork(trunk, narrowing(2, 0.6, 8, count=30)))
    assert found.branch == 1
    assert found.diameter_stenosis == pytest.approx(0.6, abs=0.05)
    side = np.full(30, 1.0)
    side[:3] = 1.8
    assert find_stenoses(fork(trunk, side)) == ()


def test_ends_thin_vessels_overlaps_and_doubtful_nodes_are_not_reported():
    assert find_stenoses(vessel(1.5 * narrowing(LENGTH - 2, 0.7, 10))) == ()
    assert find_stenoses(vessel(1.5 * narrowing(1, 0.7, 10))) == ()
    assert find_stenoses(vessel(0.7 * narrowing(40, 0.7, 10))) == ()
    overlapped = np.full(LENGTH, 1.2)
    overlapped[[*range(20, 26), *range(45, 51)]] = 2.0
    assert find_stenoses(vessel(overlapped)) == ()
    doubtful = vessel(1.5 * narrowing(40, 0.7, 10))
    assert find_stenoses(doubtful.with_(confidence=np.full(LENGTH, 0.3))) == ()


def test_what_another_branch_covers_in_all_views_is_not_used():
    one, two = vessel(np.full(LENGTH, 1.5)), vessel(np.full(LENGTH, 1.5))
    position = np.concatenate([one.position - [40, 0, 0], two.position[:, [1, 2, 0]] - [0, -20, 40]])
    edges = np.concatenate([one.edges, two.edges + LENGTH])
    graph = VesselGraph(position, np.full(2 * LENGTH, 1.5), edges, np.repeat([0, 1], LENGTH))
    along_y, aside = camera_from_pose(c_arm()), camera_from_pose(c_arm(60, 0))
    assert not hidden(graph, ()).any()
    assert 40 in np.flatnonzero(hidden(graph, (along_y,)))
    assert hidden(graph, (along_y,)).sum() < 16
    assert not hidden(graph, (along_y, aside))[40]


def test_small_graphs_have_none():
    for count in (1, 2, 5):
        assert find_stenoses(vessel(np.ones(count))) == ()
    broken = vessel(1.5 * narrowing(40, 0.6, 9))
    kept = np.delete(np.arange(LENGTH - 1), 40)  # the narrowing lies at the end of a piece
    assert find_stenoses(broken.with_(edges=broken.edges[kept])) == ()


@settings(deadline=None)
@given(st.lists(st.floats(0.2, 5.0), min_size=1, max_size=60), st.integers(1, 20))
def test_closing_never_takes_away_and_leaves_what_only_falls(values, size):
    values = np.array(values)
    assert (closing(values, size) >= values).all()
    falling = np.sort(values)[::-1]
    np.testing.assert_array_equal(closing(falling, size), falling)
