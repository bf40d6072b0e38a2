"""The table that YOLOv5 and its forks print when they build a model, with the number of parameters of each row.

    from  n    params  module                                  arguments
 0    -1  1      3520  models.common.Conv                      [3, 32, 6, 2, 2]

It is read from a terminal, a log, or a file. A total alone, `7,022,326 parameters`, is read as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from attendet.errors import OptionError
from attendet.utils.io import read_text

_MAX_LINE = 2_000
# A log of a long training has a few megabytes.
_MAX_BYTES = 64 * 2**20
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
_ROW = re.compile(
    r"(?<!\S)(?P<row>\d{1,3})\s+(?P<sources>-?\d{1,3}|\[[-\d, ]+\])\s+(?P<repeats>\d{1,3})\s+"
    r"(?P<parameters>\d[\d,]*)\s+(?P<module>[A-Za-z_][\w.]*)(?:\s+(?P<arguments>\[.*))?\s*$"
)
_TOTAL = re.compile(r"(?<![\d,.])(?P<parameters>\d[\d,]*)\s+parameters\b")
# YOLOv5 prints this if the data set has another number of classes than the model file.
_OVERRIDE = re.compile(r"\bnc=\d+ with nc=(\d{1,6})")
_NUMBER = re.compile(r"\s*(\d{1,3}(?:,\d{3})+|\d+)\s*")


@dataclass(frozen=True)
class PrintedRow:
    """A row of a printed table.

    Attributes:
        module: Name of the module, without the names of its packages.
        parameters: Number of learned values.
    """

    module: str
    parameters: int


@dataclass(frozen=True)
class PrintedTable:
    """A printed table, or a total alone.

    Attributes:
        rows: The rows; empty if only a total is known.
        total: Number of learned values of the whole model; None if the text does not have it.
        is_fused: Whether the total was printed after the batch norms were merged into the convolutions.
        num_classes: Number of classes of the head; None if the text does not have it.
    """

    rows: tuple[PrintedRow, ...] = ()
    total: int | None = None
    is_fused: bool = False
    num_classes: int | None = None


def read_printed_table(text: str) -> PrintedTable:
    """Read a printed table, or a total, from a text that may have other lines.

    Of several tables, the last one is read.

    Args:
        text: A log, a copy of a terminal, or a number.

    Raises:
        OptionError: If the text has neither a table nor a total.

    Example:
        >>> table = read_printed_table('''
        ...                  from  n    params  module                   arguments
        ...   0                -1  1      3520  models.common.Conv       [3, 32, 6, 2, 2]
        ...   1                -1  1     18560  models.common.Conv       [32, 64, 3, 2]
        ... ''')
        >>> [row.parameters for row in table.rows]
        [3520, 18560]
        >>> read_printed_table("7,022,326").total
        7022326
    """
    if number := _NUMBER.fullmatch(text):
        return PrintedTable(total=_integer(number[1]))
    lines = [_COLORS.sub("", line) for line in text.splitlines() if len(line) <= _MAX_LINE]
    rows: list[PrintedRow] = []
    num_classes = None
    for match in filter(None, map(_ROW.search, lines)):
        if int(match["row"]) == 0:
            rows, num_classes = [], None
        if int(match["row"]) != len(rows):
            continue
        module = match["module"].rpartition(".")[2]
        rows.append(PrintedRow(module, _integer(match["parameters"])))
        num_classes = _num_classes(module, match["arguments"] or "")
    total, is_fused = _total(lines)
    overrides = [match for line in lines if (match := _OVERRIDE.search(line))]
    if num_classes is None and overrides:
        num_classes = int(overrides[-1][1])
    if not rows and total is None:
        raise OptionError(
            "`like` must have the table that a fork prints when it builds a model, got a text without such rows",
            remedy="copy the lines `from n params module arguments`, or give the total number of parameters",
        )
    return PrintedTable(tuple(rows), total, is_fused, num_classes)


def is_total(text: str) -> bool:
    """Return whether a text is a number of parameters, with or without separators.

    Example:
        >>> is_total("7,022,326"), is_total("train.log")
        (True, False)
    """
    return _NUMBER.fullmatch(text) is not None


def load_printed_table(source: str | os.PathLike[str] | int) -> PrintedTable:
    """Read a printed table from a file, or take a total.

    Args:
        source: Path of a text file that has the table, such as a log; or the total number of parameters.

    Raises:
        OptionError: If the file cannot be read, or has neither a table nor a total.

    Example:
        >>> load_printed_table("7,235,389").total
        7235389
    """
    text = str(source)
    if is_total(text):
        return read_printed_table(text)
    remedy = "name a text file with the printed table; for a checkpoint, pass its state dict"
    return read_printed_table(read_text(Path(text), _MAX_BYTES, OptionError, remedy=remedy))


def _total(lines: Iterable[str]) -> tuple[int | None, bool]:
    """Return the last total, preferably of a model whose batch norms are not merged, and whether they are merged."""
    totals = [(_integer(match["parameters"]), _is_fused(line)) for line in lines if (match := _TOTAL.search(line))]
    unfused = [total for total in totals if not total[1]]
    return (unfused or totals or [(None, False)])[-1]


def _is_fused(line: str) -> bool:
    return "fused" in line or bool(re.search(r"(?<![\d,])0 gradients", line))


def _num_classes(module: str, arguments: str) -> int | None:
    match = re.match(r"\[(\d{1,6}),", arguments) if "Detect" in module else None
    return int(match[1]) if match else None


def _integer(digits: str) -> int:
    return int(digits.replace(",", ""))
