"""The tables of `attendet study run` and `attendet study plan`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from attendet.cli.ui.console import LiveTable
from attendet.cli.ui.tables import styled, table
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.study.design.grid import Cell
    from attendet.study.design.schema import StudyDesign
    from attendet.study.forecast import StudyForecast
    from attendet.study.records import CellRecord
    from attendet.study.runs.latency_matching import LatencyMatch

_WAITING = "·"


class StudyTable(LiveTable):
    """Shows a study on a terminal, one row per arm and one column per seed.

    Without a terminal, a line is printed for each run that ends.
    """

    def __init__(self) -> None:
        super().__init__(transient=False)
        self._cells: tuple[Cell, ...] = ()
        self._running: dict[str, tuple[int, float | None]] = {}
        self._ended: dict[str, CellRecord] = {}

    def on_plan(self, cells: Sequence[Cell], ended: Sequence[CellRecord]) -> None:
        """Show all runs, and mark the runs that finished or diverged before."""
        self._cells = tuple(cells)
        self._ended = {record.key: record for record in ended}
        diverged = sum(record.status == "diverged" for record in ended)
        finished = len(ended) - diverged
        self.log(
            plural(len(cells), "run")
            + (f", {finished} of them finished" if finished else "")
            + (f", {diverged} diverged" if diverged else "")
        )
        self.show(self._table())

    def on_progress(self, cell: Cell, epoch: int, score: float | None) -> None:
        """Show the progress of a run: its epoch and its mAP50-95."""
        self._running[cell.key] = epoch, score
        self.show(self._table())

    def on_run_end(self, cell: Cell, record: CellRecord) -> None:
        """Show how a run ended."""
        self._ended[cell.key] = record
        self.show(self._table())
        is_finished = record.status == "finished"
        if not (self.is_visible and is_finished):
            result = f"best mAP50-95 {_best(record):.3f}" if is_finished else f"{record.status}: {record.error}"
            self.log(f"{len(self._ended)}/{len(self._cells)} {cell.name}: {result}")

    def _table(self) -> Table:
        seeds = list(dict.fromkeys(cell.seed for cell in self._cells))
        title = f"{len(self._ended)} of {plural(len(self._cells), 'run')} ended; epochs and mAP50-95"
        rows = table(title, [("arm", False), *((f"seed {seed}", True) for seed in seeds)])
        states = {(cell.arm, cell.fraction, cell.seed): self._state(cell) for cell in self._cells}
        for arm, fraction in dict.fromkeys((cell.arm, cell.fraction) for cell in self._cells):
            name = arm if fraction == 1 else f"{arm}, {fraction:.0%} of the images"
            rows.add_row(name, *(states[arm, fraction, seed] for seed in seeds))
        return rows

    def _state(self, cell: Cell) -> Text:
        if cell.key in self._ended:
            record = self._ended[cell.key]
            if record.status == "finished":
                return styled(f"{_best(record):.3f}", "green")
            return styled(record.status, "red" if record.status == "failed" else "magenta")
        if cell.key in self._running:
            epoch, score = self._running[cell.key]
            return styled(str(epoch), "yellow").append("" if score is None else f" {score:.3f}", "default")
        return styled(_WAITING, "none")


def arms_table(design: StudyDesign, seconds: Mapping[tuple[str, float], float] | None) -> Table:
    """Return a table of the arms of a study: description, number of runs, and duration of a run.

    Args:
        design: The study.
        seconds: Duration of a run by arm and fraction of the images; None if it was not measured.
    """
    fractions = sorted(design.fractions, reverse=True)
    durations = [(f"min per run{'' if part == 1 else f', {part:.0%}'}", True) for part in fractions]
    columns = [("arm", False), ("description", False), ("runs", True), *(durations if seconds else [])]
    rows = table(design.name, columns)
    for name, arm in design.arms.items():
        runs = f"{len(design.seeds) * len(fractions)}"
        minutes = [f"{seconds[name, part] / 60:.1f}" for part in fractions] if seconds else []
        mark = " (baseline)" if name == design.baseline else ""
        rows.add_row(name + mark, arm.describe(), runs, *minutes)
    return rows


def matches_table(matches: Sequence[LatencyMatch]) -> Table:
    """Return a table of the controls that take as long as the attention of their arms."""
    columns = [("arm", False), ("parameters=", True), ("added parameters", True), ("arm, ms", True)]
    columns += [("control, ms", True), ("ratio", True), ("quartiles", True), ("", False)]
    rows = table("controls of equal latency", columns)
    for match in matches:
        measured = match.measured
        rows.add_row(
            match.arm,
            f"{match.parameters:,}",
            f"{match.added_parameters:,}",
            f"{measured.arm_ms:.2f}",
            f"{measured.control_ms:.2f}",
            f"{measured.ratio:.3f}",
            f"{measured.low:.3f}-{measured.high:.3f}",
            styled("equal", "green") if match.remark is None else styled(match.remark, "yellow"),
        )
    return rows


def _best(record: CellRecord) -> float:
    return record.best.map50_95 if record.best else 0.0


def power_table(forecast: StudyForecast, unit: str) -> Table:
    """Return a table of the power of numbers of seeds, with the hours that they cost.

    Args:
        forecast: The forecast of a study.
        unit: Unit of the differences.
    """
    title = f"what 80 % of studies can show, in {unit}"
    columns = [("seeds", True), ("helps or hurts from", True), ("no difference within", True), ("hours", True)]
    rows = table(title, columns)
    for point in forecast.curve:
        values = (
            f"{value:.3g}" if value is not None else "-" for value in (point.detectable, point.margin, point.hours)
        )
        rows.add_row(str(point.seeds), *values)
    return rows
