"""A study on the terminal: arms down, seeds across, while they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from attendet.cli.tables import table
from attendet.wording import plural

if TYPE_CHECKING:
    from attendet.study.design import StudyDesign
    from attendet.study.grid import Cell
    from attendet.study.records import CellRecord

WAITING = "·"


class StudyTable:
    """Shows a study: a live table where somebody is there to see it, a line for each run that ends elsewhere."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._live = Live(console=self.console, refresh_per_second=2) if self.console.is_terminal else None
        self._cells: tuple[Cell, ...] = ()
        self._states: dict[str, str] = {}
        self._ended = 0

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(escape(text), soft_wrap=True)

    def planned(self, cells: Sequence[Cell], finished: Sequence[CellRecord]) -> None:
        """Show all runs."""
        self._cells = tuple(cells)
        self._states = dict.fromkeys((cell.key for cell in cells), WAITING)
        for record in finished:
            self._states[record.key] = _state(record)
        self._ended = len(finished)
        done = f", {self._ended} of them done" if finished else ""
        self.say(f"{plural(len(cells), 'run')}{done}")
        self._show()

    def moved(self, cell: Cell, epoch: int, score: float | None) -> None:
        """Show how far a run is."""
        self._states[cell.key] = f"[yellow]{epoch}[/yellow]" + (f" {score:.3f}" if score is not None else "")
        self._show()

    def ended(self, cell: Cell, record: CellRecord) -> None:
        """Show how a run has ended."""
        self._states[cell.key] = _state(record)
        self._ended = sum(state != WAITING and "[yellow]" not in state for state in self._states.values())
        self._show()
        if self._live is None or record.status == "failed":
            told = f"failed: {record.error}" if record.status == "failed" else f"best mAP50-95 {_best(record):.3f}"
            self.say(f"{self._ended}/{len(self._cells)} {cell.name}: {told}")

    def _show(self) -> None:
        if self._live:
            self._live.update(self._table())

    def _table(self) -> Table:
        seeds = list(dict.fromkeys(cell.seed for cell in self._cells))
        title = f"{self._ended} of {plural(len(self._cells), 'run')} ended; epochs and mAP50-95"
        shown = table(title, [("arm", False), *((f"seed {seed}", True) for seed in seeds)])
        rows = dict.fromkeys((cell.arm, cell.fraction) for cell in self._cells)
        by_place = {(cell.arm, cell.fraction, cell.seed): self._states[cell.key] for cell in self._cells}
        for arm, fraction in rows:
            name = arm if fraction == 1 else f"{arm}, {fraction:.0%} of the images"
            shown.add_row(escape(name), *(by_place[arm, fraction, seed] for seed in seeds))
        return shown


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


def _state(record: CellRecord) -> str:
    return "[red]failed[/red]" if record.status == "failed" else f"[green]{_best(record):.3f}[/green]"


def _best(record: CellRecord) -> float:
    return record.best.map50_95 if record.best else 0.0
