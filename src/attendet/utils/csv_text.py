"""Cells of CSV tables that spreadsheets show as text, never as formulas."""

from __future__ import annotations

import re

# Excel, LibreOffice, and Google Sheets read a cell that begins like this as a formula, which can fetch and send data.
_FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|inf|nan)")


def csv_cell(value: object) -> object:
    """Return a value of a CSV table; an apostrophe goes before a text that a spreadsheet would take for a formula.

    Texts of numbers stay as they are.

    Args:
        value: Text, such as the name of a class or a file, or anything else, which is returned unchanged.

    Example:
        >>> csv_cell("=1+1"), csv_cell("-a.jpg"), csv_cell("-0.5"), csv_cell("a=b"), csv_cell(-3)
        ("'=1+1", "'-a.jpg", '-0.5', 'a=b', -3)
    """
    is_formula = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value
