"""Splits → loaders, for Lightning."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from attendet.data.loading.augmentation import Augmentation
from attendet.data.loading.datasets import Batch, TrainingDataset, ValidationBatch, ValidationDataset
from attendet.data.loading.image_store import Cache, Images, load_images
from attendet.data.loading.resizing import canvas_shapes
from attendet.data.loading.sampler import TrainingBatchSampler
from attendet.data.records import Split

MOST_WORKERS = 8


@dataclass(frozen=True)
class LoaderConfig:
    """How images reach the network.

    Attributes:
        size: Side of the training images in pixels.
        stride: Largest stride of the network; sides are multiples of it.
        batch_size: Images per batch, over all processes.
        seed: Of order and augmentation.
        cache: Where decoded images are kept.
        workers: Processes that make batches; None leaves the network a processor or two.
        rect: Batches of images of like shapes, without mosaic.
        mosaic_epochs: Epochs with mosaic; None: all.
        folder: Where `cache="disk"` keeps its file.
        processes: How many on this machine decode images each for itself, and so share its memory.
    """

    size: int
    stride: int
    batch_size: int
    seed: int = 0
    cache: Cache = "auto"
    workers: int | None = None
    rect: bool = False
    mosaic_epochs: int | None = None
    folder: Path | None = None
    processes: int = 1


class DetectionData(LightningDataModule):
    """The loaders of a training run.

    Args:
        train: Images to train on.
        val: Images to measure on.
        loading: How they reach the network.
        augment: How training images are varied.
        progress: Called with (done, total) while images are decoded.
    """

    def __init__(
        self,
        train: Split,
        val: Split,
        loading: LoaderConfig,
        augment: Augmentation,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        super().__init__()
        self.train_split, self.val_split, self.loading, self.augment = train, val, loading, augment
        self._progress = progress
        self._images: dict[str, Images] = {}
        self.batches: TrainingBatchSampler | None = None
        self.image_weights: NDArray[np.float64] | None = None

    def weigh_images(self, weights: NDArray[np.float64]) -> None:
        """SampleIndex training images by these weights (images,), from the next epoch on."""
        self.image_weights = weights
        if self.batches is not None:
            self.batches.weights = weights

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {} if self.image_weights is None else {"image_weights": self.image_weights.tolist()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        if "image_weights" in state_dict:
            self.image_weights = np.array(state_dict["image_weights"])

    def prepare(self) -> None:
        """Decode the images, where they are kept; otherwise nothing."""
        for split in (self.train_split, self.val_split):
            if split.name not in self._images:
                self._images[split.name] = load_images(
                    split.records,
                    self.loading.size,
                    self.loading.cache,
                    self.loading.folder,
                    self._progress,
                    sharers=2 * self.loading.processes,
                )

    def setup(self, stage: str) -> None:  # noqa: ARG002
        """Decode the images; Lightning calls it in every process."""
        self.prepare()

    def training_dataset(self) -> TrainingDataset:
        """Return the augmented images."""
        self.prepare()
        loading, records = self.loading, self.train_split.records
        mosaic_epochs = 0 if loading.rect else loading.mosaic_epochs
        images = self._images[self.train_split.name]
        return TrainingDataset(records, images, self.augment, loading.size, loading.seed, mosaic_epochs)

    def batch_sampler(self) -> TrainingBatchSampler:
        """Return the order of the images, this process's share."""
        loading, sizes = self.loading, self.train_split.records.sizes
        square = (loading.size, loading.size)
        return TrainingBatchSampler(
            len(sizes),
            loading.batch_size,
            canvas_shapes(sizes, loading.size, loading.stride) if loading.rect else square,
            seed=loading.seed,
            rank=self._rank(),
            world_size=self._world_size(),
        )

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the batches of an epoch, this process's share."""
        self.batches = self.batch_sampler()
        # Workers are given the first batches before Lightning tells the epoch, which is not 0 in a resumed run; at this
        # moment only the loop's own count is right.
        count: Any = self.trainer.fit_loop.epoch_progress.current if self.trainer else None
        self.batches.set_epoch(count.processed if count else 0)
        self.batches.weights = self.image_weights
        return loader(self.training_dataset(), self.batches, self.loading.workers)

    def val_dataloader(self) -> DataLoader[ValidationBatch]:
        """Return the batches to measure on, this process's share."""
        self.prepare()
        loading = self.loading
        images = self._images[self.val_split.name]
        dataset = ValidationDataset(self.val_split.records, images, loading.size, loading.stride)
        share = max(1, loading.batch_size // self._world_size())
        return loader(dataset, dataset.batches(share, self._rank(), self._world_size()), loading.workers)

    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer else 1


def loader(dataset: TrainingDataset | ValidationDataset, batches: object, workers: int | None = None) -> DataLoader:
    """Return a loader whose batches the data set makes whole.

    Workers are forked, so that they share the decoded images; each computes on one thread.
    """
    count = default_workers() if workers is None else workers
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=batches,  # pyright: ignore[reportArgumentType]
        num_workers=count,
        persistent_workers=count > 0,
        multiprocessing_context="fork" if count else None,
        worker_init_fn=settle if count else None,
        pin_memory=torch.cuda.is_available(),
    )


def default_workers() -> int:
    """Return how many processes make batches: none where they and the network would take turns on few processors."""
    processors = len(os.sched_getaffinity(0))
    return min(MOST_WORKERS, processors - 1) if torch.cuda.is_available() or processors > 4 else 0


def settle(_: int) -> None:
    """Compute on one thread, and leave Ctrl-C and its report to the main process."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    # Ctrl-C reaches the whole group; the main process ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # It may do so while it is being handed a batch, which the thread that hands it over would report.
    sys.excepthook = _unless_hung_up


def _unless_hung_up(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not isinstance(error, EOFError | ConnectionError):
        sys.__excepthook__(kind, error, trace)
