"""CT masks: NIfTI in, axes of the world, labels, separate trees."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from autocar_ros.errors import InvalidInputError
from autocar_ros.imaging.ct_mask import MaskVolume, read_mask, split_trees


@pytest.fixture
def write(tmp_path):
    def save(values, affine=None, name="mask.nii.gz"):
        image = nib.Nifti1Image(values, np.eye(4))
        image.set_sform(np.eye(4) if affine is None else affine, code=1)
        nib.save(image, tmp_path / name)
        return tmp_path / name

    return save


def one_voxel(at=(2, 3, 4), value=1):
    values = np.zeros((6, 7, 8), np.uint8)
    values[at] = value
    return values


def test_world_is_lps(write):
    affine = np.diag([0.4, 0.5, 0.9, 1.0])
    affine[:3, 3] = 10, 20, 30
    volume = read_mask(write(one_voxel(), affine))
    assert volume.mask.shape == (1, 1, 1)  # cropped
    # RAS 10 + 2 x 0.4, 20 + 3 x 0.5, 30 + 4 x 0.9; right and front become left and back
    assert volume.world(np.zeros(3)) == pytest.approx([-10.8, -21.5, 33.6])
    assert volume.spacing == pytest.approx([0.4, 0.5, 0.9])


@given(st.integers(0, 2**32 - 1))
def test_places_survive_file_and_crop(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    values = rng.random((5, 6, 7)) < 0.1
    values[2, 3, 1] = True
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(rng=rng).as_matrix() @ np.diag(rng.uniform(0.3, 1, 3))
    affine[:3, 3] = rng.uniform(-200, 200, 3)
    path = tmp_path_factory.mktemp("nifti") / "mask.nii"
    nib.save(nib.Nifti1Image(values.astype(np.uint8), affine), path)
    volume = read_mask(path)
    wanted = nib.affines.apply_affine(affine, np.argwhere(values)) * [-1, -1, 1]
    assert volume.world(np.argwhere(volume.mask)) == pytest.approx(wanted, abs=1e-4)  # the file has single precision


def test_label_is_chosen(write):
    values = one_voxel() + one_voxel((0, 0, 0), 2)
    with pytest.raises(InvalidInputError, match=r"several values \(1 to 2\): say which"):
        read_mask(write(values))
    assert read_mask(write(values), label=2).world(np.zeros(3)) == pytest.approx([0, 0, 0])
    with pytest.raises(InvalidInputError, match="nothing has the label 3"):
        read_mask(write(values), label=3)
    assert read_mask(write(one_voxel(value=255))).mask.all()  # a binary mask may use any number


@pytest.mark.parametrize(
    ("values", "affine", "message"),
    [
        (np.zeros((3, 3, 3), np.uint8), None, "the mask is empty"),
        (np.ones((3, 3), np.uint8), None, "three axes"),
        (np.ones((3, 3, 3, 2), np.uint8), None, "three axes"),
        (np.ones((3, 3, 3), np.uint8), np.diag([1.0, 1.0, 0.0, 1.0]), "orientation"),
    ],
)
def test_unusable_volume_is_told(write, values, affine, message):
    with pytest.raises(InvalidInputError, match=message) as error:
        read_mask(write(values, affine))
    assert "mask.nii.gz" in str(error.value)


def test_unusable_file_is_told(tmp_path, write):
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_mask(tmp_path / "none.nii")
    (tmp_path / "text.nii").write_text("no image")
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_mask(tmp_path / "text.nii")
    whole = write(np.ones((20, 20, 20), np.uint8))
    whole.write_bytes(whole.read_bytes()[:60])
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_mask(whole)


def test_trees_are_separated():
    mask = np.zeros((10, 10, 10), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True  # touch at a corner
    mask[5:8, 5:8, 5:8] = True
    mask[9, 0, 0] = True
    large, small = split_trees(MaskVolume(mask, np.diag([1.0, 1.0, 2.0, 1.0])), smallest=3.0)
    assert (large.mask.sum(), small.mask.sum()) == (27, 2)
    assert large.world(np.zeros(3)) == pytest.approx([5, 5, 10])
    assert small.mask.shape == (2, 2, 2)
