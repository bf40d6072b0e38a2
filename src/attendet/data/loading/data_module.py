"""Data loaders of a training run, for Lightning."""

from __future__ import annotations

import multiprocessing
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
from attendet.data.loading.canvases import CanvasRule, canvas_shapes
from attendet.data.loading.datasets import Batch, TrainingDataset, ValidationBatch, ValidationDataset
from attendet.data.loading.image_store import DecodedImages, ImageCache, load_images
from attendet.data.loading.sampler import TrainingBatchSampler
from attendet.data.records import Split
from attendet.utils.processes.child_processes import end_with_parent

_MAX_WORKERS = 8


@dataclass(frozen=True)
class LoaderConfig:
    """Options of data loaders.

    Attributes:
        imgsz: Side of the training images in pixels.
        stride: Largest stride of the network in pixels; sides of canvases are multiples of it.
        batch_size: Images per batch, over all processes.
        seed: Seed of the order and of the augmentation.
        cache: Storage of decoded images; see `load_images`.
        workers: Number of processes that make batches; None chooses by the number of processors.
        rect: Whether a training batch has images of similar shapes, without mosaic.
        mosaic_epochs: Number of epochs with mosaic; None for all.
        cache_folder: Folder for the file of `cache="disk"`; None for the folder of temporary files.
        local_processes: Number of processes on this machine that keep decoded images, each its own copy.
        canvas: How the shape of the canvas of a validation image is chosen.
    """

    imgsz: int
    stride: int
    batch_size: int
    seed: int = 0
    cache: ImageCache = "auto"
    workers: int | None = None
    rect: bool = False
    mosaic_epochs: int | None = None
    cache_folder: Path | None = None
    local_processes: int = 1
    canvas: CanvasRule = "border"


class DetectionData(LightningDataModule):
    """The data loaders of a training run.

    Args:
        train: Images to train on.
        val: Images to validate on.
        loading: Options of the loaders.
        augment: Augmentation of training images.
        progress: Called with the number of images decoded and the number of all images of a split.

    Attributes:
        batches: The sampler of the training loader, once there is one.
        image_weights: (images,) relative probabilities of drawing training images; None draws each image once.
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
        self._images: dict[str, DecodedImages] = {}
        self.batches: TrainingBatchSampler | None = None
        self.image_weights: NDArray[np.float64] | None = None

    def weigh_images(self, weights: NDArray[np.float64]) -> None:
        """Draw training images with these relative probabilities (images,), from the next epoch on."""
        self.image_weights = weights
        if self.batches is not None:
            self.batches.weights = weights

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs."""
        return {} if self.image_weights is None else {"image_weights": self.image_weights.tolist()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        if "image_weights" in state_dict:
            self.image_weights = np.array(state_dict["image_weights"])

    def decode_images(self) -> None:
        """Decode the images of both splits, unless they are decoded on demand or this was done before."""
        for split in (self.train_split, self.val_split):
            if split.name not in self._images:
                self._images[split.name] = load_images(
                    split.records,
                    self.loading.imgsz,
                    self.loading.cache,
                    self.loading.cache_folder,
                    self._progress,
                    shared_by=2 * self.loading.local_processes,
                )

    def setup(self, stage: str) -> None:  # noqa: ARG002 - Lightning's signature
        """Decode the images; Lightning calls this in every process."""
        self.decode_images()

    def training_dataset(self) -> TrainingDataset:
        """Return the augmented training images."""
        self.decode_images()
        loading, records = self.loading, self.train_split.records
        mosaic_epochs = 0 if loading.rect else loading.mosaic_epochs
        images = self._images[self.train_split.name]
        return TrainingDataset(records, images, self.augment, loading.imgsz, loading.seed, mosaic_epochs)

    def batch_sampler(self) -> TrainingBatchSampler:
        """Return a sampler of the training batches of this process."""
        loading, sizes = self.loading, self.train_split.records.sizes
        square = (loading.imgsz, loading.imgsz)
        return TrainingBatchSampler(
            len(sizes),
            loading.batch_size,
            canvas_shapes(sizes, loading.imgsz, loading.stride, "tight") if loading.rect else square,
            seed=loading.seed,
            rank=self._rank(),
            world_size=self._world_size(),
        )

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the training batches of this process."""
        self.batches = self.batch_sampler()
        # Workers receive the first batches before Lightning sets the epoch, which is not 0 in a resumed run. At this
        # point only the counter of Lightning's loop is correct.
        count: Any = self.trainer.fit_loop.epoch_progress.current if self.trainer else None
        self.batches.set_epoch(count.processed if count else 0)
        self.batches.weights = self.image_weights
        return make_loader(self.training_dataset(), self.batches, self.loading.workers)

    def val_dataloader(self) -> DataLoader[ValidationBatch]:
        """Return the validation batches of this process."""
        self.decode_images()
        loading = self.loading
        images = self._images[self.val_split.name]
        dataset = ValidationDataset(self.val_split.records, images, loading.imgsz, loading.stride, loading.canvas)
        batch_size = max(1, loading.batch_size // self._world_size())
        return make_loader(dataset, dataset.batches(batch_size, self._rank(), self._world_size()), loading.workers)

    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer else 1


def make_loader(
    dataset: TrainingDataset | ValidationDataset, batches: object, workers: int | None = None
) -> DataLoader[Any]:
    """Return a loader of a dataset that makes whole batches.

    Workers are forked, so that they share the decoded images, and compute on one thread each.

    Args:
        dataset: The dataset.
        batches: Iterable of the indices of each batch.
        workers: Number of processes that make batches; None chooses by the number of processors.
    """
    count = default_workers() if workers is None else workers
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=batches,  # pyright: ignore[reportArgumentType] - Lightning and torch only iterate over it
        num_workers=count,
        persistent_workers=count > 0,
        multiprocessing_context="fork" if count else None,
        worker_init_fn=init_worker if count else None,
        pin_memory=torch.cuda.is_available(),
    )


def default_workers() -> int:
    """Return the number of worker processes: 0 if they and the network would compete for a few processors."""
    processors = len(os.sched_getaffinity(0))
    return min(_MAX_WORKERS, processors - 1) if torch.cuda.is_available() or processors > 4 else 0


def init_worker(_: int) -> None:
    """Prepare a worker process: compute on one thread, and leave Ctrl-C and its message to the main process."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    # Ctrl-C reaches the whole process group; the main process ends its workers, and they end with it if it is killed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        end_with_parent(parent.pid)
    # The main process may end while it receives a batch; the thread that sends the batch would print a traceback.
    sys.excepthook = _ignore_closed_connections


def _ignore_closed_connections(
    error_class: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if not isinstance(error, EOFError | ConnectionError):
        sys.__excepthook__(error_class, error, traceback)
