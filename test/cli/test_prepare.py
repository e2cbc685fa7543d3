"""`autocar prepare`: files of every tree, and masks that cannot be used."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from vessels.ct_cases import arc, volume_of

from autocar_ros.vessels.export import load_graph


def write(path, volume, value=1):
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    nib.save(nib.Nifti1Image(volume.mask.astype(np.uint8) * np.uint8(value), affine), path)
    return path


def test_every_tree_becomes_files(autocar, tmp_path):
    one = volume_of(arc(2.0, length=14.0), (0.7, 0.7, 0.8), np.eye(3))
    both = type(one)(np.concatenate([one.mask, one.mask[:, :, ::-1]], 1), one.affine)
    result = autocar("prepare", write(tmp_path / "7.label.nii.gz", both), "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "2 trees of 1 masks" in result.stdout
    names = {f"7.label_{k}.{ending}" for k in (1, 2) for ending in ("json", "npz", "png")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    position = load_graph(tmp_path / "out" / "7.label_1.json").position
    assert np.ptp(position, axis=0)[0] > 10


def test_bad_mask_is_told_and_passed_over(autocar, tmp_path):
    volume = volume_of(arc(2.0, length=12.0), (0.8, 0.8, 0.8), np.eye(3))
    good = write(tmp_path / "good.nii", volume, 3)
    empty = write(tmp_path / "empty.nii", volume, 0)
    result = autocar("prepare", empty, good, "--label", 3, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "empty.nii: nothing has the label 3" in result.stderr
    assert "1 trees of 1 masks" in result.stdout
    assert (tmp_path / "out" / "good_1.json").exists()


def test_small_pieces_are_no_tree(autocar, tmp_path):
    volume = volume_of(arc(0.8, length=8.0), (0.6, 0.6, 0.6), np.eye(3))
    result = autocar("prepare", write(tmp_path / "bit.nii", volume), "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "no connected vessels of 100 mm^3" in result.stderr


def test_two_masks_of_one_name(autocar, tmp_path):
    result = autocar("prepare", tmp_path / "a" / "x.nii", tmp_path / "b" / "x.nii.gz", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "two masks have the name x" in result.stderr
    assert not (tmp_path / "out").exists()
