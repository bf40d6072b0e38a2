"""The table of `attendet data check`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.markup import escape

from attendet.cli.ui.tables import console, table
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.data.reading.data_source import DataSource
    from attendet.data.records import Problem
    from attendet.data.report.data_report import BoxSizes, DataReport, SplitReport

MOST_CLASSES = 30


def print_report(found: DataReport, source: DataSource) -> None:
    """Print a data set in numbers: what there is, then what is wrong, errors in red."""
    out = console()
    classes = plural(len(found.names), "class", "classes")
    title = f"{source.file}, {source.format}, {classes}, box sizes at {found.imgsz} px"
    columns = [("", False), *((name, True) for name in found.splits), ("all", True), ("the first of them", False)]
    rows = table(escape(title), columns)
    parts = [*found.splits.values(), found.total]
    for label, told in _rows(found):
        rows.add_row(escape(label), *(told(part) for part in parts))
    rows.add_section()
    for problem in found.problems:
        counts = [problem.by_split.get(name, 0) for name in found.splits]
        style = "red" if problem.kind.is_error else "yellow"
        examples = "\n".join(_example(example, source) for example in problem.examples)
        rows.add_row(problem.kind.value, *map(_count, (*counts, problem.count)), escape(examples), style=style)
    out.print(rows)
    for remark in found.remarks:
        out.print(escape(f"! {remark}"), style="yellow", soft_wrap=True)
    told = f"{plural(found.errors, 'error')}, {plural(found.warnings, 'warning')}"
    out.print(f"\n{told}", style="red" if found.errors else None)


def _rows(found: DataReport) -> list[tuple[str, Callable[[SplitReport], str]]]:
    """Return what the table's rows are called, and what they say of a split."""
    total = found.total
    rows: list[tuple[str, Callable[[SplitReport], str]]] = [("images", lambda split: _count(split.images))]
    if total.skipped:
        rows.append(("  left out", lambda split: _count(split.skipped)))
    rows.append(("  without boxes", lambda split: _count(split.background)))
    rows.append(("boxes", lambda split: _count(split.objects)))
    order = sorted(range(len(found.names)), key=lambda label: -total.objects_by_class[label])
    rows += [
        (f"  {found.names[label]}", lambda split, label=label: _count(split.objects_by_class[label]))
        for label in order[:MOST_CLASSES]
    ]
    if order[MOST_CLASSES:]:
        rest = order[MOST_CLASSES:]
        rows.append(
            (f"  {len(rest)} more classes", lambda split: _count(sum(split.objects_by_class[label] for label in rest)))
        )
    if total.crowd:
        rows.append(("  marked as crowd", lambda split: _count(split.crowd)))
    rows.append(("median width × height", lambda split: _median(split.sizes)))
    rows.append(("  a side under 8 px", lambda split: _share(split.sizes.tiny)))
    rows.append(("  small, under 32² px", lambda split: _share(split.sizes.small)))
    rows.append(("  medium", lambda split: _share(split.sizes.medium)))
    rows.append(("  large, from 96² px", lambda split: _share(split.sizes.large)))
    return rows


def _count(number: int) -> str:
    return f"{number:,}" if number else "-"


def _median(sizes: BoxSizes) -> str:
    if sizes.median_width is None or sizes.median_height is None:
        return "-"
    return f"{sizes.median_width:.0f}×{sizes.median_height:.0f}"


def _share(share: float | None) -> str:
    if not share:
        return "-"
    return f"{share:.1%}" if share >= 0.001 else "<0.1%"


def _example(problem: Problem, source: DataSource) -> str:
    where = str(problem.where).removeprefix(f"{source.root}/")
    detail = problem.detail.replace(f"{source.root}/", "")
    return f"{where} ({detail})" if detail else where
