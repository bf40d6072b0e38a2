"""Records → samples → batches of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from attendet.data.loading.augmentation import (
    Augmentation,
    TrainingSample,
    blend,
    boxed,
    flip,
    jitter_colors,
    mosaic,
    warp,
)
from attendet.data.loading.image_store import Images
from attendet.data.loading.resizing import Letterbox, canvas_shapes, letterbox
from attendet.data.loading.sampler import SampleIndex
from attendet.data.records import ImageRecord, ImageRecords


class Batch(NamedTuple):
    """Images and their objects.

    Attributes:
        images: (N, 3, H, W) uint8, RGB.
        targets: (T, 6) float32: image in the batch, class, x, y of the center, width and height in 0-1.
    """

    images: Tensor
    targets: Tensor


class ValidationBatch(NamedTuple):
    """A batch for validation: the records it comes from, and how each lies on its canvas."""

    batch: Batch
    records: tuple[ImageRecord, ...]
    letterboxes: tuple[Letterbox, ...]


class TrainingDataset(Dataset[Batch]):
    """Batches of augmented samples. What a draw gives depends on the draw and the seed alone.

    Args:
        records: Images and objects; crowds are not trained on.
        images: The decoded images.
        options: How they are varied.
        size: Side of the training images in pixels.
        seed: Of the augmentation.
        mosaic_epochs: Epochs with mosaic; after them whole images are shown. None: all.
    """

    def __init__(
        self,
        records: ImageRecords,
        images: Images,
        options: Augmentation,
        size: int,
        seed: int,
        mosaic_epochs: int | None = None,
    ) -> None:
        self.records, self.images, self.options, self.size, self.seed = records, images, options, size, seed
        self.mosaic_epochs = mosaic_epochs

    def __getitem__(self, draws: Sequence[SampleIndex]) -> Batch:
        return collate([self.sample(draw) for draw in draws])

    def sample(self, draw: SampleIndex) -> tuple[Tensor, Tensor]:
        """Return the image (3, H, W) and objects (objects, 5) of one draw."""
        generator = np.random.default_rng([self.seed, draw.epoch, draw.position])
        has_mosaic = self.mosaic_epochs is None or draw.epoch < self.mosaic_epochs
        if generator.random() < self.options.mosaic and has_mosaic:
            sample = self._mosaic(draw, generator)
            if generator.random() < self.options.mixup:
                other = int(generator.integers(len(self.records)))
                sample = blend(sample, self._mosaic(replace(draw, image=other), generator), generator)
        else:
            sample = warp(boxed(self._load(draw.image), draw.shape), draw.shape, self.options, generator)
        sample = flip(jitter_colors(sample, self.options, generator), self.options, generator)
        return to_tensor(sample.image), normalized(sample.boxes, sample.classes, draw.shape)

    def _mosaic(self, draw: SampleIndex, generator: Generator) -> TrainingSample:
        others = generator.integers(len(self.records), size=3).tolist()
        joined = mosaic([self._load(image) for image in (draw.image, *others)], self.size, generator)
        return warp(joined, draw.shape, self.options, generator)

    def _load(self, index: int) -> TrainingSample:
        record, image = self.records[index], self.images[index]
        kept = ~record.crowd
        scale = np.array(image.shape[1::-1]) / [record.width, record.height]
        return TrainingSample(image, record.boxes[kept] * np.tile(scale, 2), record.classes[kept])


class ValidationDataset(Dataset[ValidationBatch]):
    """Batches of images letterboxed as they are, with what measuring needs to know.

    Args:
        records: Images and objects.
        images: The decoded images.
        size: Their longer side in pixels.
        stride: Sides of the canvases are multiples of it.
    """

    def __init__(self, records: ImageRecords, images: Images, size: int, stride: int) -> None:
        self.records, self.images, self.size = records, images, size
        self.shapes = canvas_shapes(records.sizes, size, stride)

    def __getitem__(self, indices: Sequence[int]) -> ValidationBatch:
        height, width = self.shapes[list(indices)].max(0).tolist()
        samples = [self._sample(index, (height, width)) for index in indices]
        images, targets, records, letterboxes = zip(*samples, strict=True)
        return ValidationBatch(collate(list(zip(images, targets, strict=True))), records, letterboxes)

    def batches(self, batch_size: int, rank: int = 0, world_size: int = 1) -> list[list[int]]:
        """Return this process's share of the images, those of like shapes together: little of a canvas is empty."""
        height, width = self.shapes.T
        order = np.lexsort((height, height / width)).tolist()[rank::world_size]
        return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]

    def _sample(self, index: int, shape: tuple[int, int]) -> tuple[Tensor, Tensor, ImageRecord, Letterbox]:
        record = self.records[index]
        height, width = shape
        image = self.images[index]
        canvas, placed = letterbox(image, self.size, shape)
        scale = (image.shape[1] / record.width, image.shape[0] / record.height)
        placed = Letterbox(scale, placed.left, placed.top)
        kept = ~record.crowd
        targets = normalized(placed.to_canvas(record.boxes[kept]), record.classes[kept], (height, width))
        return to_tensor(canvas), targets, record, placed


def collate(samples: Sequence[tuple[Tensor, Tensor]]) -> Batch:
    """Return the batch of samples of one shape."""
    images, targets = zip(*samples, strict=True)
    numbered = [
        torch.cat([torch.full((len(objects), 1), float(image)), objects], dim=1)
        for image, objects in enumerate(targets)
    ]
    return Batch(torch.stack(images), torch.cat(numbered))


def to_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Return an image (H, W, 3) as a tensor (3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def normalized(boxes: NDArray[np.float64], classes: NDArray[np.int64], shape: tuple[int, int]) -> Tensor:
    """Return (objects, 5): class, x, y of the center, width and height in 0-1.

    Args:
        boxes: (objects, 4) x1, y1, x2, y2 in pixels.
        classes: (objects,).
        shape: Height and width of the image in pixels.

    Example:
        >>> normalized(np.array([[0.0, 0, 32, 64]]), np.array([2]), (64, 64)).tolist()
        [[2.0, 0.25, 0.5, 0.5, 1.0]]
    """
    centers, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    placed = np.concatenate([centers, sides], axis=1) / np.tile(shape[::-1], 2)
    return torch.from_numpy(np.concatenate([classes[:, None], placed], axis=1)).float()
