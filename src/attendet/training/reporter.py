"""The interface through which a training run reports its progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Reporter(Protocol):
    """Receives the log lines and the progress of a training run."""

    def log(self, text: str) -> None:
        """Receive a log line."""
        ...

    def on_data_progress(self, task: str, done: int, total: int) -> None:
        """Receive the progress of a task that goes through the images, such as reading or validating them."""
        ...

    def on_epoch_start(self, epoch: int, epochs: int, batches: int) -> None:
        """Receive the start of an epoch, which counts from 1, and its number of batches."""
        ...

    def on_batch_end(self, batch: int, losses: Mapping[str, float], images_per_second: float) -> None:
        """Receive the end of a batch, which counts from 1, and the mean losses of the epoch so far."""
        ...

    def on_epoch_end(self, row: Mapping[str, float], *, is_best: bool) -> None:
        """Receive the row of an epoch in `results.csv`."""
        ...


class NullReporter:
    """A reporter that ignores everything, as in all processes but the first."""

    def log(self, text: str) -> None:
        """Ignore a log line."""

    def on_data_progress(self, task: str, done: int, total: int) -> None:
        """Ignore the progress of a task."""

    def on_epoch_start(self, epoch: int, epochs: int, batches: int) -> None:
        """Ignore the start of an epoch."""

    def on_batch_end(self, batch: int, losses: Mapping[str, float], images_per_second: float) -> None:
        """Ignore the end of a batch."""

    def on_epoch_end(self, row: Mapping[str, float], *, is_best: bool) -> None:
        """Ignore the end of an epoch."""
