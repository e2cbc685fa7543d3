"""Beat and breath: periodic, smooth, of the right size."""

import numpy as np
import pytest

from autocar_ros.synthetic.heart import draw_heart
from autocar_ros.synthetic.motion import Motion


def motion(**options) -> Motion:
    return Motion(draw_heart(np.random.default_rng(0)), **options)


POINTS = np.random.default_rng(1).normal(0, 30, (50, 3))


def test_the_beat_is_periodic_without_breath_and_variability():
    m = motion(heart_rate=60, breathing=0.0)
    np.testing.assert_allclose(m.displace(POINTS, 0.3), m.displace(POINTS, 5.3), atol=1e-9)
    np.testing.assert_allclose(m.phase([0.0, 0.25, 1.5]), [0, 0.25, 0.5])
    np.testing.assert_allclose(m.displace(POINTS, 0.0), POINTS, atol=1e-9)


def test_systole_contracts_and_rests():
    m = motion(heart_rate=60)
    phases = np.linspace(0, 1, 400, endpoint=False)
    contraction = m.contraction(phases)
    assert contraction.min() >= 0
    assert contraction.max() <= 1.0 + 1e-9
    assert 0.3 < phases[contraction.argmax()] < 0.45
    speed = np.abs(np.gradient(contraction, phases))
    assert speed[(phases > 0.74) & (phases < 0.82)].max() < 0.1 * speed.max()  # diastasis


@pytest.mark.parametrize("amount", [0.0, 4.9, 10.0])
def test_breathing_moves_caudally_by_its_amount_and_anteriorly(amount):
    m = motion(breathing=amount, breathing_rate=15)
    offsets = np.array([m.breathing_offset(t) for t in np.arange(0, 8, 0.02)])
    assert np.ptp(offsets[:, 2]) == pytest.approx(amount, rel=0.01)
    assert offsets[:, 2].max() <= 0
    assert offsets[:, 1].max() <= 0
    assert np.ptp(offsets[:, 0]) == 0


def test_variability_keeps_the_mean_rate():
    m = motion(heart_rate=70, variability=0.1)
    assert m.beats(600.0) == pytest.approx(700, abs=1)
    assert (np.diff(m.beats(np.arange(0, 20, 0.01))) > 0).all()
