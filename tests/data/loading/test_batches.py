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
    items = []
    for number, size in enumerate(SIZES):
        image = write_image(folder / f"{number}.png", size, seed=number)
        boxes = np.array([[8.0, 8, 30, 32], [0, 0, 40, 40]])
        crowd = np.array([False, True])
        used = slice(0, 2 if number == 6 else 1)
        items.append(ImageRecord(image, *size, boxes[used], np.array([number % 2, 0])[used], crowd[used]))
    return ImageRecords(items)


def make_data(records: ImageRecords, **options: Any) -> DetectionData:
    split = Split("train", ("cat", "dog"), records)
    loading = LoaderConfig(**{"imgsz": 64, "stride": 32, "batch_size": 3, "seed": 5, "workers": 0, **options})
    return DetectionData(split, Split("val", split.names, records), loading, Augmentation(mixup=0.3))


def epoch(data: DetectionData, number: int) -> Iterator[Batch]:
    batches = data.train_dataloader()
    assert data.batches is not None
    data.batches.set_epoch(number)
    return iter(batches)


def are_equal(first: list[Batch], second: list[Batch]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a.images, b.images) and torch.equal(a.targets, b.targets)
        for a, b in zip(first, second, strict=True)
    )


def test_batches_do_not_depend_on_the_number_of_workers(records: ImageRecords) -> None:
    expected = list(epoch(make_data(records), 1))
    # The last batch has two images: batch normalization cannot compute a variance from one.
    assert [len(batch.images) for batch in expected] == [3, 3, 2]
    assert sum(len(batch.targets) for batch in expected) > 3
    for workers in (1, 2):
        assert are_equal(expected, list(epoch(make_data(records, workers=workers), 1)))


def test_batches_depend_on_the_seed_and_the_epoch(records: ImageRecords) -> None:
    first = list(epoch(make_data(records), 0))
    assert are_equal(first, list(epoch(make_data(records), 0)))
    assert not are_equal(first, list(epoch(make_data(records), 1)))
    assert not are_equal(first, list(epoch(make_data(records, seed=6), 0)))


def test_each_epoch_has_every_image_once_in_another_order() -> None:
    batches = TrainingBatchSampler(10, 4, (64, 64), seed=1)
    orders = []
    for number in range(3):
        batches.set_epoch(number)
        samples = [sample for batch in batches for sample in batch]
        assert sorted(sample.image for sample in samples) == list(range(10))
        assert [sample.position for sample in samples] == list(range(10))
        assert {sample.epoch for sample in samples} == {number}
        orders.append(tuple(sample.image for sample in samples))
    assert len(set(orders)) == 3
    assert len(batches) == 3


@pytest.mark.parametrize("images", [8, 12, 10])
def test_two_processes_divide_the_batches_of_one(images: int) -> None:
    undivided = list(TrainingBatchSampler(images, 4, (64, 64), seed=1))
    parts = [list(TrainingBatchSampler(images, 4, (64, 64), seed=1, rank=rank, world_size=2)) for rank in (0, 1)]
    for batch, first, second in zip(undivided, *parts, strict=True):
        assert len(first) == len(second)
        joined = sorted([*first, *second], key=lambda sample: sample.position)
        assert joined[: len(batch)] == batch


def test_the_last_batch_is_filled_up_for_all_processes() -> None:
    first, second = (list(TrainingBatchSampler(5, 4, (64, 64), seed=1, rank=rank, world_size=2))[-1] for rank in (0, 1))
    assert [len(first), len(second)] == [2, 2]


def test_rectangular_batches_have_images_of_similar_shapes(records: ImageRecords) -> None:
    data = make_data(records, rect=True, batch_size=2)
    batches = list(epoch(data, 0))
    assert len(batches) == 4
    images = [sample.image for batch in data.batch_sampler() for sample in batch]
    assert (set(images), len(images)) == (set(range(7)), 8)
    assert all(side % 32 == 0 for batch in batches for side in batch.images.shape[2:])
    # Heights and widths of canvases. The two wide ones share a batch, whose canvas is wide as well.
    sizes = np.array([(48, 64), (32, 64), (64, 32), (32, 64)])
    wide = TrainingBatchSampler(4, 2, sizes, seed=0)
    assert sorted(batch[0].shape for batch in wide) == [(32, 64), (64, 64)]


