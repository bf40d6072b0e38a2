"""Who watches a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Reporter(Protocol):
    """Who watches a run."""

    def say(self, text: str) -> None:
        """Take one line."""
        ...

    def scanned(self, what: str, done: int, total: int) -> None:
        """Take the progress of reading data."""
        ...

    def began(self, epoch: int, epochs: int, batches: int) -> None:
        """Take the start of an epoch, from 1."""
        ...

    def stepped(self, batch: int, losses: Mapping[str, float], images_per_second: float) -> None:
        """Take a batch, from 1."""
        ...

    def ended(self, row: Mapping[str, float], *, is_best: bool) -> None:
        """Take the row of an epoch."""
        ...


class NullReporter:
    """Watches a run without a word: in all processes but the first."""

    def say(self, text: str) -> None:
        """Take one line."""

    def scanned(self, what: str, done: int, total: int) -> None:
        """Take the progress of reading data."""

    def began(self, epoch: int, epochs: int, batches: int) -> None:
        """Take the start of an epoch, from 1."""

    def stepped(self, batch: int, losses: Mapping[str, float], images_per_second: float) -> None:
        """Take a batch, from 1."""

    def ended(self, row: Mapping[str, float], *, is_best: bool) -> None:
        """Take the row of an epoch."""
