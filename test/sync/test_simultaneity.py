"""Profiles of two planes compared over time: together, apart, with nothing in common."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from autocar_ros.sync.simultaneity import EARLIEST, LATEST, LEAST, Simultaneity

PLANES = 100


def movie(count, seed=0):
    """Profiles (count, PLANES) of something that moves, of mean 0 and length 1."""
    found = np.random.default_rng(seed).normal(size=(count, PLANES))
    found = gaussian_filter1d(gaussian_filter1d(found, 2, axis=1), 2, axis=0)
    found -= found.mean(axis=1, keepdims=True)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def compared(first, second):
    beat = Simultaneity()
    for a, b in zip(first, second, strict=True):
        beat.add(a, b)
    return beat.compare()


@pytest.mark.parametrize("behind", [-LATEST, -4, EARLIEST, 5, LATEST])
@pytest.mark.parametrize("offset", [0, 6, -8])
def test_another_moment_is_found_whatever_the_shift(behind, offset):
    shown = movie(80)
    found = compared(shown[20:70], np.roll(shown[20 - behind : 70 - behind], offset, axis=1))
    assert found.pairs == -behind
    assert found.apart == pytest.approx(1)
    assert found.together < 0.9


@pytest.mark.parametrize("offset", [0, 4])
def test_one_moment_agrees_best(offset):
    shown = movie(50)
    found = compared(shown, np.roll(shown, offset, axis=1))
    assert found.together == pytest.approx(1)
    assert found.apart < 0.9


def test_what_has_nothing_in_common_agrees_never():
    found = compared(movie(60, 0), movie(60, 1))
    assert found.together < 0.5
    assert found.apart < 0.5


def test_few_pairs_tell_nothing():
    shown = movie(60)
    beat = Simultaneity()
    for profile in shown[: LATEST + LEAST - 1]:
        beat.add(profile, profile)
    assert beat.compare() is None
    beat.add(shown[-1], shown[-1])
    assert beat.compare() is not None
    beat.clear()
    assert beat.compare() is None
