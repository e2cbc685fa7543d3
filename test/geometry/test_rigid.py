"""Rigid motion and registration."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.rigid import RigidTransform, rigid_fit, rigid_register, similarity_register


def motion(seed: int, degrees: float = 8.0, mm: float = 6.0) -> RigidTransform:
    rng = np.random.default_rng(seed)
    rotation = Rotation.from_rotvec(np.radians(degrees) * rng.normal(size=3) / np.sqrt(3)).as_matrix()
    return RigidTransform(rotation, rng.normal(size=3) * mm)


def cloud(seed: int) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).normal(size=(300, 3)), 0)


@pytest.mark.parametrize("seed", range(3))
def test_fit_recovers_a_known_motion(seed):
    t, x = motion(seed), cloud(seed)
    found = rigid_fit(x, t.apply(x))
    np.testing.assert_allclose(found.rotation, t.rotation, atol=1e-9)
    np.testing.assert_allclose(found.translation, t.translation, atol=1e-9)


def test_inverse_and_composition():
    a, b, x = motion(1), motion(2), cloud(0)
    np.testing.assert_allclose(a.inverse().apply(a.apply(x)), x, atol=1e-9)
    np.testing.assert_allclose(a.compose(b).apply(x), a.apply(b.apply(x)), atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_registration_without_correspondence_and_with_a_missing_part(seed):
    x = cloud(seed)
    t = motion(seed, degrees=4, mm=2)
    found = rigid_register(x[:220], t.apply(x))
    assert np.median(np.linalg.norm(found.apply(x) - t.apply(x), axis=1)) < 0.2


def test_bad_input_is_named():
    with pytest.raises(InvalidInputError, match="point sets"):
        rigid_fit(np.zeros((2, 3)), np.zeros((2, 3)))


def test_similarity_finds_motion_and_size():
    rng = np.random.default_rng(3)
    fixed = np.cumsum(rng.normal(size=(200, 3)), axis=0)
    turn = np.array([[np.cos(0.05), -np.sin(0.05), 0], [np.sin(0.05), np.cos(0.05), 0], [0, 0, 1]])
    moving = 1.02 * fixed @ turn.T + [0.5, -0.4, 0.2]
    np.testing.assert_allclose(similarity_register(moving, fixed), fixed, atol=0.02)
