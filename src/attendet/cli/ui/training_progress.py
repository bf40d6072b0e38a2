"""A run on the terminal: a bar while it works, a line per epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class TrainingProgress:
    """Shows a run on the terminal: a bar while it works, one line per epoch."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self.progress = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self._scan = self.progress.add_task("", visible=False, told="")
        self._epoch = self.progress.add_task("", visible=False, told="")
        self._whole = self.progress.add_task("run", visible=False, told="")
        self._epochs = 0
        self._batches = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Stopping what has not been started prints an empty line.
        if self.progress.live.is_started:
            self.progress.stop()

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(escape(text), soft_wrap=True)

    def scanned(self, what: str, done: int, total: int) -> None:
        """Move the bar of reading data."""
        self.progress.start()
        self.progress.update(self._scan, description=what, completed=done, total=total, visible=done < total)

    def began(self, epoch: int, epochs: int, batches: int) -> None:
        """Start the bar of an epoch."""
        self.progress.start()
        if not self._epochs:
            self.say("epoch      box     obj     cls   precision  recall   mAP50  mAP50-95")
        self._epochs, self._batches = epochs, batches
        self.progress.reset(self._epoch, description=f"epoch {epoch}/{epochs}", total=batches, visible=True, told="")
        self.progress.update(self._whole, visible=True, total=epochs * batches, completed=(epoch - 1) * batches)

    def stepped(self, batch: int, losses: Mapping[str, float], images_per_second: float) -> None:
        """Move the bar of an epoch."""
        told = " ".join(f"{name} {value:.4f}" for name, value in losses.items() if not math.isnan(value))
        self.progress.update(self._epoch, completed=batch, told=f"{told}  {images_per_second:.1f} images/s")
        self.progress.advance(self._whole)

    def ended(self, row: Mapping[str, float], *, is_best: bool) -> None:
        """Print the row of an epoch."""
        losses = "  ".join(f"{row[f'train/{name}_loss']:.4f}" for name in ("box", "obj", "cls"))
        measured = [row[f"metrics/{name}"] for name in ("precision", "recall", "mAP_0.5", "mAP_0.5:0.95")]
        told = "   ".join("     -" if math.isnan(value) else f"{value:6.3f}" for value in measured)
        self.say(f"{int(row['epoch']):>4}/{self._epochs:<4} {losses}   {told}{'  best' if is_best else ''}")
        if not math.isnan(measured[-1]):
            self.progress.update(self._whole, told=f"mAP50 {measured[-2]:.3f}, mAP50-95 {measured[-1]:.3f}")
        self.progress.update(self._epoch, visible=False)
