"""A study on the terminal: arms down, seeds across, while they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from attendet.cli.ui.live_table import LiveTable
from attendet.cli.ui.tables import table
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.study.design.grid import Cell
    from attendet.study.design.schema import StudyDesign
    from attendet.study.records import CellRecord

WAITING = "·"


class StudyTable(LiveTable):
    """Shows a study: a live table where somebody is there to see it, a line for each run that ends elsewhere."""

    def __init__(self) -> None:
        super().__init__(transient=False)
        self._cells: tuple[Cell, ...] = ()
        self._running: dict[str, tuple[int, float | None]] = {}
        self._ended: dict[str, CellRecord] = {}

    def on_plan(self, cells: Sequence[Cell], finished: Sequence[CellRecord]) -> None:
        """Show all runs."""
        self._cells = tuple(cells)
        self._ended = {record.key: record for record in finished}
        done = f", {len(finished)} of them done" if finished else ""
        self.log(f"{plural(len(cells), 'run')}{done}")
        self.show(self._table())

    def on_progress(self, cell: Cell, epoch: int, score: float | None) -> None:
        """Show how far a run is."""
        self._running[cell.key] = epoch, score
        self.show(self._table())

    def on_run_end(self, cell: Cell, record: CellRecord) -> None:
        """Show how a run has ended."""
        self._ended[cell.key] = record
        self.show(self._table())
        if not self.is_seen or record.status == "failed":
            told = f"failed: {record.error}" if record.status == "failed" else f"best mAP50-95 {_best(record):.3f}"
            self.log(f"{len(self._ended)}/{len(self._cells)} {cell.name}: {told}")

    def _table(self) -> Table:
        seeds = list(dict.fromkeys(cell.seed for cell in self._cells))
        title = f"{len(self._ended)} of {plural(len(self._cells), 'run')} ended; epochs and mAP50-95"
        shown = table(title, [("arm", False), *((f"seed {seed}", True) for seed in seeds)])
        rows = dict.fromkeys((cell.arm, cell.fraction) for cell in self._cells)
        by_place = {(cell.arm, cell.fraction, cell.seed): self._state(cell) for cell in self._cells}
        for arm, fraction in rows:
            name = arm if fraction == 1 else f"{arm}, {fraction:.0%} of the images"
            shown.add_row(escape(name), *(by_place[arm, fraction, seed] for seed in seeds))
        return shown

    def _state(self, cell: Cell) -> str:
        if cell.key in self._ended:
            record = self._ended[cell.key]
            return "[red]failed[/red]" if record.status == "failed" else f"[green]{_best(record):.3f}[/green]"
        if cell.key in self._running:
            epoch, score = self._running[cell.key]
            return f"[yellow]{epoch}[/yellow]" + ("" if score is None else f" {score:.3f}")
        return WAITING


def grid_table(design: StudyDesign, seconds: Mapping[tuple[str, float], float] | None) -> Table:
    """Return the grid of a study: what each arm is, and how long one of its runs takes."""
    shares = sorted(design.fractions, reverse=True)
    times = [(f"min a run{'' if share == 1 else f', {share:.0%}'}", True) for share in shares] if seconds else []
    shown = table(escape(design.name), [("arm", False), ("what it is", False), ("runs", True), *times])
    for name, arm in design.arms.items():
        runs = f"{len(design.seeds) * len(shares)}"
        minutes = [f"{seconds[name, share] / 60:.1f}" for share in shares] if seconds else []
        mark = " (baseline)" if name == design.baseline else ""
        shown.add_row(escape(name + mark), escape(arm.describe()), runs, *minutes)
    return shown


def _best(record: CellRecord) -> float:
    return record.best.map50_95 if record.best else 0.0
