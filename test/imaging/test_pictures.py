"""Pictures in, masks out."""

import cv2
import numpy as np
import pytest

from autocar_ros.errors import InvalidInputError
from autocar_ros.imaging.pictures import read_image, write_mask


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lossless_pictures_come_back(tmp_path, rng, kind, dtype):
    image = rng.integers(0, np.iinfo(dtype).max, (20, 30)).astype(dtype)
    path = tmp_path / f"image.{kind}"
    cv2.imwrite(str(path), image)
    back = read_image(path)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize(("kind", "dtype"), [("png", np.uint8), ("png", np.uint16), ("jpg", np.uint8)])
def test_colour_becomes_grey(tmp_path, kind, dtype):
    image = np.zeros((20, 30, 3), dtype)
    image[..., 1] = np.iinfo(dtype).max
    path = tmp_path / f"image.{kind}"
    cv2.imwrite(str(path), image)
    grey = read_image(path)
    assert grey.shape == (20, 30)
    assert grey.dtype == dtype
    assert grey.mean() / np.iinfo(dtype).max == pytest.approx(0.587, abs=0.01)


def test_what_cannot_be_read_is_named(tmp_path):
    good = tmp_path / "good.png"
    cv2.imwrite(str(good), np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8))
    contents = {"empty.png": b"", "text.png": b"hello", "cut.png": good.read_bytes()[:1000]}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidInputError, match=f"{name}: not a readable picture"):
            read_image(tmp_path / name)
    with pytest.raises(InvalidInputError, match=r"none.png: no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(InvalidInputError, match="is a folder"):
        read_image(tmp_path)


def test_float_samples_are_refused(tmp_path):
    path = tmp_path / "float.tiff"
    cv2.imwrite(str(path), np.ones((8, 8), np.float32))
    with pytest.raises(InvalidInputError, match="samples are float32"):
        read_image(path)


def test_mask_is_black_and_white(tmp_path):
    path = tmp_path / "mask.png"
    write_mask(path, np.array([[0, 127, 128, 255]], np.uint8))
    np.testing.assert_array_equal(read_image(path), [[0, 0, 255, 255]])
