"""A search on the terminal: what was tried, while it runs and afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from attendet.cli.ui.live_table import LiveTable
from attendet.cli.ui.tables import table
from attendet.study.design.schema import METRIC_NAMES
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.study.searching.search_records import Candidate, SearchRecord

COLORS = {"running": "yellow", "finished": "green", "stopped": "dim", "failed": "red"}


class SearchTable(LiveTable):
    """Shows a search: a live table where somebody is there to see it, a line for each run that ends elsewhere."""

    def __init__(self) -> None:
        # At the end the verb prints it on standard output.
        super().__init__(transient=True)

    def on_progress(self, record: SearchRecord) -> None:
        """Show how far the search is."""
        self.show(candidates_table(record))

    def on_run_end(self, candidate: Candidate, record: SearchRecord) -> None:
        """Show how a run has ended."""
        if candidate.state == "failed":
            self.log(f"{candidate.arm} failed: {candidate.error}")
        elif not self.is_seen:
            metric = METRIC_NAMES[record.design.metric]
            self.log(f"{_tried(record)}: {candidate.arm} {_state(candidate)}, {metric} {_score(candidate)}")


def candidates_table(record: SearchRecord) -> Table:
    """Return what was tried: the baseline, then what came to its end, the best first, then the others as they came."""
    ranked = record.ranked()
    others = [each for each in record.candidates if each not in ranked]
    metric = METRIC_NAMES[record.design.metric]
    columns = [("candidate", False), ("epochs", True), (metric, True), ("", False)]
    shown = table(f"{_tried(record)}, seed {record.design.seed}", columns)
    for each in [*others[:1], *ranked, *others[1:]]:
        state = f"[{COLORS[each.state]}]{each.state}[/{COLORS[each.state]}]"
        shown.add_row(escape(each.attention or each.arm), f"{each.epochs}/{record.epochs}", _score(each), state)
    return shown


def _tried(record: SearchRecord) -> str:
    tried = len(record.candidates) - 1
    return f"{tried} of {plural(max(tried, record.design.trials), 'candidate')}"


def _state(candidate: Candidate) -> str:
    return f"stopped after {plural(candidate.epochs, 'epoch')}" if candidate.state == "stopped" else candidate.state


def _score(candidate: Candidate) -> str:
    last = next(reversed(candidate.values.values()), None)
    value = last if candidate.value is None else candidate.value
    return "·" if value is None else f"{value:.3f}"
