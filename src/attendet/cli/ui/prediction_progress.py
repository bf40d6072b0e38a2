"""Prediction on the terminal: a bar while it works, and what is left out, by name."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from attendet.cli.ui.tables import console, tell_left_out
from attendet.errors import AttendetError
from attendet.utils.text import printable

if TYPE_CHECKING:
    from attendet.prediction.input_frames import InputFrame


class PredictionProgress:
    """Shows on standard error how far it is, and names what is left out.

    Args:
        expected: Number of images and videos, None if not known.
        stride: Every how many frames of a video one is taken.
    """

    def __init__(self, expected: int | None, stride: int = 1) -> None:
        self._stride = stride
        self._console = console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.fields[count]} images, {task.fields[rate]:.1f} a second"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
            # Standard output may carry JSON.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self.skipped = 0
        """Number of things left out so far."""
        self._task = self.progress.add_task("", total=expected, count=0, rate=0.0)
        self._count = 0
        self._begin = time.perf_counter()

    def skip(self, error: AttendetError) -> None:
        """Name a thing that is left out."""
        self.skipped += 1
        tell_left_out(self._console, error)

    def advance(self, frame: InputFrame) -> None:
        """Count an image or frame."""
        self._count += 1
        rate = self._count / (time.perf_counter() - self._begin)
        name = frame.source.name
        if frame.moment is None:
            share = 1.0
        else:
            total = frame.moment.total
            # The last step may be shorter, and what a video says of its length need not be true.
            share = max(0, min(self._stride, total - frame.moment.number + 1)) / total if total else 0.0
            name = f"{name} {frame.moment.number}" + (f" of {total}" if total else "")
        self.progress.update(
            self._task, description=escape(printable(name)), count=self._count, rate=rate, advance=share
        )
