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
    told: list[tuple[int, int]] = []
    kinds = [
        load_images(records, 64, "none"),
        load_images(records, 64, "ram", progress=lambda done, total: told.append((done, total))),
        load_images(records, 64, "disk", tmp_path),
    ]
    assert [type(kind) for kind in kinds] == [OnDemandImages, CachedImages, CachedImages]
    for index in range(len(records)):
        first, *others = (kind[index] for kind in kinds)
        assert max(first.shape[:2]) == 64
        assert all(np.array_equal(first, other) for other in others)
    assert told == [(done, 4) for done in (1, 2, 3, 4)]


def test_the_file_on_disk_has_no_name(records: ImageRecords, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    images = load_images(records, 64, "disk", tmp_path)
    assert set(tmp_path.iterdir()) == before
    assert images[0].any()


@pytest.mark.parametrize("sharers", [1, 4])
def test_auto_keeps_what_is_a_small_part_of_the_free_memory(
    records: ImageRecords, monkeypatch: pytest.MonkeyPatch, sharers: int
) -> None:
    needed = sum(OnDemandImages(records, 64)[index].size for index in range(4))
    enough = needed * sharers / image_store.MAX_MEMORY_FRACTION
    for free, kind in ((enough + 1, CachedImages), (enough - 1, OnDemandImages)):
        monkeypatch.setattr(image_store, "available_memory", lambda free=free: free)
        assert isinstance(load_images(records, 64, "auto", sharers=sharers), kind)


def test_free_memory_is_what_the_kernel_says() -> None:
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    assert 0 < image_store.available_memory() < int(line.split()[1]) * 1024


@pytest.mark.parametrize("cache", ["ram", "disk", "none"])
def test_an_image_that_has_gone_is_named(records: ImageRecords, tmp_path: Path, cache: image_store.ImageCache) -> None:
    (tmp_path / "2.png").unlink()
    with pytest.raises(DataError, match=r"2\.png"):
        load_images(records, 64, cache, tmp_path)[2]


@pytest.mark.parametrize("cache", ["ram", "disk", "none"])
def test_an_image_that_has_changed_its_size_is_named(
    records: ImageRecords, tmp_path: Path, cache: image_store.ImageCache
) -> None:
    write_image(tmp_path / "2.png", (100, 200))
    with pytest.raises(DataError, match=r"2\.png: it has 100x200 pixels, and had 200x100"):
        load_images(records, 64, cache, tmp_path)[2]
