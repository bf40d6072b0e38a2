"""Text for people: counts, quantities, lists, tables, and text from files that is safe to print."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence

JOINERS = "\u200c\u200d"
"""Invisible characters that join or separate their neighbors in Persian, Indic scripts, and emoji."""


def _is_legible(character: str) -> bool:
    return character.isprintable() or character in JOINERS or unicodedata.category(character) == "Zs"


def plural(count: int, one: str, many: str = "") -> str:
    """Return a count with the noun in its singular or plural form.

    Args:
        count: The number.
        one: The singular.
        many: The plural (default: the singular with an s).

    Example:
        >>> plural(1, "box", "boxes"), plural(1200, "image")
        ('1 box', '1,200 images')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def shorten(text: str, length: int) -> str:
    """Return a text of at most `length` characters; a longer text is cut and ends with an ellipsis.

    Args:
        text: Any text.
        length: Maximum number of characters, ellipsis included; at least 1.

    Example:
        >>> shorten("backbone", 8), shorten("backbone.stage1", 8)
        ('backbone', 'backbon…')
    """
    return text if len(text) <= length else f"{text[: length - 1]}…"


def short_repr(value: object, length: int = 60) -> str:
    """Return a value of a file as error messages quote it: its `repr`, shortened.

    Args:
        value: Any value.
        length: Maximum number of characters.

    Example:
        >>> short_repr("cat"), short_repr([1, 2, 3, 4], 8), short_repr(10**5000)
        ("'cat'", '[1, 2, …', 'a huge int')
    """
    try:
        return shorten(repr(value), length)
    except (ValueError, RecursionError):
        # Python refuses to write an integer of more than 4,300 digits.
        return f"a huge {type(value).__name__}"


def list_names(names: Sequence[str], limit: int) -> str:
    """Join the first `limit` names with commas and count the others.

    Example:
        >>> list_names(["cat", "dog", "cow"], 3), list_names(["cat", "dog", "cow"], 1)
        ('cat, dog, cow', 'cat and 2 more')
    """
    others = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + others


def is_legible(text: str) -> bool:
    r"""Return whether a text is one line without control characters, so that it can be a name in any script.

    Spaces of all widths are allowed, as in the screenshots of macOS, and the joiners that some scripts need.

    Example:
        >>> is_legible("blood cell"), is_legible("全\u3000角"), is_legible("می\u200cخواهم"), is_legible("a\x1bb")
        (True, True, True, False)
    """
    return all(map(_is_legible, text))


def printable(text: str) -> str:
    r"""Replace each character that a terminal cannot show or would interpret by a question mark.

    Line breaks and control sequences are replaced too, so that the result is one line.

    Example:
        >>> printable("a\x1b[2J.png")
        'a?[2J.png'
    """
    return "".join(character if character.isprintable() else "?" for character in text)


def printable_lines(text: str) -> str:
    r"""Replace the same characters as `printable`, except line breaks.

    Example:
        >>> printable_lines("first\nsecond\x07")
        'first\nsecond?'
    """
    return "\n".join(map(printable, text.split("\n")))


def quantity(value: float, units: tuple[str, ...] = ("", "k", "M", "G", "T"), step: int = 1000) -> str:
    """Return a number with about three digits and a unit.

    Args:
        value: The number.
        units: Unit of each power of `step`, the smallest first.
        step: Factor between two units.

    Example:
        >>> quantity(7_235_389), quantity(610)
        ('7.24 M', '610')
    """
    power = 0
    while abs(value) >= step and power < len(units) - 1:
        value /= step
        power += 1
    digits = 0 if power == 0 or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f} {units[power]}".rstrip()


def memory(size: float) -> str:
    """Return a number of bytes with a unit.

    Example:
        >>> memory(3_145_728)
        '3.00 MiB'
    """
    return quantity(size, ("B", "KiB", "MiB", "GiB"), 1024)


def align_table(header: Sequence[str], rows: Sequence[Sequence[str]], number_columns: Collection[str]) -> str:
    """Return a table as text with aligned columns.

    Args:
        header: Name of each column.
        rows: Cells of each row.
        number_columns: Names of the columns that are aligned to the right.

    Example:
        >>> print(align_table(("class", "images"), [("cat", "7"), ("dog", "12")], {"images"}))
        class  images
        cat         7
        dog        12
    """
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.rjust(width) if name in number_columns else cell.ljust(width)
            for name, cell, width in zip(header, row, widths, strict=True)
        )
        for row in (header, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)
