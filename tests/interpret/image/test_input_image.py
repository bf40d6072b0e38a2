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
    DEVIATION,
    MEAN,
    for_classifier,
    for_detector,
    of_tensor,
    on_image,
    read,
)


def ramp(picture, rows: int, columns: int) -> np.ndarray:
    """The x of every cell's center, in pixels of the image: what `on_image` has to give back."""
    scale = picture.placed.scale[0]
    cell = picture.tensor.shape[3] / columns
    x = ((np.arange(columns) + 0.5) * cell - picture.placed.left) / scale
    return np.broadcast_to(x, (rows, columns)).astype(np.float32)


@pytest.mark.parametrize("shape", [(427, 640), (640, 427), (100, 333), (31, 17)])
def test_letterboxes_are_undone(shape: tuple[int, int]) -> None:
    picture = for_detector("a", np.zeros((*shape, 3), np.uint8), 320, 32)
    found = on_image(ramp(picture, 16, 40), picture)
    assert found.shape == shape
    # Between centers of cells the map is linear; before the first and after the last it stays.
    first, last = ramp(picture, 1, 40)[0, [0, -1]]
    expected = np.clip(np.arange(shape[1]) + 0.5, first, last)
    np.testing.assert_allclose(found, np.broadcast_to(expected, shape), atol=0.01)


def test_a_single_cell_is_located_where_the_network_saw_it() -> None:
    # A white square on black, in the image; the same square on the canvas, measured there, as a map.
    pixels = np.zeros((300, 500, 3), np.uint8)
    pixels[60:120, 350:410] = 255
    picture = for_detector("a", pixels, 640, 32)
    cells = torch.nn.functional.avg_pool2d(picture.tensor.mean(1, keepdim=True), 8)[0, 0].numpy()
    found = on_image(cells, picture)
    rows, columns = np.nonzero(found > 0.75)
    assert abs(rows.mean() - 89.5) < 2
    assert abs(columns.mean() - 379.5) < 2


def test_maps_are_drawn_no_larger_than_asked_and_not_enlarged() -> None:
    picture = for_detector("a", np.zeros((300, 600, 3), np.uint8), 320, 32)
    assert on_image(np.ones((2, 2), np.float32), picture, 100).shape == (50, 100)
    assert on_image(np.ones((2, 2), np.float32), picture, 1000).shape == (300, 600)


@pytest.mark.parametrize("size", [(640, 427), (427, 640), (300, 300), (901, 40), (31, 17)])
def test_classifiers_get_what_torchvision_gives_them(size: tuple[int, int]) -> None:
    photograph = Image.fromarray(load_sample_images().images[0]).resize(size)
    expected = ResNet18_Weights.DEFAULT.transforms()(photograph)
    found = for_classifier("a", np.array(photograph), 224).tensor[0]
    # Pillow takes rows or columns first, whichever is cheaper, and rounds in between: a value may be the next of 256.
    away = (found - expected) * torch.tensor(DEVIATION)[:, None, None] * 255
    assert away.abs().max() < 1.01
    assert away.mean().abs() < 0.01


def test_of_a_long_and_narrow_image_the_crop_alone_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    resize = Image.Image.resize

    def watched(image: Image.Image, size: tuple[int, int], *others: Any, **options: Any) -> Image.Image:
        assert max(size) <= 256
        return resize(image, size, *others, **options)

    monkeypatch.setattr(Image.Image, "resize", watched)
    pixels = np.zeros((1, 65_535, 3), np.uint8)
    pixels[:, 32_766:32_769] = 255
    picture = for_classifier("a", pixels, 224)
    white = (1 - torch.tensor(MEAN)) / torch.tensor(DEVIATION)
    torch.testing.assert_close(picture.tensor[0], white[:, None, None].expand(-1, 224, 224))
    left, top, right, bottom = picture.extent
    assert (top, bottom) == pytest.approx((1 / 16, 15 / 16))
    assert (left, right) == pytest.approx((32_767.0625, 32_767.9375), abs=0.01)


def test_what_a_classifier_does_not_see_has_no_value() -> None:
    picture = for_classifier("a", np.zeros((100, 200, 3), np.uint8), 224)
    found = on_image(np.ones((7, 7), np.float32), picture)
    seen = ~np.isnan(found)
    rows, columns = np.nonzero(seen)
    # 7/8 of the shorter side, in the middle.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 93, 56, 143)
    assert (found[seen] == 1).all()


def test_exif_is_respected(tmp_path: Path) -> None:
    stored = np.zeros((40, 80, 3), np.uint8)
    stored[:, :20] = 255
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    name, pixels = read(tmp_path / "turned.png", 1)
    assert name.endswith("turned.png")
    assert pixels.shape == (80, 40, 3)
    assert pixels[:20].min() == 255
    assert pixels[20:].max() == 0


def test_tensors_are_taken_as_they_are() -> None:
    tensor = torch.randn(1, 3, 8, 12)
    picture = of_tensor("a", tensor)
    assert picture.tensor is tensor
    assert picture.pixels.shape == (8, 12, 3)
    assert (picture.pixels.min(), picture.pixels.max()) == (0, 255)
    assert picture.extent == (0, 0, 12, 8)
    assert np.array_equal(of_tensor("a", torch.full((1, 1, 2, 2), 0.2)).pixels, np.full((2, 2, 3), 51))


@pytest.mark.parametrize("wrong", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_other_arrays_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"image 2 .*give a path"):
        read(wrong, 2)
