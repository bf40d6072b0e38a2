"""Batches of real loaders: the same images for any number of workers and processes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attendet.data.loading import image_store
from attendet.data.loading.augmentation import Augmentation
from attendet.data.loading.data_module import DetectionData, LoaderConfig, make_loader
from attendet.data.loading.datasets import Batch, TrainingDataset, ValidationDataset
from attendet.data.loading.image_store import CachedImages, OnDemandImages
from attendet.data.loading.resizing import FILL
from attendet.data.loading.sampler import SampleIndex, TrainingBatchSampler, image_weights
from attendet.data.records import ImageRecord, ImageRecords, Split
from tests.helpers.data_sets import write_image

SIZES = [(64, 48), (48, 64), (64, 64), (80, 40), (64, 48), (40, 80), (64, 64)]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> ImageRecords:
    """Seven images of noise of several shapes, with one object each but the last, which has a crowd too."""
    folder = tmp_path_factory.mktemp("images")
    made = []
    for number, size in enumerate(SIZES):
        image = write_image(folder / f"{number}.png", size, seed=number)
        boxes = np.array([[8.0, 8, 30, 32], [0, 0, 40, 40]])
        crowd = np.array([False, True])
        kept = slice(0, 2 if number == 6 else 1)
        made.append(ImageRecord(image, *size, boxes[kept], np.array([number % 2, 0])[kept], crowd[kept]))
    return ImageRecords(made)


def data_of(records: ImageRecords, **options: Any) -> DetectionData:
    split = Split("train", ("cat", "dog"), records)
    loading = LoaderConfig(**{"size": 64, "stride": 32, "batch_size": 3, "seed": 5, "workers": 0, **options})
    return DetectionData(split, Split("val", split.names, records), loading, Augmentation(mixup=0.3))


def epoch(data: DetectionData, number: int) -> Iterator[Batch]:
    batches = data.train_dataloader()
    assert data.batches is not None
    data.batches.set_epoch(number)
    return iter(batches)


def equal(first: list[Batch], second: list[Batch]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a.images, b.images) and torch.equal(a.targets, b.targets)
        for a, b in zip(first, second, strict=True)
    )


def test_workers_change_nothing(records: ImageRecords) -> None:
    alone = list(epoch(data_of(records), 1))
    # One image alone would leave batch norms without a deviation.
    assert [len(batch.images) for batch in alone] == [3, 3, 2]
    assert sum(len(batch.targets) for batch in alone) > 3
    for workers in (1, 2):
        assert equal(alone, list(epoch(data_of(records, workers=workers), 1)))


def test_seed_and_epoch_change_everything(records: ImageRecords) -> None:
    first = list(epoch(data_of(records), 0))
    assert equal(first, list(epoch(data_of(records), 0)))
    assert not equal(first, list(epoch(data_of(records), 1)))
    assert not equal(first, list(epoch(data_of(records, seed=6), 0)))


def test_every_image_once_an_epoch_in_an_order_of_its_own() -> None:
    batches = TrainingBatchSampler(10, 4, (64, 64), seed=1)
    orders = []
    for number in range(3):
        batches.set_epoch(number)
        draws = [draw for batch in batches for draw in batch]
        assert sorted(draw.image for draw in draws) == list(range(10))
        assert [draw.position for draw in draws] == list(range(10))
        assert {draw.epoch for draw in draws} == {number}
        orders.append(tuple(draw.image for draw in draws))
    assert len(set(orders)) == 3
    assert len(batches) == 3


@pytest.mark.parametrize("images", [8, 12, 10])
def test_two_processes_share_the_batches_of_one(images: int) -> None:
    whole = list(TrainingBatchSampler(images, 4, (64, 64), seed=1))
    shares = [list(TrainingBatchSampler(images, 4, (64, 64), seed=1, rank=rank, world_size=2)) for rank in (0, 1)]
    for together, first, second in zip(whole, *shares, strict=True):
        assert len(first) == len(second)
        joined = sorted([*first, *second], key=lambda draw: draw.position)
        assert joined[: len(together)] == together


def test_a_batch_that_does_not_divide_is_filled_from_its_beginning() -> None:
    first, second = (list(TrainingBatchSampler(5, 4, (64, 64), seed=1, rank=r, world_size=2))[-1] for r in (0, 1))
    assert [len(first), len(second)] == [2, 2]


def test_rectangles_hold_images_of_like_shapes(records: ImageRecords) -> None:
    data = data_of(records, rect=True, batch_size=2)
    batches = list(epoch(data, 0))
    assert len(batches) == 4
    drawn = [draw.image for batch in data.batch_sampler() for draw in batch]
    assert (set(drawn), len(drawn)) == (set(range(7)), 8)
    assert all(side % 32 == 0 for batch in batches for side in batch.images.shape[2:])
    # Canvases of (height, width): the two flat ones share a batch, which stays flat.
    sizes = np.array([(48, 64), (32, 64), (64, 32), (32, 64)])
    wide = TrainingBatchSampler(4, 2, sizes, seed=0)
    assert sorted(batch[0].shape for batch in wide) == [(32, 64), (64, 64)]


def test_images_are_drawn_by_weight() -> None:
    batches = TrainingBatchSampler(3, 3, (64, 64), seed=0)
    batches.weights = np.array([0.0, 3.0, 1.0])
    drawn = np.zeros(3)
    for number in range(600):
        batches.set_epoch(number)
        for batch in batches:
            for draw in batch:
                drawn[draw.image] += 1
    np.testing.assert_allclose(drawn / drawn.sum(), [0, 0.75, 0.25], atol=0.04)


def test_weights_of_images() -> None:
    def image(*classes: int) -> ImageRecord:
        count = len(classes)
        return ImageRecord(Path("a.png"), 64, 64, np.ones((count, 4)), np.array(classes, int), np.zeros(count, bool))

    three = ImageRecords([image(0, 0), image(0, 1), image()])
    # Class 0: three objects, half found: (1/3)·0.25; class 1: one, nothing found: 1.
    expected = np.array([2 / 12, 1 / 12 + 1, 0])
    np.testing.assert_allclose(image_weights(three, 2, np.array([0.5, 0.0])), expected / expected.sum())
    # All found: no division by nothing.
    assert image_weights(three, 2, np.ones(2)).sum() == pytest.approx(1)


def test_a_crowd_is_not_trained_on(records: ImageRecords) -> None:
    dataset = TrainingDataset(
        records, OnDemandImages(records, 64), Augmentation(mosaic=0, scale=0, translate=0), 64, seed=0
    )
    _, objects = dataset.sample(SampleIndex(0, 0, 6, (64, 64)))
    assert len(objects) == 1


def test_mosaic_ends_when_it_should(records: ImageRecords) -> None:
    options = Augmentation(hsv_h=0, hsv_s=0, hsv_v=0, translate=0, scale=0, fliplr=0)
    dataset = TrainingDataset(records, OnDemandImages(records, 64), options, 64, seed=0, mosaic_epochs=2)
    before, _ = dataset.sample(SampleIndex(1, 0, 2, (64, 64)))
    after, _ = dataset.sample(SampleIndex(2, 0, 2, (64, 64)))
    whole = OnDemandImages(records, 64)[2].transpose(2, 0, 1)
    # A change of colors by nothing still goes through the bytes of hue and back.
    assert np.abs(after.numpy().astype(int) - whole).max() <= 8
    assert np.abs(before.numpy().astype(int) - whole).max() > 100


def test_validation_shows_each_image_once_as_it_is(records: ImageRecords) -> None:
    dataset = ValidationDataset(records, OnDemandImages(records, 64), 64, 32)
    shares = [dataset.batches(2, rank, 2) for rank in (0, 1)]
    assert sorted(index for share in shares for batch in share for index in batch) == list(range(7))
    for placed in make_loader(dataset, dataset.batches(2), 0):
        rows = placed.batch.targets
        for number, (record, letterbox) in enumerate(zip(placed.records, placed.letterboxes, strict=True)):
            height, width = placed.batch.images.shape[2:]
            canvas = placed.batch.images[number].numpy().transpose(1, 2, 0)
            # The image is noise, and its padding is gray.
            bottom = round(letterbox.top + record.height * letterbox.scale[1])
            right = round(letterbox.left + record.width * letterbox.scale[0])
            inside = np.zeros((height, width), bool)
            inside[letterbox.top : bottom, letterbox.left : right] = True
            assert (canvas[~inside] == FILL).all()
            assert canvas[inside].std() > 20
            x, y, w, h = (rows[rows[:, 0] == number][0, 2:].numpy() * [width, height, width, height]).tolist()
            box = np.array([[x - w / 2, y - h / 2, x + w / 2, y + h / 2]])
            np.testing.assert_allclose(letterbox.to_image(box), record.boxes[:1], atol=1e-3)


@pytest.mark.parametrize("processes", [1, 4])
def test_processes_share_the_memory_before_there_is_a_trainer(
    records: ImageRecords, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    needed = sum(OnDemandImages(records, 64)[index].size for index in range(len(records)))
    # Every process keeps two splits.
    enough = 2 * processes * needed / image_store.MAX_MEMORY_FRACTION
    for free, kind in ((enough + 1, CachedImages), (enough - 1, OnDemandImages)):
        monkeypatch.setattr(image_store, "available_memory", lambda free=free: free)
        data = data_of(records, processes=processes)
        assert isinstance(data.training_dataset().images, kind)
