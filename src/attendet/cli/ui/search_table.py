"""The table of `attendet study search`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from attendet.cli.ui.console import LiveTable
from attendet.cli.ui.tables import styled, table
from attendet.study.design.schema import METRIC_NAMES
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.study.searching.search_records import Candidate, SearchRecord

_COLORS = {"running": "yellow", "finished": "green", "stopped": "dim", "failed": "red"}


class SearchTable(LiveTable):
    """Shows a search on a terminal; without a terminal, prints a line for each run that ends."""

    def __init__(self) -> None:
        # The verb prints the final table on standard output.
        super().__init__(transient=True)

    def on_progress(self, record: SearchRecord) -> None:
        """Show the progress of the search."""
        self.show(candidates_table(record))

    def on_run_end(self, candidate: Candidate, record: SearchRecord) -> None:
        """Report how a run ended."""
        if candidate.state == "failed":
            self.log(f"{candidate.arm} failed: {candidate.error}")
        elif not self.is_visible:
            metric = METRIC_NAMES[record.design.metric]
            self.log(f"{_progress(record)}: {candidate.arm} {_state(candidate)}, {metric} {_score(candidate)}")


def candidates_table(record: SearchRecord) -> Table:
    """Return the candidates of a search: the baseline, the finished ones by their metric, then the others."""
    ranked = record.ranked()
    others = [candidate for candidate in record.candidates if candidate not in ranked]
    metric = METRIC_NAMES[record.design.metric]
    columns = [("candidate", False), ("epochs", True), (metric, True), ("", False)]
    rows = table(f"{_progress(record)}, seed {record.design.seed}", columns)
    for candidate in [*others[:1], *ranked, *others[1:]]:
        name, epochs = candidate.attention or candidate.arm, f"{candidate.epochs}/{record.epochs}"
        rows.add_row(name, epochs, _score(candidate), styled(candidate.state, _COLORS[candidate.state]))
    return rows


def _progress(record: SearchRecord) -> str:
    tried = len(record.candidates) - 1
    return f"{tried} of {plural(max(tried, record.design.trials), 'candidate')}"


def _state(candidate: Candidate) -> str:
    return f"stopped after {plural(candidate.epochs, 'epoch')}" if candidate.state == "stopped" else candidate.state


def _score(candidate: Candidate) -> str:
    last = next(reversed(candidate.values.values()), None)
    value = last if candidate.value is None else candidate.value
    return "·" if value is None else f"{value:.3f}"
