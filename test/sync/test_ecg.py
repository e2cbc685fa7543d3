"""R waves and phase: known beats, invariances, real ECG."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autocar_ros.errors import InvalidInputError
from autocar_ros.sync.ecg import EcgPhase, detect_r_waves

RATE = 250.0
SECOND = 1_000_000_000


def ecg(beats: list[float], seconds: float, rate: float = RATE, noise: float = 0.02) -> np.ndarray:
    """Millivolts with an R wave, its S wave and a T wave at every beat [s]."""
    t = np.arange(int(seconds * rate)) / rate
    wave = np.zeros_like(t)
    for beat in beats:
        for at, height, width in ((0.0, 1.0, 0.012), (0.03, -0.2, 0.012), (0.28, 0.3, 0.05), (-0.17, 0.12, 0.03)):
            wave += height * np.exp(-0.5 * ((t - beat - at) / width) ** 2)
    return wave + noise * np.random.default_rng(0).normal(size=len(t))


BEATS = [0.5, 1.3, 2.15, 2.95, 3.8, 4.55, 5.4, 6.2, 7.0]
SIGNAL = ecg(BEATS, 8.0)


def assert_beats(found: np.ndarray, beats: list[float], rate: float = RATE, within: float = 0.025) -> None:
    assert len(found) == len(beats)
    np.testing.assert_allclose(found / rate, beats, atol=within)


def test_known_beats():
    assert_beats(detect_r_waves(SIGNAL, RATE), BEATS)


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(1e-3, 1e4),
    flip=st.booleans(),
    offset=st.floats(-1e3, 1e3),
    wander=st.floats(0, 3),
)
def test_scale_polarity_and_baseline_do_not_matter(scale, flip, offset, wander):
    t = np.arange(len(SIGNAL)) / RATE
    signal = SIGNAL + wander * np.sin(2 * np.pi * 0.3 * t)
    assert_beats(detect_r_waves((-scale if flip else scale) * signal + offset, RATE), BEATS)


@pytest.mark.parametrize("rate", [100.0, 400.0, 1000.0])
def test_sampling_rate_does_not_matter(rate):
    assert_beats(detect_r_waves(ecg(BEATS, 8.0, rate), rate), BEATS, rate)


def test_missing_samples_are_bridged():
    signal = SIGNAL.copy()
    signal[::7] = np.nan
    assert_beats(detect_r_waves(signal, RATE), BEATS)


def test_one_artefact_does_not_hide_beats():
    signal = SIGNAL.copy()
    signal[int(1.7 * RATE)] += 40.0
    found = detect_r_waves(signal, RATE) / RATE
    assert all(np.abs(found - beat).min() < 0.03 for beat in BEATS)


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_beats(seed):
    noise = np.random.default_rng(seed).normal(size=2500)
    assert len(detect_r_waves(noise, RATE)) == 0


@pytest.mark.parametrize("samples", [np.zeros(2000), np.full(2000, np.nan), np.zeros(0), np.ones(5)])
def test_nothing_to_find(samples):
    assert len(detect_r_waves(samples, RATE)) == 0


@pytest.mark.parametrize("rate", [0.0, -1.0, 10.0, np.nan, np.inf])
def test_impossible_rate(rate):
    with pytest.raises(InvalidInputError, match="sampling rate"):
        detect_r_waves(SIGNAL, rate)


def test_samples_of_wrong_shape():
    with pytest.raises(InvalidInputError, match="one row"):
        detect_r_waves(np.zeros((2, 100)), RATE)


def test_real_ecg(data_dir):
    """Every R-wave pointer of the cine is found within two frames; what else is found is the QRS cut by the start."""
    import pydicom

    run = pydicom.dcmread(data_dir / "cine" / "rubo_rca_ecg.dcm")
    samples = np.frombuffer(run[0x5000, 0x3000].value, "<u2").astype(float)
    per_frame = len(samples) / run.NumberOfFrames
    found = detect_r_waves(samples, per_frame * 1000 / float(run.FrameTime))
    for pointer in run.RWavePointer:
        assert np.abs(found / per_frame - pointer).min() <= 2
    assert len(found[found > per_frame]) == len(run.RWavePointer)


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.2])  # of the R wave's height
@pytest.mark.parametrize("polarity", [1, -1])
def test_as_good_as_neurokit(noise, polarity):
    """Recall and precision within 50 ms over heart rates of 50 to 120 a minute, baseline wandering by its height."""
    neurokit = pytest.importorskip("neurokit2", reason="pip install neurokit2 to compare")
    rng, t = np.random.default_rng(7), np.arange(int(20 * RATE)) / RATE
    hits, ours, theirs = np.zeros(2), 0, 0
    beats_of_all = 0
    for rate in (50, 60, 72, 90, 105, 120):
        beats = 0.4 + np.cumsum(60 / rate * (1 + 0.05 * rng.normal(size=int(rate / 3))))
        beats = beats[beats < 19.5]
        signal = polarity * (ecg(list(beats), 20.0, noise=0) + noise * rng.normal(size=len(t))) + np.sin(1.9 * t)
        clean = neurokit.ecg_clean(signal, sampling_rate=int(RATE))
        found = [detect_r_waves(signal, RATE), neurokit.ecg_peaks(clean, sampling_rate=int(RATE))[1]["ECG_R_Peaks"]]
        hits += [sum(np.abs(peaks / RATE - beat).min() < 0.05 for beat in beats) for peaks in found]
        ours, theirs, beats_of_all = ours + len(found[0]), theirs + len(found[1]), beats_of_all + len(beats)
    print(f"noise {noise} polarity {polarity}: recall {hits / beats_of_all}, precision {hits / [ours, theirs]}")
    assert hits[0] >= 0.99 * hits[1]
    assert hits[0] / ours >= 0.99 * hits[1] / theirs


def feed(phase: EcgPhase, signal: np.ndarray, start: int = 0, piece: int = 50, order=None) -> None:
    pieces = list(range(0, len(signal), piece))
    for k in order(pieces) if order else pieces:
        phase.add(start + round(k / RATE * SECOND), RATE, signal[k : k + piece])


def test_phase_is_linear_between_beats_and_extrapolated_for_one():
    phase = EcgPhase()
    feed(phase, SIGNAL)
    assert phase.phase(round(1.3 * SECOND)) % 1.0 == pytest.approx(0.0, abs=0.03)
    assert phase.phase(round(1.725 * SECOND)) == pytest.approx(0.5, abs=0.03)
    assert phase.phase(round(7.4 * SECOND)) == pytest.approx(0.5, abs=0.05)
    assert np.isnan(phase.phase(round(0.2 * SECOND)))
    assert np.isnan(phase.phase(round(8.5 * SECOND)))


def test_order_and_duplicates_do_not_matter():
    rng = np.random.default_rng(1)
    plain, mixed = EcgPhase(), EcgPhase()
    feed(plain, SIGNAL)

    def shuffled(pieces):
        late = np.arange(len(pieces)) + 2 * rng.random(len(pieces))
        return [pieces[i] for i in np.argsort(late)] + pieces[-3:]

    feed(mixed, SIGNAL, order=shuffled)
    np.testing.assert_array_equal(plain.r_waves, mixed.r_waves)


def test_gap_gives_no_phase_inside():
    phase = EcgPhase()
    for k in range(0, len(SIGNAL), 50):
        if not 2.0 <= k / RATE < 4.2:
            phase.add(round(k / RATE * SECOND), RATE, SIGNAL[k : k + 50])
    assert np.isnan(phase.phase(3 * SECOND))
    assert np.isfinite(phase.phase(6 * SECOND))


def test_clock_jump_and_new_rate_start_anew():
    phase = EcgPhase()
    feed(phase, SIGNAL, start=100 * SECOND)
    feed(phase, SIGNAL, start=0)
    assert phase.r_waves[0] == pytest.approx(0.5 * SECOND, abs=0.03 * SECOND)
    phase.add(8 * SECOND, 500.0, np.zeros(10))
    assert len(phase.r_waves) == 0


def test_memory_is_bounded():
    phase = EcgPhase(history=5.0)
    for minute in range(3):
        feed(phase, SIGNAL, start=minute * 60 * SECOND)
    assert phase.r_waves[0] >= 120 * SECOND
    phase.add(200 * SECOND, RATE, np.tile(SIGNAL, 20))
    assert len(phase.r_waves) < 10


@given(st.integers(-(10**10), 10**11))
@settings(max_examples=50, deadline=None)
def test_phase_is_in_range_or_unknown(stamp):
    phase = EcgPhase()
    feed(phase, SIGNAL, piece=500)
    value = phase.phase(stamp)
    assert np.isnan(value) or 0 <= value < 1


def test_reset():
    phase = EcgPhase()
    feed(phase, SIGNAL)
    phase.reset()
    assert np.isnan(phase.phase(2 * SECOND))
