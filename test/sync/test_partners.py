import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autocar_ros.sync.partners import partners, skews
from autocar_ros.sync.phase import Phases
from autocar_ros.types import PhaseSource

SECOND = 1_000_000_000


def told(values, errors=None):
    values = np.array(values, float)
    errors = np.full(len(values), 0.01) if errors is None else np.array(errors, float)
    return Phases(values, errors, np.full(len(values), PhaseSource.IMAGE))


def at(*seconds):
    return np.rint(np.array(seconds) * SECOND).astype(np.int64)


def test_skew_goes_round_and_its_error_adds_up():
    after, error = skews(at(5, 1, 2), told([0.98, 0.02, 0.90], [0.03, 0.04, 0.0]))
    np.testing.assert_allclose(after, [0.04, -0.08])
    np.testing.assert_allclose(error, [0.05, 0.03])


def test_neighbours_in_time_err_alike():
    assert skews(at(5, 5.1), told([0.5, 0.6], [0.2, 0.2]))[1] == 0


def test_full_then_least_skew_then_nearest():
    stamps = at(10, 1, 2, 3, 4)
    phases = told([0.5, 0.5, 0.53, 0.501, 0.501])
    found = partners(stamps, phases, np.array([False, True, True, True]), 0.05)
    np.testing.assert_array_equal(found.order, [3, 2, 1, 0])


def test_a_phase_that_is_not_sure_is_said_to_be():
    found = partners(at(10, 1), told([0.5, 0.5], [0.1, 0.01]), np.array([True]), 0.05)
    assert len(found.order) == 0
    assert found.unsure
    assert not partners(at(10, 1), told([0.5, 0.8]), np.array([True]), 0.05).unsure


def test_what_is_as_likely_out_of_tolerance_as_in_it_is_left_out():
    def fits(skew, error):
        return len(partners(at(10, 1), told([0.5, 0.5 + skew], [error, 0.0]), np.array([True]), 0.05).order) == 1

    assert fits(0.0, 0.03)
    assert not fits(0.0, 0.05)  # one standard deviation: one true skew in three is larger
    assert not fits(0.045, 0.03)
    assert fits(0.045, 0.0)


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=2, max_size=20), st.floats(0, 0.2))
def test_partners_are_within_the_tolerance(values, tolerance):
    stamps = at(*np.arange(len(values)))
    after, error = skews(stamps, told(values))
    found = partners(stamps, told(values), np.ones(len(values) - 1, bool), tolerance)
    assert (np.abs(after[found.order]) <= tolerance).all()
    assert (error[found.order] <= tolerance).all()


def test_unknown_phases_have_no_partner():
    assert len(partners(at(10, 1), told([np.nan, 0.5]), np.array([True]), 0.5).order) == 0
