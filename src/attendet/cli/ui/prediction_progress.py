"""The progress bar of `attendet predict`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from attendet.cli.ui.console import console, print_remark, print_skipped
from attendet.errors import AttendetError
from attendet.utils.text import printable

if TYPE_CHECKING:
    from attendet.prediction.input_frames import InputFrame
    from attendet.prediction.sources import MediaSource


class PredictionProgress:
    """Shows progress on standard error, and names the inputs that are skipped.

    Args:
        expected: Number of images and videos; None if unknown.
        stride: Every how many frames of a video are used.

    Attributes:
        bar: The progress bar.
        skipped: Number of inputs skipped so far.
    """

    def __init__(self, expected: int | None, stride: int = 1) -> None:
        self._stride = stride
        err = console(stderr=True)
        self.bar = Progress(
            TextColumn("{task.fields[count]} images, {task.fields[rate]:.1f} per second", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=err,
            transient=True,
            disable=not err.is_terminal,
            # Standard output may carry JSON.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self.skipped = 0
        self._task = self.bar.add_task("", total=expected, count=0, rate=0.0)
        self._count = 0
        self._start = time.perf_counter()

    def skip(self, error: AttendetError) -> None:
        """Name an input that is skipped, and count it."""
        self.skipped += 1
        print_skipped(error)

    def tell_loss(self, source: MediaSource, reason: str) -> None:
        """Tell that the connection to a stream is lost, and is being opened again."""
        print_remark(f"{source.label}: the connection is lost ({reason}); connecting again")

    def advance(self, frame: InputFrame) -> None:
        """Count an image or a frame of a video."""
        self._count += 1
        rate = self._count / (time.perf_counter() - self._start)
        name = frame.source.name
        if frame.timestamp is None:
            fraction = 1.0
        else:
            number, total = frame.timestamp.number, frame.timestamp.total
            # The last step may be shorter, and the length that a video states may be wrong.
            fraction = max(0, min(self._stride, total - number + 1)) / total if total else 0.0
            name = f"{name} {number}" + (f" of {total}" if total else "")
        self.bar.update(self._task, description=printable(name), count=self._count, rate=rate, advance=fraction)
