"""The progress of `attendet train`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from attendet.cli.ui.console import console
from attendet.evaluation.results_columns import loss_parts


class TrainingProgress:
    """Shows a run on standard error: a progress bar on a terminal, and one line per epoch everywhere."""

    def __init__(self) -> None:
        self._console = console(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._reading = self._bars.add_task("", visible=False, numbers="")
        self._epoch = self._bars.add_task("", visible=False, numbers="")
        self._run = self._bars.add_task("run", visible=False, numbers="")
        self._epochs, self._has_header = 0, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Stopping a display that was never started would print an empty line.
        if self._bars.live.is_started:
            self._bars.stop()

    def log(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, soft_wrap=True)

    def on_data_progress(self, task: str, done: int, total: int) -> None:
        """Show the progress of reading the data."""
        self._bars.start()
        self._bars.update(self._reading, description=task, completed=done, total=total, visible=done < total)

    def on_epoch_start(self, epoch: int, epochs: int, batches: int) -> None:
        """Start the bar of an epoch."""
        self._bars.start()
        self._epochs = epochs
        self._bars.reset(self._epoch, description=f"epoch {epoch}/{epochs}", total=batches, visible=True, numbers="")
        self._bars.update(self._run, visible=True, total=epochs * batches, completed=(epoch - 1) * batches)

    def on_batch_end(self, batch: int, losses: Mapping[str, float], images_per_second: float) -> None:
        """Advance the bar of an epoch, and show the losses."""
        numbers = " ".join(f"{name} {value:.4f}" for name, value in losses.items() if not math.isnan(value))
        self._bars.update(self._epoch, completed=batch, numbers=f"{numbers}  {images_per_second:.1f} images/s")
        self._bars.advance(self._run)

    def on_epoch_end(self, row: Mapping[str, float], *, is_best: bool) -> None:
        """Print the losses and metrics of an epoch."""
        names = loss_parts(row, "train")
        if not self._has_header:
            self.log(f"epoch    {' '.join(f'{name:>7}' for name in names)}   precision  recall   mAP50  mAP50-95")
            self._has_header = True
        losses = "  ".join(f"{row[f'train/{name}_loss']:.4f}" for name in names)
        metrics = [row[f"metrics/{name}"] for name in ("precision", "recall", "mAP_0.5", "mAP_0.5:0.95")]
        cells = "   ".join("     -" if math.isnan(value) else f"{value:6.3f}" for value in metrics)
        self.log(f"{int(row['epoch']):>4}/{self._epochs:<4} {losses}   {cells}{'  best' if is_best else ''}")
        if not math.isnan(metrics[-1]):
            self._bars.update(self._run, numbers=f"mAP50 {metrics[-2]:.3f}, mAP50-95 {metrics[-1]:.3f}")
        self._bars.update(self._epoch, visible=False)
