"""The table of a data report, with its cells as text: for the terminal, for `print`, and for notebooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attendet.data.problems import ProblemCount
from attendet.data.records import Problem
from attendet.data.report.split_statistics import BoxSizes, SplitStatistics
from attendet.utils.html import Markup, escape, html_paragraphs
from attendet.utils.text import plural

_MAX_CLASSES = 30


@dataclass(frozen=True)
class TableRow:
    """A row of the table of a data report.

    Attributes:
        label: What the row is about, indented if it is part of the row above.
        cells: One cell per split, and one for all splits together.
        examples: The first problems of a kind: their place, and their detail.
        kind: Whether the row is a number of things, or a number of problems that are errors or warnings.
    """

    label: str
    cells: tuple[str, ...]
    examples: tuple[str, ...] = ()
    kind: Literal["number", "error", "warning"] = "number"


_Cell = Callable[[SplitStatistics], str]


def report_rows(
    names: Sequence[str],
    columns: Sequence[SplitStatistics],
    splits: Sequence[str],
    problems: Sequence[ProblemCount],
    root: Path | None,
) -> list[TableRow]:
    """Return the rows of the table: numbers first, then problems.

    Args:
        names: Class names, in the order of their indices.
        columns: Numbers of each split, and of all splits together.
        splits: Names of the splits.
        problems: Number of problems of each kind.
        root: Folder that the paths of examples are relative to; None leaves them absolute.
    """
    rows = [
        TableRow(label, tuple(cell(split) for split in columns)) for label, cell in _number_rows(names, columns[-1])
    ]
    for problem in problems:
        counts = (*(problem.by_split.get(name, 0) for name in splits), problem.count)
        examples = tuple(_example(example, root) for example in problem.examples)
        kind = "error" if problem.kind.is_error else "warning"
        rows.append(TableRow(problem.kind.value, tuple(map(_count, counts)), examples, kind))
    return rows


def _number_rows(names: Sequence[str], total: SplitStatistics) -> Iterator[tuple[str, _Cell]]:
    """Yield the label of each row of numbers, and the function that gives its cell for a split."""
    yield "images", lambda split: _count(split.images)
    if total.skipped:
        yield "  skipped", lambda split: _count(split.skipped)
    yield "  without boxes", lambda split: _count(split.background)
    yield "boxes", lambda split: _count(split.objects)
    yield from _class_rows(names, total)
    if total.crowd:
        yield "  marked as crowd", lambda split: _count(split.crowd)
    yield "median width × height", lambda split: _median(split.sizes)
    yield "  a side under 8 px", lambda split: _percentage(split.sizes.tiny)
    yield "  small, under 32² px", lambda split: _percentage(split.sizes.small)
    yield "  medium", lambda split: _percentage(split.sizes.medium)
    yield "  large, from 96² px", lambda split: _percentage(split.sizes.large)


def _class_rows(names: Sequence[str], total: SplitStatistics) -> Iterator[tuple[str, _Cell]]:
    """Yield a row for each class, the most frequent first, and one for all classes beyond the limit."""
    order = sorted(range(len(names)), key=lambda index: -total.objects_by_class[index])
    listed, others = order[:_MAX_CLASSES], order[_MAX_CLASSES:]
    for index in listed:
        yield f"  {names[index]}", lambda split, index=index: _count(split.objects_by_class[index])
    if others:
        label = f"  {plural(len(others), 'more class', 'more classes')}"
        yield label, lambda split: _count(sum(split.objects_by_class[index] for index in others))


def _count(number: int) -> str:
    return f"{number:,}" if number else "-"


def _percentage(fraction: float | None) -> str:
    if not fraction:
        return "-"
    return f"{fraction:.1%}" if fraction >= 0.001 else "<0.1%"


def _median(sizes: BoxSizes) -> str:
    if sizes.median_width is None or sizes.median_height is None:
        return "-"
    return f"{sizes.median_width:.0f}×{sizes.median_height:.0f}"


def _example(problem: Problem, root: Path | None) -> str:
    """Return the place of a problem relative to the folder of the data set, and its detail."""
    where, detail = str(problem.where), problem.detail
    if root is not None:
        where, detail = where.removeprefix(f"{root}/"), detail.replace(f"{root}/", "")
    return f"{where} ({detail})" if detail else where


def text_table(splits: Sequence[str], rows: Sequence[TableRow]) -> str:
    """Return the table as text, with aligned columns.

    Args:
        splits: Names of the splits.
        rows: Rows of `report_rows`.

    Example:
        >>> print(text_table(["train"], [TableRow("images", ("1,200", "1,200")), TableRow("boxes", ("-", "-"))]))
                train    all
        images  1,200  1,200
        boxes       -      -
    """
    lines: list[tuple[str, ...]] = [("", *splits, "all", "examples" if any(row.examples for row in rows) else "")]
    for row in rows:
        lines.append((row.label, *row.cells, row.examples[0] if row.examples else ""))
        lines += [("",) * (len(row.cells) + 1) + (example,) for example in row.examples[1:]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_text_line(line, widths) for line in lines)


def _text_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    label, *numbers, example = cells
    padded = [label.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(numbers, widths[1:-1], strict=True))]
    return "  ".join([*padded, example]).rstrip()


def report_html(splits: Sequence[str], rows: Sequence[TableRow], notes: Sequence[str]) -> Markup:
    """Return the table as HTML, with a paragraph above or below it for each note.

    Args:
        splits: Names of the splits.
        rows: Rows of `report_rows`.
        notes: The first is the title above the table; the others are below it.
    """
    title, below = html_paragraphs(notes[:1]), html_paragraphs(notes[1:])
    heading = "".join(f"<th>{escape(name)}</th>" for name in ("", *splits, "all", "examples"))
    body = "".join(_html_row(row) for row in rows)
    return Markup(f"{title}<table><thead><tr>{heading}</tr></thead><tbody>{body}</tbody></table>{below}")


def _html_row(row: TableRow) -> str:
    style = {"number": "", "error": ' style="color:#b00020"', "warning": ' style="color:#8a6d00"'}[row.kind]
    indent = "&nbsp;" * (len(row.label) - len(row.label.lstrip()))
    label = f'<td style="text-align:left">{indent}{escape(row.label.strip())}</td>'
    cells = "".join(f'<td style="text-align:right">{escape(cell)}</td>' for cell in row.cells)
    examples = "<br>".join(map(escape, row.examples))
    return f'<tr{style}>{label}{cells}<td style="text-align:left">{examples}</td></tr>'
