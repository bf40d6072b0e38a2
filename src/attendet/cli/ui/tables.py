"""Tables and the numbers in them."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from attendet.utils.text import printable


def table(title: str | None, columns: list[tuple[str, bool]]) -> Table:
    """Return an empty table.

    Args:
        title: Text above the table.
        columns: Heading of each column, and whether it holds numbers.
    """
    empty = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold")
    for heading, numeric in columns:
        empty.add_column(heading, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric)
    return empty


def styled(text: str, style: str) -> Text:
    """Return a text in a style, for a cell of a table; characters that a terminal interprets are replaced.

    Example:
        >>> styled("failed", "red").plain
        'failed'
    """
    return Text(printable(text), style)


def score(value: float | None) -> str:
    """Return a metric with three decimals, or a dash if it is unknown.

    Example:
        >>> score(0.5), score(None)
        ('0.500', '-')
    """
    return "-" if value is None else f"{value:.3f}"


def change(value: float | None) -> str:
    """Return a difference of metrics with its sign, or a dash if it is unknown.

    Example:
        >>> change(0.0125), change(None)
        ('+0.013', '-')
    """
    return "-" if value is None else f"{value:+.3f}"


def count(number: int) -> str:
    """Return a number of things, or a dash for none.

    Example:
        >>> count(1200), count(0)
        ('1,200', '-')
    """
    return f"{number:,}" if number else "-"


def percentage(fraction: float | None, smallest: float = 0.001, digits: int = 1) -> str:
    """Return a fraction in percent; `<0.1%` if it is below `smallest`, a dash if it is 0 or unknown.

    Args:
        fraction: A number in 0-1.
        smallest: Fractions below it, but above 0, are not written out.
        digits: Digits after the decimal point.

    Example:
        >>> percentage(0.129), percentage(0.0002), percentage(None)
        ('12.9%', '<0.1%', '-')
    """
    if not fraction:
        return "-"
    return f"{fraction:.{digits}%}" if fraction >= smallest else f"<{smallest:.{digits}%}"
