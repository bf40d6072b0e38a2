"""The table of `attendet data check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attendet.cli.ui.console import console
from attendet.cli.ui.tables import table

if TYPE_CHECKING:
    from attendet.data.report.data_report import DataReport


def print_data_report(report: DataReport) -> None:
    """Print the numbers of a data set, then its problems and where its labels are; errors are red."""
    out = console()
    columns = [("", False), *((name, True) for name in report.splits), ("all", True), ("examples", False)]
    rows = table(report.title, columns)
    styles = {"number": None, "error": "red", "warning": "yellow"}
    for row in report.rows():
        rows.add_row(row.label, *row.cells, "\n".join(row.examples), style=styles[row.kind])
    out.print(rows)
    for line in report.label_lines:
        out.print(line, soft_wrap=True)
    for remark in report.remarks:
        out.print(f"! {remark}", style="yellow", soft_wrap=True)
    out.print(f"\n{report.summary}", style="red" if report.errors else None)
