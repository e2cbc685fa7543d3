import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autocar_ros.sync import beats

SECOND = 1_000_000_000
STEADY = np.arange(6) * SECOND
lengths = st.lists(st.integers(400_000_000, 1_200_000_000), min_size=1, max_size=12)


def test_phase_grows_from_wave_to_wave_and_runs_on():
    told = beats.phases(np.array([-1, 0, SECOND // 4, 5 * SECOND + SECOND // 2, 7 * SECOND]), STEADY)
    np.testing.assert_allclose(told, [np.nan, 0, 0.25, 0.5, np.nan])


def test_the_next_beat_is_as_long_as_the_last():
    waves = np.cumsum([0, 1000, 980, 960, 940]) * (SECOND // 1000)
    assert beats.phases(waves[-1:] + 470 * (SECOND // 1000), waves)[0] == 0.5


def test_an_odd_last_beat_hardly_tells_the_next():
    waves = np.cumsum([0, 1000, 1000, 1000, 500]) * (SECOND // 1000)
    told = beats.phases(waves[-1:] + 450 * (SECOND // 1000), waves)
    np.testing.assert_allclose(told, 0.5)  # of 0.9 s


@given(lengths)
def test_errors_grow_outside_the_r_waves(rr):
    waves = SECOND + np.cumsum([0, *rr])
    stamps = np.linspace(0, waves[-1] + SECOND, 40).astype(np.int64)
    error = beats.errors(stamps, waves, 0.02)
    before, after = stamps < waves[0], stamps >= waves[-1]
    assert (error[~before & ~after] == 0.02).all()
    assert (np.diff(error[after]) > 0).all()
    assert (np.diff(error[before]) < 0).all()


def test_a_restless_heart_is_less_sure():
    now = np.array([int(5.5 * SECOND)])
    restless = STEADY + np.array([0, 1, -1, 1, -1, 0]) * (SECOND // 10)
    assert beats.errors(now, restless, 0.01) > 3 * beats.errors(now, STEADY, 0.01)


def test_few_alike_beats_do_not_make_a_steady_heart():
    few, many = (np.arange(waves) * SECOND for waves in (4, 40))
    errors = [beats.errors(waves[-1:] + SECOND // 2, waves, 0.0)[0] for waves in (few, many)]
    assert errors[0] > 0.8 * beats.RESTING / 2  # two changes of nothing against those of other hearts
    assert errors[1] < 0.4 * beats.RESTING / 2


def test_one_wave_tells_nothing():
    assert np.isnan(beats.errors(STEADY, STEADY[:1], 0.01)).all()
