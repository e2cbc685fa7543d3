"""Back-projection loses no voxel that a full grid would keep, and gathers what lies at a pixel."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sbp.tubes import c_arm, fork, render
from scipy import ndimage

from autocar_ros.config import ReconstructionConfig
from autocar_ros.errors import InvalidInputError
from autocar_ros.geometry.carm import camera_from_pose
from autocar_ros.sbp.backproject import (
    Views,
    candidates,
    children,
    coarse_voxels,
    gather,
    hull,
    levels,
    make_views,
    mask_distance,
    project,
    refine,
    tube_volume,
)
from autocar_ros.vessels.skeleton import distance_outside

ANGLES = ((-30, 20), (40, -10), (5, 38), (-80, 0))
SHAPES = ((512, 512), (480, 400), (300, 512), (512, 640))


def views_of(points, radius, count=2, spacing=0.3, shapes=SHAPES):
    """Perfect masks of balls in so many views, images of different sizes."""
    poses = [
        c_arm(*angles, rows=rows, columns=columns, pixel_spacing=(spacing, spacing))
        for angles, (rows, columns) in zip(ANGLES[:count], shapes, strict=False)
    ]
    outside = [distance_outside(render(points, radius, pose)) for pose in poses]
    return make_views([camera_from_pose(pose) for pose in poses], outside)


@pytest.fixture(scope="module")
def views():
    return views_of(*fork())


def brute_force(views, size, box, tolerance):
    """Voxels of a full grid within the tolerance of all masks, in numpy and double precision."""
    axis = np.arange(round(box / size))
    every = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    points, keep = -box / 2 + (every + 0.5) * size, np.ones(len(every), bool)
    for projection, pixel, outside in zip(*map(list, views), strict=True):
        h = points @ projection[:, :3].double().numpy().T + projection[:, 3].double().numpy()
        column, row = np.rint(h[:, :2] / h[:, 2:]).astype(int).T
        rows, columns = outside.shape
        inside = (h[:, 2] > 0) & (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        far = outside.numpy()[np.where(inside, row, 0), np.where(inside, column, 0)] * float(pixel) * h[:, 2]
        keep &= inside & (far <= tolerance)
    return set(map(tuple, every[keep]))


def test_levels_end_at_the_voxel_size():
    assert levels(0.5) == [8.0, 4.0, 2.0, 1.0, 0.5]
    assert levels(3.0) == [6.0, 3.0]
    assert levels(8.0) == [8.0]


@settings(max_examples=12, deadline=None)
@given(
    st.integers(2, 4), st.floats(0, 2), st.sampled_from([0.15, 0.6, 1.5]), st.integers(0, 10_000),
    st.sampled_from([1.0, 2.0]),
)  # fmt: skip
def test_no_voxel_is_lost_with_its_parent(count, tolerance, spacing, seed, size):
    """Single pixels of mask are the hardest to find: most coarse centres miss them."""
    rng = np.random.default_rng(seed)
    views = views_of(rng.uniform(-35, 35, (30, 3)), np.full(30, 0.3), count, spacing)
    config = ReconstructionConfig(box_size=80.0, tolerance=tolerance)
    index, origin = refine(views, size, config)
    found, full = set(map(tuple, index.numpy())), brute_force(views, size, 80.0, tolerance)
    assert len(found) == len(index)
    assert len(found ^ full) <= 2 + 0.001 * len(full)  # projections half-way between two pixels, in single precision
    np.testing.assert_array_equal(origin, [-40, -40, -40])


@pytest.mark.parametrize("count", [2, 3, 4])
def test_hull_holds_a_sphere_and_shrinks_with_every_view(count):
    views = views_of(np.array([[5.0, -4, 8]]), np.array([12.0]), count)
    volume = hull(views, 1.0, ReconstructionConfig(tolerance=0.5))
    inside = np.linalg.norm(volume.points - [5, -4, 8], axis=1) <= 12
    assert inside.sum() == pytest.approx(4 / 3 * np.pi * 12**3, rel=0.02)
    fewer = hull(views_of(np.array([[5.0, -4, 8]]), np.array([12.0]), count - 1), 1.0, ReconstructionConfig(
        tolerance=0.5)) if count > 2 else None  # fmt: skip
    assert fewer is None or len(volume.voxels) < len(fewer.voxels)
    assert ((volume.occupancy >= 0) & (volume.occupancy <= 1)).all()


def test_hull_does_not_depend_on_the_order_of_views():
    views = views_of(*fork(), 3)
    turned = Views(views.projection[[2, 0, 1]], views.pixel_size[[2, 0, 1]], (*views.outside[2:], *views.outside[:2]))
    config = ReconstructionConfig(box_size=100.0)
    np.testing.assert_array_equal(*(hull(v, 2.0, config).voxels for v in (views, turned)))


def test_candidates_keep_their_order_and_grow_with_slack(views):
    index, origin = coarse_voxels(96.0, views)
    tight, loose = (candidates(index, 8.0, origin, views, 2.0, slack) for slack in (0.0, 5.0))
    assert tight.dtype == torch.bool
    assert tight.shape == (12**3,)
    assert (loose | ~tight).all()
    shuffled = torch.randperm(len(index), generator=torch.Generator().manual_seed(0))
    assert torch.equal(candidates(index[shuffled], 8.0, origin, views, 2.0, 5.0), loose[shuffled])


def test_children_fill_their_parent():
    parent = torch.tensor([[3, -2, 7]])
    center = (children(parent) + 0.5).mean(0) / 2
    torch.testing.assert_close(center, parent[0] + 0.5)
    assert len(torch.unique(children(parent), dim=0)) == 8


def test_nothing_behind_a_source_and_nothing_beside_an_image(views):
    for corner in (5000.0, -5000.0):
        origin = torch.full((3,), corner)
        assert not candidates(torch.zeros(1, 3), 1.0, origin, views, 2.0, 0.9).any()
        assert torch.isinf(mask_distance(origin[None], views)).any()
    source = torch.from_numpy(camera_from_pose(c_arm(*ANGLES[0])).source).float()
    assert torch.isinf(mask_distance(source[None], views)[0]).all()
    behind = 1.5 * source[None]
    assert project(behind, views)[1][0] < 0
    assert torch.isinf(mask_distance(behind, views)[0]).all()


def test_mask_distance_is_in_mm_at_the_depth_of_the_point():
    views = views_of(np.zeros((1, 3)), np.array([2.0]))
    beside = torch.from_numpy(camera_from_pose(c_arm(*ANGLES[0])).rotation[0]).float() * 12.0
    for depth in (-60.0, 60.0):  # the same ray through another depth: the shadow is larger
        axis = torch.from_numpy(camera_from_pose(c_arm(*ANGLES[0])).rotation[2]).float()
        factor = (800 + depth) / 800
        found = mask_distance((beside * factor + depth * axis)[None], views)[0]
        assert float(found) == pytest.approx(10.0 * factor, abs=0.4)


def test_views_must_fit_their_masks():
    camera = camera_from_pose(c_arm())
    with pytest.raises(InvalidInputError, match="two views"):
        make_views([camera], [np.zeros((512, 512))])
    with pytest.raises(InvalidInputError, match="512 x 512"):
        make_views([camera, camera], [np.zeros((512, 512)), np.zeros((512, 400))])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.integers(0, 10_000))
def test_gather_equals_scipy(rows, columns, channels, seed):
    rng = np.random.default_rng(seed)
    values, pixels = rng.normal(size=(channels, rows, columns)), rng.uniform(-3, 14, (40, 2))
    found = gather([torch.from_numpy(values)], torch.from_numpy(pixels)[None])
    assert found.shape == (1, 40, channels)
    inside = np.clip(pixels, 0, [columns - 1, rows - 1])
    known = [ndimage.map_coordinates(channel, inside[:, ::-1].T, order=1, mode="nearest") for channel in values]
    np.testing.assert_allclose(found[0], np.stack(known, 1), atol=1e-9)


def test_gather_finds_the_same_place_in_a_smaller_map(rng):
    """A linear picture, halved by averaging, has the same values at the same places."""
    row, column = np.mgrid[:64, :96]
    picture = torch.from_numpy(2.0 * column - row)[None]
    half = torch.nn.functional.avg_pool2d(picture, 2)
    pixels = torch.from_numpy(rng.uniform(2, 60, (1, 50, 2)))
    torch.testing.assert_close(gather([half], pixels, 0.5), gather([picture], pixels))


def test_gather_takes_every_view_from_its_own_map(rng):
    maps = [torch.full((2, 5, 7), 1.0), torch.full((2, 9, 4), 2.0)]
    found = gather(maps, torch.from_numpy(rng.uniform(0, 9, (2, 6, 2))).float())
    torch.testing.assert_close(found, torch.tensor([1.0, 2.0])[:, None, None].expand(2, 6, 2))


def test_gradients_of_gather(rng):
    """In maps and pixels, beyond the border too; pixels where two cells meet have no gradient."""
    maps = [torch.from_numpy(rng.normal(size=(2, *shape))).requires_grad_() for shape in ((4, 5), (6, 3))]
    pixels = torch.from_numpy(rng.integers(-2, 7, (2, 8, 2)) + rng.uniform(0.1, 0.9, (2, 8, 2))).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b, p: gather([a, b], p), (*maps, pixels))


def test_tube_volume_is_the_tube(views):
    points, radius = fork()
    volume = tube_volume(views, points, radius, ReconstructionConfig())
    full = volume.voxels[volume.occupancy >= 0.5]
    lumen = np.pi * (2.2**2 * 36.9 + 1.6**2 * 49.6 + 1.3**2 * 48.5)
    assert len(full) * volume.voxel_size**3 == pytest.approx(lumen, rel=0.15)
    assert ((volume.occupancy >= 0) & (volume.occupancy <= 1)).all()
    assert ((volume.centreness >= 0) & (volume.centreness <= 1)).all()
    assert volume.centreness.max() > 0.7


def test_ghosts_are_not_occupied(views):
    """A curve that the masks do not show has neither occupancy nor centreness."""
    points, radius = fork()
    moved = points + np.array([25.0, 0, 0])
    true, ghost = (tube_volume(views, curve, radius, ReconstructionConfig()) for curve in (points, moved))
    assert np.sum(ghost.occupancy >= 0.5) < 0.1 * np.sum(true.occupancy >= 0.5)


def test_no_tube_no_voxels(views):
    volume = tube_volume(views, np.array([[90.0, 90, 90]]), np.array([1.0]), ReconstructionConfig())
    assert len(volume.voxels) == 0
