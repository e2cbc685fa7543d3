"""Vessel masks of CT as volumes: NIfTI files, and the separate trees in them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from autocar_ros.errors import InvalidInputError
from autocar_ros.types import FloatArray, IntArray

LPS_OF_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # NIfTI counts to the right and to the front, DICOM to the left and back
TOUCHING = np.ones((3, 3, 3))  # voxels with a corner in common belong together: thin vessels run diagonally


@dataclass(frozen=True)
class MaskVolume:
    """The part of a mask that holds the vessels."""

    mask: NDArray[np.bool_]  # (I, J, K)
    affine: FloatArray  # (4, 4) from a voxel's index, integer at its centre, to the world (LPS, mm)

    @property
    def spacing(self) -> FloatArray:
        """(3,) mm between voxel centres along the three axes of the array."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    def world(self, index: FloatArray | IntArray) -> FloatArray:
        """Places (..., 3) mm of voxel indices (..., 3), whole or not."""
        return np.asarray(index @ self.affine[:3, :3].T + self.affine[:3, 3])


def read_mask(path: str | Path, label: int | None = None) -> MaskVolume:
    """Read a vessel mask from a NIfTI file (.nii, .nii.gz), cropped to the vessels.

    Parameters
    ----------
    path : file of a volume of whole numbers, 0 where there is no vessel
    label : the number that means vessel; needed where the file holds several

    Raises
    ------
    InvalidInputError
        The file is missing or no NIfTI, its volume has not three axes, is no mask, or has nothing (or no such label)
        in it, or its orientation is unusable.
    """
    try:
        image = nib.load(path)
        if not isinstance(image, nib.Nifti1Pair):  # Nifti2 is one as well
            raise InvalidInputError(f"{path} is no NIfTI file (.nii, .nii.gz): convert it")
        values = np.asanyarray(image.dataobj)
        affine = LPS_OF_RAS @ np.asarray(image.affine, np.float64)
    except (OSError, EOFError, ValueError, zlib.error, nib.filebasedimages.ImageFileError) as error:
        raise InvalidInputError(f"cannot read {path} as NIfTI: {error}") from error
    if values.ndim != 3:
        raise InvalidInputError(f"{path} has shape {values.shape}: a mask volume has three axes")
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InvalidInputError(f"{path} has no usable orientation: set its qform or sform (voxel index to mm)")
    try:
        return cropped(MaskVolume(_vessels(values, label), affine))
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error}") from error


def cropped(volume: MaskVolume) -> MaskVolume:
    """Only the box around the vessels of a mask, which must hold some; the rest of the memory is let go."""
    (box,) = ndimage.find_objects(volume.mask.view(np.uint8), max_label=1)
    start = [side.start for side in box]
    affine = volume.affine.copy()
    affine[:3, 3] = volume.world(np.array(start))
    return MaskVolume(volume.mask[box].copy(), affine)


def split_trees(volume: MaskVolume, smallest: float) -> list[MaskVolume]:
    """Connected parts of at least `smallest` mm^3, the largest first: left and right tree are often in one file."""
    label, count = ndimage.label(volume.mask, TOUCHING)
    size = np.bincount(label.ravel(), minlength=count + 1)[1:] * abs(np.linalg.det(volume.affine[:3, :3]))
    order = [k for k in np.argsort(-size, kind="stable") if size[k] >= smallest]
    return [cropped(MaskVolume(label == k + 1, volume.affine)) for k in order]


def _vessels(values: NDArray[np.generic], label: int | None) -> NDArray[np.bool_]:
    """Where a volume (I, J, K) has the label, or where a volume of one label has it."""
    if label is not None:
        mask = values == label
        if not mask.any():
            raise InvalidInputError(f"nothing has the label {label}")
        return np.asarray(mask, np.bool_)
    mask = np.asarray(values != 0, np.bool_)
    found = values[mask]
    if len(found) == 0:
        raise InvalidInputError("the mask is empty")
    if (found != found[0]).any():
        low, high = found.min(), found.max()
        raise InvalidInputError(f"holds several values ({low} to {high}): say which label means vessel")
    return mask
