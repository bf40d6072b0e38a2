"""A table on the terminal that changes while something runs."""

from __future__ import annotations

from typing import Self

from rich.live import Live
from rich.markup import escape
from rich.table import Table

from attendet.cli.ui.tables import console


class LiveTable:
    """Shows on standard error a table that changes where somebody is there to see it, and lines everywhere.

    Args:
        transient: Whether the table goes away at the end.
    """

    def __init__(self, *, transient: bool) -> None:
        self._console = console(stderr=True)
        self._live = Live(console=self._console, refresh_per_second=2, transient=transient)

    @property
    def is_seen(self) -> bool:
        """Whether somebody is there to see the table."""
        return self._console.is_terminal

    def __enter__(self) -> Self:
        if self.is_seen:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_seen:
            self._live.stop()

    def log(self, text: str) -> None:
        """Print one line."""
        self._console.print(escape(text), soft_wrap=True)

    def show(self, table: Table) -> None:
        """Show a table in place of the one before."""
        if self.is_seen:
            self._live.update(table)
