"""Courses: length, spacing, ends, waves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autocar_ros.synthetic.courses import BENT, SPACING, arc_length, draw_course, smooth_noise
from autocar_ros.synthetic.heart import draw_heart

seeds = st.integers(0, 10_000)
WAY = np.array([[0.8, 0.1, 0.0], [1.5, 0.2, 0.0], [2.4, 0.1, 0.0]])


@settings(max_examples=30, deadline=None)
@given(seeds, st.floats(5, 60), st.floats(0, 3))
def test_a_course_is_evenly_spaced_and_never_folds(seed, length, tortuosity):
    rng = np.random.default_rng(seed)
    points = draw_course(rng, draw_heart(rng), WAY, length, tortuosity)
    assert len(points) == int(length / SPACING) + 1
    step = np.diff(points, axis=0)
    size = np.linalg.norm(step, axis=1)
    assert size.max() <= SPACING + 1e-9
    assert size.min() > 0.85 * SPACING
    cosine = np.sum(step[1:] * step[:-1], axis=1) / (size[1:] * size[:-1])
    assert np.min(cosine, initial=1.0) > np.cos(BENT * SPACING)


def test_a_course_without_waves_runs_its_way():
    heart = draw_heart(np.random.default_rng(0))
    points = draw_course(np.random.default_rng(1), heart, WAY, 200.0, tortuosity=0.0)
    level = np.linalg.norm(heart.local(points) / heart.semi_axes, axis=1)
    assert level == pytest.approx(1, abs=0.03)
    ends = heart.surface(*WAY[[0, -1]].T)
    np.testing.assert_allclose(points[0], ends[0], atol=1e-9)
    np.testing.assert_allclose(points[-1], ends[1], atol=2 * SPACING)


def test_a_course_starts_at_its_anchor():
    heart = draw_heart(np.random.default_rng(0))
    anchor = heart.surface(*WAY[0]) + np.array([2.0, -1.0, 1.0])
    points = draw_course(np.random.default_rng(1), heart, WAY, 40.0, anchor=anchor)
    np.testing.assert_allclose(points[0], anchor, atol=1e-9)


def test_tortuosity_lengthens_the_way():
    def detour(tortuosity):
        out = []
        for seed in range(20):
            heart = draw_heart(np.random.default_rng(seed))
            points = draw_course(np.random.default_rng(seed), heart, WAY, 70.0, tortuosity)
            out.append(arc_length(points)[-1] / np.linalg.norm(points[-1] - points[0]))
        return np.mean(out)

    assert detour(0.0) < detour(1.0) < detour(2.5)


def test_noise_has_its_size():
    s = np.linspace(0, 400, 2000)
    noise = np.stack([smooth_noise(np.random.default_rng(k), s, (0.1, 0.2), (40.0, 60.0)) for k in range(200)])
    assert np.sqrt(np.mean(noise**2, axis=(0, 2))) == pytest.approx([0.1, 0.2], rel=0.1)
