"""Datasets of training and validation batches: from records and decoded images to tensors."""

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
    flip,
    jitter_colors,
    mixup,
    mosaic,
    pad,
    warp,
)
from attendet.data.loading.canvases import CanvasRule, canvas_shapes
from attendet.data.loading.image_store import DecodedImages
from attendet.data.loading.resizing import ImageSize, Letterbox, place_on_canvas
from attendet.data.loading.sampler import SampleIndex
from attendet.data.records import ImageRecord, ImageRecords


class Batch(NamedTuple):
    """Images and their objects.

    Attributes:
        images: (N, 3, H, W) uint8, RGB.
        targets: (T, 6) float32: index of the image in the batch, class index, center x, center y, width, and height in
            0-1 of the image.
    """

    images: Tensor
    targets: Tensor


class ValidationBatch(NamedTuple):
    """A batch with the records of its images, and the scale and position of each image on its canvas."""

    batch: Batch
    records: tuple[ImageRecord, ...]
    letterboxes: tuple[Letterbox, ...]


class TrainingDataset(Dataset[Batch]):
    """Batches of augmented samples; a sample depends on its index and the seed alone.

    Args:
        records: Images and objects. Groups of objects (crowds) are left out.
        images: The decoded images.
        options: Ranges and probabilities of augmentations.
        imgsz: Side of the training images in pixels.
        seed: Seed of the augmentation.
        mosaic_epochs: Number of epochs with mosaic, after which single images are used; None for all epochs.
    """

    def __init__(
        self,
        records: ImageRecords,
        images: DecodedImages,
        options: Augmentation,
        imgsz: int,
        seed: int,
        mosaic_epochs: int | None = None,
    ) -> None:
        self.records, self.images, self.options, self.imgsz, self.seed = records, images, options, imgsz, seed
        self.mosaic_epochs = mosaic_epochs

    def __getitem__(self, indices: Sequence[SampleIndex]) -> Batch:
        return collate([self.sample(index) for index in indices])

    def sample(self, index: SampleIndex) -> tuple[Tensor, Tensor]:
        """Return the image (3, H, W) uint8 and the objects (objects, 5), as in `normalize_targets`, of a sample."""
        generator = np.random.default_rng([self.seed, index.epoch, index.position])
        in_mosaic_epoch = self.mosaic_epochs is None or index.epoch < self.mosaic_epochs
        if generator.random() < self.options.mosaic and in_mosaic_epoch:
            sample = self._mosaic(index, generator)
            if generator.random() < self.options.mixup:
                other = int(generator.integers(len(self.records)))
                sample = mixup(sample, self._mosaic(replace(index, image=other), generator), generator)
        else:
            sample = warp(pad(self._load(index.image), index.shape), index.shape, self.options, generator)
        sample = flip(jitter_colors(sample, self.options, generator), self.options, generator)
        return image_to_tensor(sample.image), normalize_targets(sample.boxes, sample.classes, index.shape)

    def _mosaic(self, index: SampleIndex, generator: Generator) -> TrainingSample:
        others = generator.integers(len(self.records), size=3).tolist()
        joined = mosaic([self._load(image) for image in (index.image, *others)], self.imgsz, generator)
        return warp(joined, index.shape, self.options, generator)

    def _load(self, image_index: int) -> TrainingSample:
        record, image = self.records[image_index], self.images[image_index]
        used = ~record.crowd
        scale = np.array(image.shape[1::-1]) / [record.width, record.height]
        return TrainingSample(image, record.boxes[used] * np.tile(scale, 2), record.classes[used])


class ValidationDataset(Dataset[ValidationBatch]):
    """Batches of letterboxed images without augmentation, with the information that evaluation needs.

    Args:
        records: Images and objects.
        images: The decoded images.
        imgsz: Longer side of a scaled image in pixels, or height and width of all canvases.
        stride: Largest stride of the network in pixels; the sides of canvases are multiples of it.
        canvas: How the shape of the canvas of each image is chosen.
    """

    def __init__(
        self,
        records: ImageRecords,
        images: DecodedImages,
        imgsz: ImageSize,
        stride: int,
        canvas: CanvasRule = "border",
    ) -> None:
        self.records, self.images = records, images
        self.shapes = canvas_shapes(records.sizes, imgsz, stride, canvas)

    def __getitem__(self, indices: Sequence[int]) -> ValidationBatch:
        height, width = self.shapes[indices[0]].tolist()
        samples = [self._sample(index, (height, width)) for index in indices]
        images, targets, records, letterboxes = zip(*samples, strict=True)
        return ValidationBatch(collate(list(zip(images, targets, strict=True))), records, letterboxes)

    def batches(self, batch_size: int, rank: int = 0, world_size: int = 1) -> list[list[int]]:
        """Return the image indices of each batch of a process; the images of a batch have canvases of one shape.

        So the detections of an image do not depend on the images in its batch.

        Args:
            batch_size: Images per batch of this process.
            rank: Index of this process.
            world_size: Number of processes, among which the images are divided.
        """
        groups: dict[tuple[int, int], list[int]] = {}
        for index, (height, width) in enumerate(self.shapes.tolist()):
            groups.setdefault((height, width), []).append(index)
        batches = [
            group[start : start + batch_size]
            for _, group in sorted(groups.items())
            for start in range(0, len(group), batch_size)
        ]
        return batches[rank::world_size]

    def _sample(self, index: int, shape: tuple[int, int]) -> tuple[Tensor, Tensor, ImageRecord, Letterbox]:
        record = self.records[index]
        # The decoded image is scaled already: the scale of the letterbox refers to the image file.
        canvas, position = place_on_canvas(self.images[index], shape, (record.height, record.width))
        used = ~record.crowd
        targets = normalize_targets(position.to_canvas(record.boxes[used]), record.classes[used], shape)
        return image_to_tensor(canvas), targets, record, position


def collate(samples: Sequence[tuple[Tensor, Tensor]]) -> Batch:
    """Combine samples into a batch.

    Args:
        samples: Images (3, H, W) of equal shape, each with its objects (objects, 5), as in `normalize_targets`.

    Example:
        >>> batch = collate([(torch.zeros(3, 8, 8), torch.ones(2, 5)), (torch.zeros(3, 8, 8), torch.ones(1, 5))])
        >>> batch.images.shape, batch.targets[:, 0].tolist()
        (torch.Size([2, 3, 8, 8]), [0.0, 0.0, 1.0])
    """
    images, targets = zip(*samples, strict=True)
    numbered = [
        torch.cat([torch.full((len(objects), 1), float(image)), objects], dim=1)
        for image, objects in enumerate(targets)
    ]
    return Batch(torch.stack(images), torch.cat(numbered))


def image_to_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Convert an image (H, W, 3) to a tensor (3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def normalize_targets(boxes: NDArray[np.float64], classes: NDArray[np.int64], shape: tuple[int, int]) -> Tensor:
    """Convert objects to targets of the loss.

    Args:
        boxes: (objects, 4) x1, y1, x2, y2 in pixels.
        classes: (objects,) class indices.
        shape: Height and width of the image in pixels.

    Returns:
        (objects, 5) float32: class index, center x, center y, width, and height in 0-1 of the image.

    Example:
        >>> normalize_targets(np.array([[0.0, 0, 32, 64]]), np.array([2]), (64, 64)).tolist()
        [[2.0, 0.25, 0.5, 0.5, 1.0]]
    """
    centers, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    normalized = np.concatenate([centers, sides], axis=1) / np.tile(shape[::-1], 2)
    return torch.from_numpy(np.concatenate([classes[:, None], normalized], axis=1)).float()
