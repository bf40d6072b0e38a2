"""The console, progress bars, and tables that change while work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from attendet.errors import AttendetError
from attendet.utils.text import printable, printable_lines

# Width of output that does not go to a terminal: the widest of our tables fits.
_PIPE_WIDTH = 160


class PlainConsole(Console):
    """A console on which text is only text: nothing in it is markup, an emoji's name, or a control sequence.

    Texts come from files of strangers. Line breaks are kept; other characters that a terminal cannot show, or would
    interpret, become question marks. Styles are given as arguments.
    """

    def __init__(self, *, stderr: bool, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text without markup, for printing and for cells of tables."""
        return super().render_str(printable_lines(text), **{**options, "markup": False, "emoji": False})


def console(*, stderr: bool = False) -> Console:
    """Return a console for standard output or standard error, as wide as the terminal or as our widest table."""
    plain = PlainConsole(stderr=stderr)
    return plain if plain.is_terminal else PlainConsole(stderr=stderr, width=_PIPE_WIDTH)


def print_skipped(error: AttendetError) -> None:
    """Print on standard error, in one line, why an input is skipped."""
    print_remark(str(error))


def print_remark(text: str) -> None:
    """Print on standard error, in one line, what a user should know although the command continues."""
    console(stderr=True).print(f"attendet: {printable(text)}", style="yellow", soft_wrap=True)


def print_font_advice(names: Sequence[str]) -> None:
    """Print on standard error which class names pictures replace by numbers, if there are any."""
    from attendet.utils.fonts import font_advice

    advice = font_advice(names)
    if advice is not None:
        print_remark(advice)


@contextmanager
def progress_bar(label: str, *, of_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on standard error while the block runs, if standard error is a terminal.

    Args:
        label: The work that is being done.
        of_bytes: Whether the progress counts bytes.

    Yields:
        A function to call with the completed and the total amount; a total of 0 is unknown.
    """
    with step_progress(label, of_bytes=of_bytes) as update:
        yield lambda done, total: update(label, done, total)


@contextmanager
def step_progress(label: str, *, of_bytes: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar like `progress_bar`, for work in several steps.

    Args:
        label: The first step.
        of_bytes: Whether the progress counts bytes.

    Yields:
        A function to call with the current step, the completed amount, and the total amount.
    """
    amount = DownloadColumn() if of_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), amount, TimeRemainingColumn())
    err = console(stderr=True)
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(printable(label), total=None)
        yield lambda step, done, total: bar.update(
            task, description=printable(step), completed=done, total=total or None
        )


class LiveTable:
    """A table on standard error that changes while work is done; without a terminal, only its lines are printed.

    Args:
        transient: Whether the table disappears at the end.
    """

    def __init__(self, *, transient: bool) -> None:
        self._console = console(stderr=True)
        self._live = Live(console=self._console, refresh_per_second=2, transient=transient)

    @property
    def is_visible(self) -> bool:
        """Whether standard error is a terminal, which shows the table."""
        return self._console.is_terminal

    def __enter__(self) -> Self:
        if self.is_visible:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_visible:
            self._live.stop()

    def log(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, soft_wrap=True)

    def show(self, table: Table) -> None:
        """Replace the table that is shown."""
        if self.is_visible:
            self._live.update(table)
