"""Maps are located correctly in the coordinates of the original image."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from sklearn.datasets import load_sample_images
from torchvision.models import ResNet18_Weights

from attendet.errors import DataError
from attendet.interpret.image.input_image import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    InputImage,
    center_cropped_image,
    image_of_tensor,
    letterboxed_image,
    map_on_image,
    read_pixels,
)


def ramp(image: InputImage, rows: int, columns: int) -> np.ndarray:
    """Return the x of the center of every cell, in pixels of the image, which `map_on_image` must reproduce."""
    scale = image.letterbox.scale[0]
    cell = image.tensor.shape[3] / columns
    x = ((np.arange(columns) + 0.5) * cell - image.letterbox.left) / scale
    return np.broadcast_to(x, (rows, columns)).astype(np.float32)


@pytest.mark.parametrize("shape", [(427, 640), (640, 427), (100, 333), (31, 17)])
def test_maps_of_letterboxed_images_are_in_image_coordinates(shape: tuple[int, int]) -> None:
    image = letterboxed_image("a", np.zeros((*shape, 3), np.uint8), 320, 32)
    found = map_on_image(ramp(image, 16, 40), image)
    assert found.shape == shape
    # The map is linear between the centers of cells, and constant before the first and after the last center.
    first, last = ramp(image, 1, 40)[0, [0, -1]]
    expected = np.clip(np.arange(shape[1]) + 0.5, first, last)
    np.testing.assert_allclose(found, np.broadcast_to(expected, shape), atol=0.01)


def test_a_single_cell_is_located_where_the_network_saw_it() -> None:
    # A white square on black; the map is the same square, measured on the canvas.
    pixels = np.zeros((300, 500, 3), np.uint8)
    pixels[60:120, 350:410] = 255
    image = letterboxed_image("a", pixels, 640, 32)
    cells = torch.nn.functional.avg_pool2d(image.tensor.mean(1, keepdim=True), 8)[0, 0].numpy()
    found = map_on_image(cells, image)
    rows, columns = np.nonzero(found > 0.75)
    assert abs(rows.mean() - 89.5) < 2
    assert abs(columns.mean() - 379.5) < 2


def test_maps_have_at_most_the_requested_size_and_that_of_the_image() -> None:
    image = letterboxed_image("a", np.zeros((300, 600, 3), np.uint8), 320, 32)
    assert map_on_image(np.ones((2, 2), np.float32), image, 100).shape == (50, 100)
    assert map_on_image(np.ones((2, 2), np.float32), image, 1000).shape == (300, 600)


@pytest.mark.parametrize("size", [(640, 427), (427, 640), (300, 300), (901, 40), (31, 17)])
def test_classifiers_get_the_input_of_torchvision(size: tuple[int, int]) -> None:
    photograph = Image.fromarray(load_sample_images().images[0]).resize(size)
    expected = ResNet18_Weights.DEFAULT.transforms()(photograph)
    found = center_cropped_image("a", np.array(photograph), 224).tensor[0]
    # Pillow scales rows or columns first, whichever is cheaper, and rounds in between, which may change a value by 1.
    difference = (found - expected) * torch.tensor(IMAGENET_STD)[:, None, None] * 255
    assert difference.abs().max() < 1.01
    assert difference.mean().abs() < 0.01


def test_only_the_crop_of_a_long_and_narrow_image_is_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    resize = Image.Image.resize

    def checked_resize(self: Image.Image, size: tuple[int, int], *others: Any, **options: Any) -> Image.Image:
        assert max(size) <= 256
        return resize(self, size, *others, **options)

    monkeypatch.setattr(Image.Image, "resize", checked_resize)
    pixels = np.zeros((1, 65_535, 3), np.uint8)
    pixels[:, 32_766:32_769] = 255
    image = center_cropped_image("a", pixels, 224)
    white = (1 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    torch.testing.assert_close(image.tensor[0], white[:, None, None].expand(-1, 224, 224))
    left, top, right, bottom = image.extent
    assert (top, bottom) == pytest.approx((1 / 16, 15 / 16))
    assert (left, right) == pytest.approx((32_767.0625, 32_767.9375), abs=0.01)


def test_maps_are_nan_where_a_classifier_does_not_see_the_image() -> None:
    image = center_cropped_image("a", np.zeros((100, 200, 3), np.uint8), 224)
    found = map_on_image(np.ones((7, 7), np.float32), image)
    is_seen = ~np.isnan(found)
    rows, columns = np.nonzero(is_seen)
    # 7/8 of the shorter side, centered.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 93, 56, 143)
    assert (found[is_seen] == 1).all()


def test_the_exif_rotation_of_files_is_applied(tmp_path: Path) -> None:
    stored = np.zeros((40, 80, 3), np.uint8)
    stored[:, :20] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    name, pixels = read_pixels(tmp_path / "turned.png", 1)
    assert name.endswith("turned.png")
    assert pixels.shape == (80, 40, 3)
    assert pixels[:20].min() == 255
    assert pixels[20:].max() == 0


def test_tensors_are_used_unchanged() -> None:
    tensor = torch.randn(1, 3, 8, 12)
    image = image_of_tensor("a", tensor)
    assert image.tensor is tensor
    assert image.pixels.shape == (8, 12, 3)
    assert (image.pixels.min(), image.pixels.max()) == (0, 255)
    assert image.extent == (0, 0, 12, 8)
    assert np.array_equal(image_of_tensor("a", torch.full((1, 1, 2, 2), 0.2)).pixels, np.full((2, 2, 3), 51))


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_other_arrays_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(
        DataError, match=r"image 2 must be uint8 of the shape \(height, width, 3\), got .*; pass a path"
    ):
        read_pixels(wrong, 2)
