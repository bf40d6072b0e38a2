"""Remarks on the validity of a report: missing runs, and runs that are not pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attendet.study.folder import StudyRecords
from attendet.study.records import CellRecord
from attendet.study.runs.pairing_checks import find_unpaired
from attendet.study.statistics.verdict import cannot_decide
from attendet.utils.text import plural


def report_remarks(records: StudyRecords) -> Iterator[str]:
    """Yield the remarks on a study, one sentence each, without the final period."""
    design = records.study.design
    runs = [record for record in records.cells.values() if record.status == "finished"]
    missing = len(records.study.cells) - len(runs)
    if missing:
        failed = sum(record.status == "failed" for record in records.cells.values())
        among = f", {failed} of them failed" if failed else ""
        planned = plural(len(records.study.cells), "run")
        yield (
            f"{missing} of {planned} {'is' if missing == 1 else 'are'} missing{among}: the verdicts are provisional,"
            " and stopping as soon as one of them looks good makes it wrong more often than stated"
        )
    too_few = cannot_decide(len(design.seeds), design.comparisons)
    if too_few:
        yield too_few
    yield from _unpaired(runs, records)
    yield from _mixed(runs, "devices", lambda run: run.device)
    yield from _mixed(runs, "versions", lambda run: str(sorted(run.versions.items())))
    yield from records.problems


def _unpaired(runs: list[CellRecord], records: StudyRecords) -> Iterator[str]:
    wrong = find_unpaired(runs, records.study.design)
    yield from (f"{run.arm}, seed {run.seed}: {wrong[run.key]}" for run in runs if run.key in wrong)
    unknown = sum(run.order is None or not run.initialization for run in runs)
    if unknown:
        yield f"{plural(unknown, 'run')} did not record initial weights and image order: the pairing is not verified"


def _mixed(runs: list[CellRecord], what: str, value: Callable[[CellRecord], str | None]) -> Iterator[str]:
    values = {each for run in runs if (each := value(run)) is not None}
    if len(values) > 1:
        yield f"runs were made on {len(values)} different {what}"
