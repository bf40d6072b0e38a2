"""The images of each training batch, as a function of the seed and the epoch alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from attendet.data.records import ImageRecords


@dataclass(frozen=True)
class SampleIndex:
    """A position in an epoch, and the image at this position.

    The epoch and the position seed the augmentation of the sample.

    Attributes:
        epoch: Epoch, from 0.
        position: Position in the epoch, from 0, over all processes.
        image: Index of the image.
        shape: Height and width of the canvases in the batch, in pixels.
    """

    epoch: int
    position: int
    image: int
    shape: tuple[int, int]


class TrainingBatchSampler(Sampler[list[SampleIndex]]):
    """A sampler of training batches, which yields the part of each batch that belongs to this process.

    The order depends on the seed and the epoch only, not on the number of workers or processes, nor on earlier epochs.
    In each batch, all processes have the same number of images, and at least two if the batch size allows it: batch
    normalization cannot compute a variance from one. To this end, the last batch is filled up with images from the
    beginning of the epoch.

    Args:
        images: Number of images.
        batch_size: Images per batch, over all processes; a multiple of their number.
        shape: Height and width of all canvases in pixels; or (images, 2), the canvas of each image, for batches of
            images with similar shapes (`--rect`).
        seed: Seed of the order.
        rank: Index of this process.
        world_size: Number of processes.

    Attributes:
        epoch: The epoch that iteration yields.
        weights: (images,) relative probabilities of drawing each image, with replacement; None draws each image once.

    Example:
        >>> batches = TrainingBatchSampler(5, 3, (64, 64), seed=0)
        >>> [len(batch) for batch in batches], sorted(sample.image for batch in batches for sample in batch)
        ([3, 2], [0, 1, 2, 3, 4])
    """

    def __init__(
        self,
        images: int,
        batch_size: int,
        shape: tuple[int, int] | NDArray[np.int64],
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.images, self.batch_size, self.shape = images, batch_size, shape
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.epoch = 0
        self.weights: NDArray[np.float64] | None = None

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that iteration yields."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.images / self.batch_size)

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        # Read once: workers may still request batches of this epoch after the next one is set.
        epoch, order = self.epoch, self._order()
        filled = np.concatenate([order, order[np.arange(self._missing()) % len(order)]]).tolist()
        for start in range(0, len(filled), self.batch_size):
            images = filled[start : start + self.batch_size]
            shape = self._shape(images)
            batch = [SampleIndex(epoch, start + offset, image, shape) for offset, image in enumerate(images)]
            yield batch[self.rank :: self.world_size]

    def _missing(self) -> int:
        """Return the number of images that fill up the last batch."""
        last = self.images % self.batch_size
        minimum = min(2 * self.world_size, self.batch_size)
        return max(-last % self.world_size, minimum - last) if last else 0

    def _order(self) -> NDArray[np.int64]:
        generator = np.random.default_rng([self.seed, self.epoch])
        if self.weights is not None:
            return generator.choice(self.images, self.images, p=self.weights / self.weights.sum())
        if isinstance(self.shape, tuple):
            return generator.permutation(self.images)
        # Images of similar shapes share a batch. The batches come in random order, the incomplete one last.
        by_shape = np.lexsort((self.shape[:, 0], self.shape[:, 0] / self.shape[:, 1]))
        complete = self.images // self.batch_size
        batches = by_shape[: complete * self.batch_size].reshape(complete, self.batch_size)
        return np.concatenate([generator.permutation(batches).reshape(-1), by_shape[complete * self.batch_size :]])

    def _shape(self, images: list[int]) -> tuple[int, int]:
        if isinstance(self.shape, tuple):
            return self.shape
        height, width = self.shape[images].max(0).tolist()
        return height, width


def image_weights(
    records: ImageRecords, num_classes: int, average_precision: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return weights by which images with rare or badly detected classes are drawn more often.

    The weight of an image is the sum of the weights of its objects. The weight of an object is (1 - AP)² of its class,
    divided by the number of objects of the class.

    Args:
        records: The training images.
        num_classes: Number of classes.
        average_precision: (num_classes,) average precision of each class, 0-1; 0 before it has been measured.

    Returns:
        (images,) weights with sum 1.

    Example:
        >>> from pathlib import Path
        >>> from attendet.data.records import ImageRecord
        >>> def image(*classes):
        ...     count = len(classes)
        ...     return ImageRecord(Path("a.jpg"), 9, 9, np.ones((count, 4)), np.array(classes), np.zeros(count, bool))
        >>> image_weights(ImageRecords([image(0, 0, 0), image(0, 1)]), 2, np.array([0.0, 0.0])).tolist()
        [0.375, 0.625]
    """
    used = ~records.crowd
    counts = np.bincount(records.classes[used], minlength=num_classes)
    # With a weight of 0 for classes that are detected perfectly, no image might be left to draw.
    class_weights = np.maximum(1 - average_precision, 0.01) ** 2 / np.maximum(counts, 1)
    images = records.image_indices()[used]
    weights = np.bincount(images, weights=class_weights[records.classes[used]], minlength=len(records))
    return weights / weights.sum()