def test_images_are_drawn_with_their_weights() -> None:
    batches = TrainingBatchSampler(3, 3, (64, 64), seed=0)
    batches.weights = np.array([0.0, 3.0, 1.0])
    drawn = np.zeros(3)
    for number in range(600):
        batches.set_epoch(number)
        for batch in batches:
            for sample in batch:
                drawn[sample.image] += 1
    np.testing.assert_allclose(drawn / drawn.sum(), [0, 0.75, 0.25], atol=0.04)


def test_image_weights_worked_out_by_hand() -> None:
    def image(*classes: int) -> ImageRecord:
        count = len(classes)
        return ImageRecord(Path("a.png"), 64, 64, np.ones((count, 4)), np.array(classes, int), np.zeros(count, bool))

    records = ImageRecords([image(0, 0), image(0, 1), image()])
    # Class 0 has three objects and AP 0.5: (1 - 0.5)² / 3 each. Class 1 has one object and AP 0: 1.
    expected = np.array([2 / 12, 1 / 12 + 1, 0])
    np.testing.assert_allclose(image_weights(records, 2, np.array([0.5, 0.0])), expected / expected.sum())
    # With AP 1 for all classes, the sum that weights are divided by is not 0.
    assert image_weights(records, 2, np.ones(2)).sum() == pytest.approx(1)


def test_crowds_are_not_used_for_training(records: ImageRecords) -> None:
    dataset = TrainingDataset(
        records, OnDemandImages(records, 64), Augmentation(mosaic=0, scale=0, translate=0), 64, seed=0
    )
    _, objects = dataset.sample(SampleIndex(0, 0, 6, (64, 64)))
    assert len(objects) == 1


def test_mosaic_ends_after_its_epochs(records: ImageRecords) -> None:
    options = Augmentation(hsv_h=0, hsv_s=0, hsv_v=0, translate=0, scale=0, fliplr=0)
    dataset = TrainingDataset(records, OnDemandImages(records, 64), options, 64, seed=0, mosaic_epochs=2)
    with_mosaic, _ = dataset.sample(SampleIndex(1, 0, 2, (64, 64)))
    without_mosaic, _ = dataset.sample(SampleIndex(2, 0, 2, (64, 64)))
    image = OnDemandImages(records, 64)[2].transpose(2, 0, 1)
    # Without a change of colors, the image is still converted to 8-bit HSV and back.
    assert np.abs(without_mosaic.numpy().astype(int) - image).max() <= 8
    assert np.abs(with_mosaic.numpy().astype(int) - image).max() > 100


def test_validation_batches_have_each_image_once_without_augmentation(records: ImageRecords) -> None:
    dataset = ValidationDataset(records, OnDemandImages(records, 64), 64, 32)
    parts = [dataset.batches(2, rank, 2) for rank in (0, 1)]
    for batch in dataset.batches(2):
        assert len({tuple(dataset.shapes[index].tolist()) for index in batch}) == 1
    assert sorted(index for part in parts for batch in part for index in batch) == list(range(7))
    for validation in make_loader(dataset, dataset.batches(2), 0):
        rows = validation.batch.targets
        for number, (record, letterbox) in enumerate(zip(validation.records, validation.letterboxes, strict=True)):
            height, width = validation.batch.images.shape[2:]
            canvas = validation.batch.images[number].numpy().transpose(1, 2, 0)
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


@pytest.mark.parametrize("local_processes", [1, 4])
def test_processes_divide_the_available_memory(
    records: ImageRecords, monkeypatch: pytest.MonkeyPatch, local_processes: int
) -> None:
    needed = sum(OnDemandImages(records, 64)[index].size for index in range(len(records)))
    # Every process keeps two splits.
    enough = 2 * local_processes * needed / image_store.MAX_MEMORY_FRACTION
    for available, expected in ((enough + 1, CachedImages), (enough - 1, OnDemandImages)):
        monkeypatch.setattr(image_store, "available_memory", lambda available=available: available)
        data = make_data(records, local_processes=local_processes)
        assert isinstance(data.training_dataset().images, expected)
