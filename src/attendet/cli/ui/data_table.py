"""The table of `attendet data check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from attendet.cli.ui.console import console
from attendet.cli.ui.tables import table

if TYPE_CHECKING:
    from attendet.data.report.data_report import DataReport


def print_data_report(report: DataReport) -> None:
    """Print the numbers of a data set, then its problems; errors are red."""
    out = console()
    columns = [("", False), *((name, True) for name in report.splits), ("all", True), ("examples", False)]
    rows = table(escape(report.title), columns)
    styles = {"number": None, "error": "red", "warning": "yellow"}
    for row in report.rows():
        rows.add_row(escape(row.label), *row.cells, escape("\n".join(row.examples)), style=styles[row.kind])
    out.print(rows)
    for remark in report.remarks:
        out.print(escape(f"! {remark}"), style="yellow", soft_wrap=True)
    out.print(f"\n{report.summary}", style="red" if report.errors else None)
