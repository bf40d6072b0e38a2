"""The images that ranges are measured on."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from attendet.data.records import ImageRecord, ImageRecords, Split
from attendet.errors import DataError, OptionError
from attendet.exporting.quantization import CalibrationImages


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Return ten images of 96x64 pixels, each of one gray level."""
    records = []
    for number in range(10):
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.full((64, 96, 3), 20 * number, np.uint8))
        records.append(ImageRecord(path, 96, 64))
    return Split("train", ("a",), ImageRecords(records))


def gray_levels(images: CalibrationImages) -> list[int]:
    """Return the gray level of the center of each image."""
    return [round(float(image[0, 1, image.shape[2] // 2, image.shape[3] // 2]) * 255) for image in images]


def test_images_are_evenly_spaced(split: Split):
    assert gray_levels(CalibrationImages(split, 96, 32, count=4)) == [0, 60, 120, 180]


def test_a_small_split_is_used_completely(split: Split):
    assert gray_levels(CalibrationImages(split, 96, 32)) == list(range(0, 200, 20))


def test_an_image_is_placed_as_for_inference(split: Split):
    """Half a stride of gray (114) surrounds the 96x64 image, so that its canvas is 128x96."""
    image = CalibrationImages(split, 96, 32)[9]
    expected = np.full((1, 3, 96, 128), 114, np.float32)
    expected[:, :, 16:80, 16:112] = 180
    assert image.dtype == np.float32
    np.testing.assert_allclose(image * 255, expected, atol=1e-4)


def test_a_fixed_size_holds_every_image(split: Split):
    """The image shrinks to 64x43 pixels (rounded), and gray fills the rest."""
    image = CalibrationImages(split, (64, 64), 32)[9]
    assert image.shape == (1, 3, 64, 64)
    rows = np.flatnonzero(np.abs(image[0, 0, :, 32] * 255 - 180) < 1)
    assert len(rows) == 43
    assert np.abs(image[0, 0, 0] * 255 - 114).max() < 1e-4


def test_slices_are_lists(split: Split):
    images = CalibrationImages(split, 96, 32)
    assert [image.shape for image in images[2:4]] == [(1, 3, 96, 128)] * 2
    assert len(images) == 10


def test_images_are_read_from_the_disk_each_time(split: Split):
    images = CalibrationImages(split, 96, 32)
    assert images[0].max() < 0.5
    cv2.imwrite(str(split.records.path(0)), np.full((64, 96, 3), 255, np.uint8))
    assert images[0].max() == 1


def test_a_count_below_one(split: Split):
    with pytest.raises(OptionError, match="`count` must be a positive integer, got 0"):
        CalibrationImages(split, 96, 32, count=0)


def test_a_split_without_images():
    with pytest.raises(DataError, match="'train' must have images"):
        CalibrationImages(Split("train", ("a",), ImageRecords()), 96, 32)
