"""The motion prior on motions whose course is known."""

import numpy as np
import pytest
from tracking.scenes import PERIOD, TREE, truth

from autocar_ros.tracking.motion import MotionPrior

FRAME = 1 / 15


def learnt(seconds, rng, noise=0.2, phased=True, breath=0.0):
    prior = MotionPrior(len(TREE))
    for time in np.arange(0, seconds, FRAME):
        prior.add(time, phase(time) if phased else np.nan, seen(time, breath) + rng.normal(0, noise, (len(TREE), 3)))
    return prior, time


def phase(time):
    return time / PERIOD % 1.0


def seen(time, breath):
    return truth(time).position + breath * np.sin(2 * np.pi * time / 4.0)


def missed(position, time, breath=0.0):
    return np.sqrt(((position - seen(time, breath)) ** 2).sum(1).mean())


@pytest.mark.parametrize("phased", [False, True])
def test_predicts_the_next_frame_better_than_holding_still(phased):
    rng = np.random.default_rng(0)
    prior, last = learnt(3.0, rng, 0.05, phased)
    held, predicted = [], []
    for time in last + FRAME * np.arange(1, 13):
        guess = prior.at(time, phase(time) if phased else np.nan)
        held.append(missed(truth(time - FRAME).position, time))
        predicted.append(missed(guess.position, time))
        prior.add(time, phase(time) if phased else np.nan, truth(time).position + rng.normal(0, 0.05, (len(TREE), 3)))
    assert np.mean(predicted) < (0.25 if phased else 0.75) * np.mean(held)


@pytest.mark.parametrize("ahead", [0.2, 0.5])
def test_a_known_beat_reaches_far_ahead_and_its_rate_is_known(ahead):
    prior, last = learnt(4.0, np.random.default_rng(1), breath=3.0)
    assert prior.knows_beat
    assert prior.phase_at(last + ahead) == pytest.approx(phase(last + ahead), abs=0.01)
    guess = prior.at(last + ahead, prior.phase_at(last + ahead))
    assert missed(guess.position, last + ahead, 3.0) < 2.0
    assert np.median(guess.sigma) > np.median(prior.at(last + 0.05, phase(last + 0.05)).sigma)


def test_no_beat_before_all_of_it_was_seen():
    prior, last = learnt(0.5 * PERIOD, np.random.default_rng(2))
    assert not prior.knows_beat
    np.testing.assert_allclose(prior.at(last + 10.0, 0.7).position, prior.at(last + 20.0, 0.7).position)


def test_sigma_tells_the_size_of_the_error():
    prior, last = learnt(4.0, np.random.default_rng(3), noise=0.5)
    time = last + FRAME
    guess = prior.at(time, phase(time))
    assert 0.3 < np.median(guess.sigma) < 1.0


def test_a_phase_that_stands_still_does_no_harm():
    prior = MotionPrior(2)
    for k in range(500):
        prior.add(k * FRAME, 0.3, np.ones((2, 3)))
    np.testing.assert_allclose(prior.at(500 * FRAME, 0.3).position, 1.0, atol=1e-6)


def test_jumps_and_added_nodes_are_followed():
    prior, last = learnt(2.0, np.random.default_rng(4))
    before = prior.at(last + 0.2, phase(last + 0.2)).position
    like = np.append(np.arange(len(TREE)), 60)
    there = np.vstack([prior.at(last).position, prior.at(last).position[60] + 1.0])
    prior = prior.taken(like, there)
    prior.shifted(np.array([5.0, 0.0, 0.0]))
    after = prior.at(last + 0.2, phase(last + 0.2)).position
    assert len(after) == len(TREE) + 1
    np.testing.assert_allclose(after[:-1] - before, np.tile([5.0, 0, 0], (len(TREE), 1)), atol=0.3)
    np.testing.assert_allclose(after[-1] - after[60], 1.0, atol=0.6)
