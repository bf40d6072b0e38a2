"""Which images make up which batch: a function of seed and epoch alone."""

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
    """One place in an epoch, and the image that fills it.

    Attributes:
        epoch: From 0.
        position: Place in the epoch, over all processes, from 0: seeds the augmentation.
        image: Number of the image.
        shape: Height and width of the batch's canvas in pixels.
    """

    epoch: int
    position: int
    image: int
    shape: tuple[int, int]


class TrainingBatchSampler(Sampler[list[SampleIndex]]):
    """The batches of each epoch, this process's share of them.

    The order depends on seed and epoch only: not on workers, processes, or what ran before. Every process has as many
    images in every batch, and never a single one, of which batch norms know no deviation: the last batch is filled up
    from the epoch's beginning.

    Args:
        images: Number of images.
        batch_size: Images per batch, over all processes; a multiple of their number.
        shape: Height and width of the canvases in pixels; one for all, or one per image (`--rect`).
        seed: Of the order.
        rank: Number of this process.
        world_size: Number of processes.

    Example:
        >>> batches = TrainingBatchSampler(5, 3, (64, 64), seed=0)
        >>> [len(batch) for batch in batches], sorted(draw.image for batch in batches for draw in batch)
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
        """(images,) probabilities to draw by, with replacement; None: every image once."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.images / self.batch_size)

    def __iter__(self) -> Iterator[list[SampleIndex]]:
        # Taken now: a worker's batches may still be asked for when the next epoch is set.
        epoch, order = self.epoch, self._order()
        filled = np.concatenate([order, order[np.arange(self._missing()) % len(order)]]).tolist()
        for start in range(0, len(filled), self.batch_size):
            images = filled[start : start + self.batch_size]
            shape = self._shape(images)
            batch = [SampleIndex(epoch, start + offset, image, shape) for offset, image in enumerate(images)]
            yield batch[self.rank :: self.world_size]

    def _missing(self) -> int:
        """Return how many images fill up the last batch."""
        last = self.images % self.batch_size
        least = min(2 * self.world_size, self.batch_size)
        return max(-last % self.world_size, least - last) if last else 0

    def _order(self) -> NDArray[np.int64]:
        generator = np.random.default_rng([self.seed, self.epoch])
        if self.weights is not None:
            return generator.choice(self.images, self.images, p=self.weights / self.weights.sum())
        if isinstance(self.shape, tuple):
            return generator.permutation(self.images)
        # Images of like shapes share a batch; the batches come in any order, the short one last.
        by_shape = np.lexsort((self.shape[:, 0], self.shape[:, 0] / self.shape[:, 1]))
        whole = self.images // self.batch_size
        blocks = by_shape[: whole * self.batch_size].reshape(whole, self.batch_size)
        return np.concatenate([generator.permutation(blocks).reshape(-1), by_shape[whole * self.batch_size :]])

    def _shape(self, images: list[int]) -> tuple[int, int]:
        if isinstance(self.shape, tuple):
            return self.shape
        height, width = self.shape[images].max(0).tolist()
        return height, width


def image_weights(records: ImageRecords, num_classes: int, found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (images,) weights, of sum 1, by which images of rare and badly found classes are drawn more often.

    An image weighs as much as its objects together, an object 1 / (number of its class) times the square of the share
    that is not found.

    Args:
        records: The training images.
        num_classes: Number of classes.
        found: (classes,) average precision in 0-1; 0 before anything is known.

    Example:
        >>> from pathlib import Path
        >>> from attendet.data.records import ImageRecord
        >>> def image(*classes): return ImageRecord(Path("a.jpg"), 9, 9, np.ones((len(classes), 4)), np.array(classes),
        ...                                    np.zeros(len(classes), bool))
        >>> image_weights(ImageRecords([image(0, 0, 0), image(0, 1)]), 2, np.array([0.0, 0.0])).tolist()
        [0.375, 0.625]
    """
    taken = ~records.crowd
    counts = np.bincount(records.classes[taken], minlength=num_classes)
    # What is found perfectly is still shown, or there may be nothing left to draw.
    of_class = np.maximum(1 - found, 0.01) ** 2 / np.maximum(counts, 1)
    images = records.image_indices()[taken]
    weights = np.bincount(images, weights=of_class[records.classes[taken]], minlength=len(records))
    return weights / weights.sum()
