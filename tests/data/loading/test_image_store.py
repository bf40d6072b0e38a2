"""Decoded images: equal pixels for every kind of cache."""

from pathlib import Path

import numpy as np
import pytest

from attendet.data.loading import image_store
from attendet.data.loading.image_store import CachedImages, OnDemandImages, load_images
from attendet.data.records import ImageRecord, ImageRecords
from attendet.errors import DataError
from tests.helpers.data_sets import write_image


@pytest.fixture
def records(tmp_path: Path) -> ImageRecords:
    sizes = [(64, 48), (33, 71), (200, 100), (1, 40)]
    return ImageRecords(
        ImageRecord(write_image(tmp_path / f"{number}.png", size, number), *size) for number, size in enumerate(sizes)
    )


def test_equal_pixels_in_memory_on_disk_and_on_demand(records: ImageRecords, tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    variants = [
        load_images(records, 64, "none"),
        load_images(records, 64, "ram", progress=lambda done, total: progress.append((done, total))),
        load_images(records, 64, "disk", tmp_path),
    ]
    assert [type(images) for images in variants] == [OnDemandImages, CachedImages, CachedImages]
    for index in range(len(records)):
        first, *others = (images[index] for images in variants)
        assert max(first.shape[:2]) == 64
        assert all(np.array_equal(first, other) for other in others)
    assert progress == [(done, 4) for done in (1, 2, 3, 4)]


def test_the_temporary_file_has_no_name(records: ImageRecords, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    images = load_images(records, 64, "disk", tmp_path)
    assert set(tmp_path.iterdir()) == before
    assert images[0].any()


@pytest.mark.parametrize("shared_by", [1, 4])
def test_auto_keeps_images_that_need_a_small_part_of_the_available_memory(
    records: ImageRecords, monkeypatch: pytest.MonkeyPatch, shared_by: int
) -> None:
    needed = sum(OnDemandImages(records, 64)[index].size for index in range(4))
    enough = needed * shared_by / image_store.MAX_MEMORY_FRACTION
    for available, expected in ((enough + 1, CachedImages), (enough - 1, OnDemandImages)):
        monkeypatch.setattr(image_store, "available_memory", lambda available=available: available)
        assert isinstance(load_images(records, 64, "auto", shared_by=shared_by), expected)


def test_available_memory_is_less_than_the_memory_of_the_machine() -> None:
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    assert 0 < image_store.available_memory() < int(line.split()[1]) * 1024


@pytest.mark.parametrize("cache", ["ram", "disk", "none"])
def test_an_image_that_was_removed_is_an_error(
    records: ImageRecords, tmp_path: Path, cache: image_store.ImageCache
) -> None:
    (tmp_path / "2.png").unlink()
    with pytest.raises(DataError, match=r"2\.png"):
        load_images(records, 64, cache, tmp_path)[2]


@pytest.mark.parametrize("cache", ["ram", "disk", "none"])
def test_an_image_whose_size_has_changed_is_an_error(
    records: ImageRecords, tmp_path: Path, cache: image_store.ImageCache
) -> None:
    write_image(tmp_path / "2.png", (100, 200))
    with pytest.raises(
        DataError, match=r"2\.png: the image has 100x200 pixels, but had 200x100 when the data set was read"
    ):
        load_images(records, 64, cache, tmp_path)[2]
