"""Tables and lines for people."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from attendet.errors import AttendetError
from attendet.utils.text import printable

# Wide enough for our tables where no terminal says how wide it is.
PIPE_WIDTH = 160


def console(*, stderr: bool = False) -> Console:
    """Return a console for standard output, or standard error, as wide as the terminal or as our widest table."""
    plain = Console(stderr=stderr, highlight=False)
    return plain if plain.is_terminal else Console(stderr=stderr, highlight=False, width=PIPE_WIDTH)


def tell_left_out(out: Console, error: AttendetError) -> None:
    """Name a thing that is left out, on one line."""
    out.print(escape(f"attendet: {printable(str(error))}"), style="yellow", soft_wrap=True)


def table(title: str | None, columns: list[tuple[str, bool]]) -> Table:
    """Return an empty table.

    Args:
        title: What stands above it.
        columns: Their headings, and whether they hold numbers.
    """
    empty = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold")
    for heading, numeric in columns:
        empty.add_column(heading, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric)
    return empty


def quantity(value: float, units: tuple[str, ...] = ("", "k", "M", "G", "T"), step: int = 1000) -> str:
    """Return a number with three digits or so and a unit.

    Example:
        >>> quantity(7_235_389), quantity(610), quantity(3_145_728, ("B", "KiB", "MiB", "GiB"), 1024)
        ('7.24 M', '610', '3.00 MiB')
    """
    power = 0
    while abs(value) >= step and power < len(units) - 1:
        value /= step
        power += 1
    digits = 0 if power == 0 or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f} {units[power]}".rstrip()


def memory(value: float) -> str:
    """Return a number of bytes for people.

    Example:
        >>> memory(3_145_728)
        '3.00 MiB'
    """
    return quantity(value, ("B", "KiB", "MiB", "GiB"), 1024)
