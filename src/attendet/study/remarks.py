"""What a reader should know before believing a report: what is missing, and whether runs were what pairs have to be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attendet.study.records import CellRecord, Records
from attendet.study.verdict import cannot_decide
from attendet.wording import plural


def remarks(records: Records) -> Iterator[str]:
    """Yield what a reader should know, a sentence each, without the full stop."""
    design = records.study.design
    runs = [record for record in records.cells.values() if record.status == "finished"]
    missing = len(records.study.cells) - len(runs)
    if missing:
        yield (
            f"{missing} of {plural(len(records.study.cells), 'run')} {'is' if missing == 1 else 'are'} missing: the"
            " verdicts are provisional, and to stop when one of them pleases makes it wrong more often than it says"
        )
    too_few = cannot_decide(len(design.seeds), design.comparisons)
    if too_few:
        yield too_few
    yield from _unpaired(runs, records)
    yield from _mixed(runs, "devices", lambda run: run.device)
    yield from _mixed(runs, "versions", lambda run: str(sorted(run.versions.items())))
    yield from records.problems


def _unpaired(runs: list[CellRecord], records: Records) -> Iterator[str]:
    """Hold what makes runs of one seed a pair: the same images in the same order, and the same base weights."""
    arms = records.study.design.arms
    checks: tuple[tuple[str, Callable[[CellRecord], str | None], Callable[[CellRecord], object]], ...] = (
        ("saw the images in different orders", lambda run: run.order, lambda _: None),
        (
            "started from different base weights",
            lambda run: run.initialisation,
            # Another model has other weights; arms of one model are compared among themselves.
            lambda run: (arms[run.arm].model, arms[run.arm].weights),
        ),
    )
    for told, fingerprint, kind in checks:
        groups: dict[object, set[str]] = {}
        for run in runs:
            found = fingerprint(run)
            if found is not None:
                groups.setdefault((run.seed, run.fraction, kind(run)), set()).add(found)
        broken = sum(len(found) > 1 for found in groups.values())
        if broken:
            yield f"runs of one seed {told}, {plural(broken, 'time')}: their differences are not paired"
    unknown = sum(run.order is None or run.initialisation is None for run in runs)
    if unknown:
        yield f"{plural(unknown, 'run')} did not record what pairs have in common"


def _mixed(runs: list[CellRecord], what: str, value: Callable[[CellRecord], str | None]) -> Iterator[str]:
    found = {told for run in runs if (told := value(run)) is not None}
    if len(found) > 1:
        yield f"runs were made on {len(found)} different {what}"
